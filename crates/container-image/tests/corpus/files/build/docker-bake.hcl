target "web" {
  contexts   = { base = "docker-image://alpine:3.20" }
  args       = { BASE_IMAGE = "debian:12" }
  tags       = ["ghcr.io/acme/baked:1.0", "ghcr.io/acme/baked:1.0.3"]
  cache-from = ["type=registry,ref=ghcr.io/acme/baked:cache"]
  output     = ["type=image,name=ghcr.io/acme/baked:1.0"]
}
