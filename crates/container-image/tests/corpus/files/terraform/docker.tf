provider "docker" { host = "tcp://127.0.0.1:2376/" }

resource "docker_container" "cache" {
  name  = "cache"
  image = "redis:7.4-alpine"
  ports {
    internal = 6379
  }
  volumes { host_path = "/srv/cache:ro" }
}

resource "digitalocean_droplet" "host" {
  image = "ubuntu-24-04-x64"
  tags  = ["env:test", "team/web:ops"]
}

resource "google_compute_instance" "host" {
  boot_disk {
    initialize_params {
      image = "debian-cloud/debian-12"
    }
  }
  metadata_startup_script = <<-EOT
    #!/bin/sh
    docker run -d --restart always -p 80:80 quay.io/acme/edge:5.1 --upstream ${var.upstream}:8080
    docker run -d ${var.registry}/edge:1.0
  EOT
}
