job "web" {
  group "web" {
    task "server" {
      driver = "docker"
      config {
        image = "hashicorp/http-echo:1.0"
        args  = ["-listen", ":8080", "-text", "a/b:c"]
      }
      template {
        data = "{{ key \"web/config:live\" }}"
      }
    }
    task "log" {
      config { image = "ghcr.io/acme/log:1.4" }
      artifact { source = "git::https://github.com/acme/log:v1" }
    }
  }
}
