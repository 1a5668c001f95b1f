terraform {
  # strcontains and check blocks need 1.5.
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # lifecycle_scope exists since 5.1.
      version = ">= 5.1"
    }
  }
}
