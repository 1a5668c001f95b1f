variable "template_url" {
  type        = string
  description = "URL of the published template, which make publish prints."
}

variable "stack_name" {
  type        = string
  default     = "cfn-container-image-provider"
  description = "Name of the stack."
}

variable "function_name" {
  type        = string
  default     = "cfn-container-image-provider"
  description = "Name of the function."
}

variable "parameters" {
  type        = map(string)
  default     = {}
  description = "Parameters of the template, which docs/reference.md describes."
}
