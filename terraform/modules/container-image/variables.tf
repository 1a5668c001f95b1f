variable "image_reference" {
  type        = string
  description = "Source image with tag, digest, or both. Short names refer to Docker Hub."
}

variable "repository_arn" {
  type        = string
  description = "ARN of the existing ECR repository."
}

variable "tag" {
  type        = string
  default     = null
  description = "Tag in ECR. Default: the tag of image_reference, or latest."
}

variable "platform" {
  type        = string
  default     = null
  description = "all, one platform such as linux/arm64, or comma-separated platforms. Default: DefaultPlatform of the provider."
}

variable "credential_arn" {
  type        = string
  default     = null
  description = "Secret or SSM parameter with the credentials of the source registry."
}

variable "include_referrers" {
  type        = bool
  default     = false
  description = "Also copies signatures, SBOMs and attestations."
}

variable "customize" {
  type        = list(string)
  default     = []
  description = "Dockerfile lines that change each image. They cannot be combined with include_referrers."
}

variable "refresh" {
  type        = string
  default     = null
  description = "Any value. A changed value resolves the tag again, and repeats a failed update."
}

variable "function_name" {
  type        = string
  default     = "cfn-container-image-provider"
  description = "Name or ARN of the provider's function."
}
