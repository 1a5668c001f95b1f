output "image_uri" {
  value       = local.result.ImageUri
  description = "URI with digest. A new image is a new value."
}

output "image_reference" {
  value       = local.result.ImageReference
  description = "URI with tag, or with the digest if there is no tag."
}

output "digest" {
  value       = local.result.Digest
  description = "Digest of the image in ECR."
}

output "media_type" {
  value       = local.result.MediaType
  description = "Media type of the image in ECR."
}

output "source_digest" {
  value       = local.result.SourceDigest
  description = "Digest that the source reference named."
}

output "source_reference" {
  value       = local.result.SourceReference
  description = "Source reference with its digest."
}

output "platforms" {
  value       = local.result.Platforms
  description = "List of platforms."
}

output "repository_uri" {
  value       = local.result.RepositoryUri
  description = "URI of the repository."
}

output "tag" {
  value       = local.result.Tag
  description = "Tag in ECR, or an empty string."
}

output "size" {
  value       = tonumber(local.result.Size)
  description = "Size of all blobs in bytes."
}

output "message" {
  value       = local.result.Message
  description = "Result of the last event in one sentence."
}
