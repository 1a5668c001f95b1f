# Installs the provider, and keeps two base images with all platforms in ECR.

variable "template_url" {
  type        = string
  description = "URL of the published template, which make publish prints."
}

locals {
  images = {
    python = "docker.io/library/python:3.13"
    nginx  = "docker.io/library/nginx:1.27"
  }
}

module "provider" {
  source       = "../../modules/provider"
  template_url = var.template_url
  parameters   = { AllowedSources = "docker.io/library" }
}

resource "aws_ecr_repository" "base" {
  for_each = local.images
  name     = "base/${each.key}"

  # The function deletes its images first. This is for images that others pushed.
  force_delete = true
}

module "image" {
  source   = "../../modules/container-image"
  for_each = local.images

  function_name   = module.provider.function_name
  image_reference = each.value
  repository_arn  = aws_ecr_repository.base[each.key].arn
  platform        = "all"
}

output "image_uris" {
  value = { for name, image in module.image : name => image.image_uri }
}
