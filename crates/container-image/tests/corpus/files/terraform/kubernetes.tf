resource "kubernetes_deployment" "app" {
  metadata {
    name   = "app"
    labels = { "app.kubernetes.io/name" = "app:web" }
  }
  spec {
    template {
      spec {
        container {
          name  = "app"
          image = "ghcr.io/acme/app:3.1"
        }
        init_container {
          image = var.init_image
        }
        container {
          image = "ghcr.io/acme/other:${var.tag}"
        }
      }
    }
  }
}

resource "helm_release" "web" {
  repository = "oci://public.ecr.aws/acme/charts"
  chart      = "web"
  set {
    name  = "image.tag"
    value = "2.0"
  }
  values = [yamlencode({ sidecar = "docker.acme.example/sidecar:1.9", schedule = "30 2 * * *" })]
}

resource "aws_iam_policy" "pull" {
  policy = jsonencode({ Statement = [{ Action = "ecr:BatchGetImage", Resource = "arn:aws:ecr:*:123456789012:repository/team/app:x" }] })
}
