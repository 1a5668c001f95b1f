variable "cache_image" {
  type    = string
  default = "redis:7.4"
}

variable "cache_address" { default = "redis:6379" }

resource "docker_image" "shell" {
  name         = "busybox:1.36"
  keep_locally = true
}

resource "docker_registry_image" "web" {
  name = "ghcr.io/acme/pushed:1.0"
}
