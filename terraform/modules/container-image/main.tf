locals {
  # The tag between the last slash and the digest, as in the function.
  name          = split("@", var.image_reference)[0]
  source_tag    = try(regex(":([^/:]+)$", local.name)[0], null)
  has_digest    = strcontains(var.image_reference, "@")
  default_tag   = local.source_tag != null ? local.source_tag : (local.has_digest ? null : "latest")
  effective_tag = var.tag != null ? var.tag : local.default_tag

  optional = {
    Tag           = local.effective_tag
    Platform      = var.platform
    CredentialArn = var.credential_arn
    Refresh       = var.refresh
    Customize     = length(var.customize) == 0 ? null : join("\n", var.customize)
  }
}

# Owner of the image in the provider's state table. The ID does not change as long as the module is in the state.
resource "terraform_data" "owner" {}

# Another destination is a new image: it is copied before the old one is deleted, and a failed copy is repeated by
# the next apply.
resource "terraform_data" "destination" {
  triggers_replace = [var.repository_arn, local.effective_tag, var.function_name]
}

# https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/lambda_invocation
resource "aws_lambda_invocation" "image" {
  function_name   = var.function_name
  lifecycle_scope = "CRUD"

  input = jsonencode(merge(
    {
      ImageReference   = var.image_reference
      RepositoryArn    = var.repository_arn
      IncludeReferrers = var.include_referrers
      Owner            = "terraform/${terraform_data.owner.id}"
    },
    { for name, value in local.optional : name => value if value != null },
  ))

  lifecycle {
    create_before_destroy = true
    replace_triggered_by  = [terraform_data.destination]
  }
}

# Terraform keeps the input of a failed update, and does not repeat it:
# https://github.com/hashicorp/terraform-provider-aws/issues/43447
check "last_update" {
  assert {
    condition     = local.result.RequestedReference == var.image_reference
    error_message = "The last update of ${var.image_reference} failed. Correct its cause, then change refresh."
  }
}

locals {
  result = jsondecode(aws_lambda_invocation.image.result)
}
