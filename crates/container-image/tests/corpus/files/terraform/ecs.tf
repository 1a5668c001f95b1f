terraform {
  required_providers {
    aws = { source = "hashicorp/aws", version = "~> 5.0" }
  }
}

module "network" {
  source = "git::https://github.com/acme/modules.git//network?ref=v1.2"
}

variable "agent_image" {
  description = "Image of the agent, such as agent:1"
  default     = "public.ecr.aws/acme/agent:1.32"
}

resource "aws_ecs_task_definition" "web" {
  family        = "web"
  task_role_arn = "arn:aws:iam::123456789012:role/web:task"
  container_definitions = jsonencode([
    {
      name  = "web"
      image = "nginx:1.27"
      environment = [{ name = "CACHE", value = "cache.acme.example:6379/0" }]
    },
    { name = "app", image = "${aws_ecr_repository.app.repository_url}:1.0" },
    { name = "log", image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/log:2@sha256:e7f6c011776e8db7cd330b54174fd76f7d0216b612387a5ffcfb81e6f0919683" },
  ])
}

resource "aws_lambda_function" "resize" {
  package_type = "Image"
  image_uri    = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/resize:4"
}
