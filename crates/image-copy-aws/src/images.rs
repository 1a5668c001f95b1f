//! Reads manifests in batches.

use std::time::Duration;

use aws_sdk_ecr::types::{Image, ImageFailure, ImageFailureCode, ImageIdentifier};
use image_copy::oci::{Algorithm, Digest, Manifest, media_type};
use image_copy::registry::{Error, ManifestId};

use crate::repository::EcrRepository;
use crate::retry::message_text;

/// Maximum number of IDs in one call
pub(crate) const MAX_BATCH: usize = 100;
const ACTION: &str = "ecr:BatchGetImage";

impl EcrRepository {
    /// Returns the manifests of at most [`MAX_BATCH`] IDs, in their order.
    pub(crate) async fn read_batch(&self, ids: &[ManifestId]) -> Result<Vec<Option<Manifest>>, Error> {
        // ECR addresses images by SHA-256 only, and reports any other digest as an error.
        let is_supported = |id: &&ManifestId| !matches!(id, ManifestId::Digest(digest) if digest.algorithm() != Algorithm::Sha256);
        let identifiers: Vec<ImageIdentifier> = ids.iter().filter(is_supported).map(identifier).collect();
        if identifiers.is_empty() {
            return Ok(ids.iter().map(|_| None).collect());
        }
        let client = &self.client;
        let request = client
            .sdk
            .batch_get_image()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_image_ids(Some(identifiers))
            // All types, because ECR converts a tag's manifest to an accepted type.
            .set_accepted_media_types(Some(media_type::MANIFEST_TYPES.map(Into::into).to_vec()));
        let response = client.send(ACTION, || request.clone().send()).await?;
        // With HTTP 200, failures of single IDs are in the body.
        if let Some(error) = response.failures().iter().find_map(failure_error) {
            return Err(error);
        }
        ids.iter()
            .map(|id| match response.images().iter().find(|image| has_id(image, id)) {
                Some(image) => manifest(image, id),
                None => Ok(None),
            })
            .collect()
    }
}

pub(crate) fn identifier(id: &ManifestId) -> ImageIdentifier {
    match id {
        ManifestId::Tag(tag) => ImageIdentifier::builder().image_tag(tag.as_str()).build(),
        ManifestId::Digest(digest) => ImageIdentifier::builder().image_digest(digest.as_str()).build(),
    }
}

fn has_id(image: &Image, id: &ManifestId) -> bool {
    let Some(image_id) = image.image_id() else { return false };
    match id {
        ManifestId::Tag(tag) => image_id.image_tag() == Some(tag.as_str()),
        ManifestId::Digest(digest) => image_id.image_digest() == Some(digest.as_str()),
    }
}

/// Returns the error for one ID. Missing images are no error, and archived ones count as missing, because a
/// push restores them.
fn failure_error(failure: &ImageFailure) -> Option<Error> {
    let code = failure.failure_code();
    match code {
        Some(ImageFailureCode::ImageNotFound | ImageFailureCode::ImageInaccessible) => None,
        _ => Some(Error::Service {
            service: ACTION.into(),
            code: code.map_or("an unknown failure", ImageFailureCode::as_str).into(),
            message: message_text(failure.failure_reason()),
            attempts: 1,
            elapsed: Duration::ZERO,
        }),
    }
}

fn manifest(image: &Image, id: &ManifestId) -> Result<Option<Manifest>, Error> {
    let text = image
        .image_manifest()
        .ok_or(Error::Protocol("BatchGetImage returned an image without a manifest"))?;
    let parsed = Manifest::parse(text.to_owned().into(), image.image_manifest_media_type());
    match (id, parsed) {
        (ManifestId::Digest(expected), Ok(manifest)) if manifest.digest != *expected => {
            Err(Error::DigestMismatch { expected: expected.clone(), actual: manifest.digest })
        }
        (ManifestId::Digest(expected), Err(error)) => {
            let actual = Digest::of(text.as_bytes());
            if actual == *expected {
                Err(error.into())
            } else {
                Err(Error::DigestMismatch { expected: expected.clone(), actual })
            }
        }
        // The copy replaces this tag, so its manifest can be unreadable.
        (ManifestId::Tag(tag), Err(error)) => {
            tracing::warn!(tag = tag.as_str(), %error, "the tag's manifest cannot be read");
            Ok(None)
        }
        (_, Ok(manifest)) => Ok(Some(manifest)),
    }
}
