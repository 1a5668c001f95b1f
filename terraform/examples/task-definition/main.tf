# Copies one platform of a private image, and runs it in an ECS task definition under its digest.

variable "credential_arn" {
  type        = string
  description = "Secret with the credentials for ghcr.io."
}

variable "refresh" {
  type        = string
  default     = null
  description = "Any value. A changed value resolves the tag again."
}

resource "aws_ecr_repository" "app" {
  name                 = "acme/app"
  image_tag_mutability = "MUTABLE"
}

module "app" {
  source = "../../modules/container-image"

  image_reference = "ghcr.io/acme/app:2.1"
  repository_arn  = aws_ecr_repository.app.arn
  platform        = "linux/arm64"
  credential_arn  = var.credential_arn
  refresh         = var.refresh
}

resource "aws_ecs_task_definition" "app" {
  family                   = "app"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512

  runtime_platform {
    cpu_architecture        = "ARM64"
    operating_system_family = "LINUX"
  }

  container_definitions = jsonencode([{
    name  = "app"
    image = module.app.image_uri
  }])
}
