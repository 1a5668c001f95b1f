output "function_arn" {
  value       = aws_cloudformation_stack.provider.outputs["Arn"]
  description = "ARN of the function."
}

output "function_name" {
  value       = var.function_name
  description = "Name of the function, for the module container-image."

  # Images need the complete stack.
  depends_on = [aws_cloudformation_stack.provider]
}

output "state_table_name" {
  value       = aws_cloudformation_stack.provider.outputs["StateTableName"]
  description = "Name of the state table."
}
