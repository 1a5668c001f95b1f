# The published CloudFormation template is the only definition of the function, its role, table and alarms.
# https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/cloudformation_stack
resource "aws_cloudformation_stack" "provider" {
  name         = var.stack_name
  template_url = var.template_url
  parameters   = merge(var.parameters, { FunctionName = var.function_name })
  capabilities = ["CAPABILITY_NAMED_IAM"]
  on_failure   = "ROLLBACK"
}
