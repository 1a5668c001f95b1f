//! Reading manifests in batches.

use std::time::Duration;

use aws_sdk_ecr::types::{Image, ImageFailure, ImageFailureCode, ImageIdentifier};
use image_copy::oci::{Algorithm, Digest, Manifest, media_type};
use image_copy::registry::{Error, ManifestId};

use crate::repository::EcrRepository;
use crate::retry::words;

/// Ids in one call (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchGetImage.html>).
pub(crate) const BATCH: usize = 100;
const ACTION: &str = "ecr:BatchGetImage";

impl EcrRepository {
    /// The manifests behind at most [`BATCH`] ids, in their order.
    pub(crate) async fn read_batch(&self, ids: &[ManifestId]) -> Result<Vec<Option<Manifest>>, Error> {
        // ECR addresses images by SHA-256 only, and reports any other digest as an error.
        let possible = |id: &&ManifestId| !matches!(id, ManifestId::Digest(digest) if digest.algorithm() != Algorithm::Sha256);
        let asked: Vec<ImageIdentifier> = ids.iter().filter(possible).map(identifier).collect();
        if asked.is_empty() {
            return Ok(ids.iter().map(|_| None).collect());
        }
        let client = &self.client;
        let request = client
            .sdk
            .batch_get_image()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_image_ids(Some(asked))
            // All of them: for a tag, ECR would convert what is not on the list.
            .set_accepted_media_types(Some(media_type::MANIFEST_TYPES.map(Into::into).to_vec()));
        let answer = client.send(ACTION, || request.clone().send()).await?;
        // HTTP 200 says nothing about the single id: the failures do.
        if let Some(error) = answer.failures().iter().find_map(error) {
            return Err(error);
        }
        ids.iter()
            .map(|id| match answer.images().iter().find(|image| is_named(image, id)) {
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

fn is_named(image: &Image, id: &ManifestId) -> bool {
    let Some(named) = image.image_id() else { return false };
    match id {
        ManifestId::Tag(tag) => named.image_tag() == Some(tag.as_str()),
        ManifestId::Digest(digest) => named.image_digest() == Some(digest.as_str()),
    }
}

/// What ails one id, unless it is just not there. Archived images count as not there: pushing them
/// again brings them back.
fn error(failure: &ImageFailure) -> Option<Error> {
    let code = failure.failure_code();
    match code {
        Some(ImageFailureCode::ImageNotFound | ImageFailureCode::ImageInaccessible) => None,
        _ => Some(Error::Service {
            service: ACTION.into(),
            code: code.map_or("an unknown failure", ImageFailureCode::as_str).into(),
            message: words(failure.failure_reason()),
            attempts: 1,
            elapsed: Duration::ZERO,
        }),
    }
}

fn manifest(image: &Image, id: &ManifestId) -> Result<Option<Manifest>, Error> {
    let text = image.image_manifest().ok_or(Error::Protocol("BatchGetImage gave an image no manifest"))?;
    let parsed = Manifest::parse(text.to_owned().into(), image.image_manifest_media_type());
    match (id, parsed) {
        (ManifestId::Digest(wanted), Ok(manifest)) if manifest.digest != *wanted => {
            Err(Error::DigestMismatch { expected: wanted.clone(), actual: manifest.digest })
        }
        (ManifestId::Digest(wanted), Err(error)) => {
            let actual = Digest::of(text.as_bytes());
            if actual == *wanted {
                Err(error.into())
            } else {
                Err(Error::DigestMismatch { expected: wanted.clone(), actual })
            }
        }
        // What is behind the tag is about to be replaced, so it need not be understood.
        (ManifestId::Tag(tag), Err(error)) => {
            tracing::warn!(tag = tag.as_str(), %error, "the tag names something that cannot be read");
            Ok(None)
        }
        (_, Ok(manifest)) => Ok(Some(manifest)),
    }
}
