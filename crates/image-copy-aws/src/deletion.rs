//! Deletes tags and images, only with documented behaviour
//! (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html>). Deleting a tag
//! also deletes the image if it was the last tag. Deleting a digest deletes the image with all tags.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_ecr::types::{
    DescribeImagesFilter, ImageFailure, ImageFailureCode, ImageIdentifier, ImageStatusFilter,
};
use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Tag};
use image_copy::registry::{Error, ManifestId};

use crate::images::{MAX_BATCH, identifier};
use crate::repository::EcrRepository;
use crate::retry::message_text;

const DELETE: &str = "ecr:BatchDeleteImage";

/// Result of deleting a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagDeletion {
    /// The tag was deleted, and the image if this was its last tag.
    Deleted,
    /// The tag does not exist.
    NotFound,
    /// This is the last tag of an image that belongs to an index. ECR keeps both.
    ReferencedByIndex,
}

impl EcrRepository {
    /// Deletes a tag, and the image with its last tag.
    ///
    /// # Errors
    /// ECR's error. A missing repository counts as [`TagDeletion::NotFound`].
    pub async fn delete_tag(&self, tag: &Tag) -> Result<TagDeletion, Error> {
        let failures = match self.batch_delete(&[ManifestId::Tag(tag.clone())]).await {
            Err(error) if is_not_found(&error) => return Ok(TagDeletion::NotFound),
            failures => failures?,
        };
        match failures.first() {
            None => Ok(TagDeletion::Deleted),
            Some(failure) => match failure.failure_code() {
                Some(ImageFailureCode::ImageNotFound) => Ok(TagDeletion::NotFound),
                Some(ImageFailureCode::ImageReferencedByManifestList) => Ok(TagDeletion::ReferencedByIndex),
                _ => Err(failure_error(failure)),
            },
        }
    }

    /// Deletes images by digest, except children of an index. The images must not have tags
    /// ([`Self::filter_untagged`]), because ECR deletes an image with all its tags.
    ///
    /// # Errors
    /// ECR's error for a call, or its first failure for an image. Missing images are no error.
    pub async fn delete_images(&self, digests: &[Digest]) -> Result<(), Error> {
        let mut first_failure = None;
        for batch in digests.chunks(MAX_BATCH) {
            let mut ids: Vec<ManifestId> = batch.iter().cloned().map(ManifestId::Digest).collect();
            while !ids.is_empty() {
                let failures = match self.batch_delete(&ids).await {
                    Err(error) if is_not_found(&error) => return Ok(()),
                    failures => failures?,
                };
                let mut referenced = Vec::new();
                for failure in &failures {
                    match failure.failure_code() {
                        Some(ImageFailureCode::ImageNotFound) => {}
                        Some(ImageFailureCode::ImageReferencedByManifestList) => {
                            referenced.extend(digest_of(failure).map(ManifestId::Digest));
                        }
                        _ => first_failure = first_failure.or_else(|| Some(failure_error(failure))),
                    }
                }
                // If an index of the same batch referred to them, it is deleted now.
                let has_deleted_images = failures.len() < ids.len();
                ids = if has_deleted_images { referenced } else { Vec::new() };
            }
        }
        first_failure.map_or(Ok(()), Err)
    }

    /// Returns the images that exist and have no tag, including archived ones.
    ///
    /// # Errors
    /// ECR's error. A missing repository has no images.
    pub async fn filter_untagged(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        let mut untagged = Vec::new();
        for batch in digests.chunks(MAX_BATCH) {
            match self.filter_untagged_batch(batch).await {
                Ok(found) => untagged.extend(found),
                Err(error) if error.has_code("RepositoryNotFoundException") => return Ok(Vec::new()),
                // A missing image fails the call, so only existing ones are sent again.
                Err(error) if error.has_code("ImageNotFoundException") => {
                    let existing = self.filter_existing(batch).await?;
                    match self.filter_untagged_batch(&existing).await {
                        Err(error) if is_not_found(&error) => {
                            tracing::warn!(%error, "some images may remain, because another client deletes at the same time");
                        }
                        found => untagged.extend(found?),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(untagged)
    }

    async fn filter_untagged_batch(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        let ids = digests.iter().cloned().map(ManifestId::Digest);
        let request = self
            .client
            .sdk
            .describe_images()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_image_ids(Some(ids.map(|id| identifier(&id)).collect()))
            .filter(DescribeImagesFilter::builder().image_status(ImageStatusFilter::Any).build());
        let response = self.client.send("ecr:DescribeImages", || request.clone().send()).await?;
        let details = response.image_details().iter();
        let untagged: HashSet<Digest> = details
            .filter(|detail| detail.image_tags().is_empty())
            .filter_map(|detail| detail.image_digest()?.parse().ok())
            .collect();
        Ok(digests.iter().filter(|digest| untagged.contains(digest)).cloned().collect())
    }

    async fn filter_existing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        let ids: Vec<ManifestId> = digests.iter().cloned().map(ManifestId::Digest).collect();
        let found = self.manifests(&ids).await?;
        Ok(digests.iter().zip(found).filter(|(_, found)| found.is_some()).map(|(d, _)| d.clone()).collect())
    }

    /// Sends one call and returns its failures.
    async fn batch_delete(&self, ids: &[ManifestId]) -> Result<Vec<ImageFailure>, Error> {
        let request = self
            .client
            .sdk
            .batch_delete_image()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_image_ids(Some(ids.iter().map(identifier).collect()));
        let response = self.client.send(DELETE, || request.clone().send()).await?;
        Ok(response.failures.unwrap_or_default())
    }
}

fn is_not_found(error: &Error) -> bool {
    error.has_code("ImageNotFoundException") || error.has_code("RepositoryNotFoundException")
}

fn digest_of(failure: &ImageFailure) -> Option<Digest> {
    failure.image_id().and_then(ImageIdentifier::image_digest)?.parse().ok()
}

fn failure_error(failure: &ImageFailure) -> Error {
    Error::Service {
        service: DELETE.into(),
        code: failure.failure_code().map_or("an unknown failure", ImageFailureCode::as_str).into(),
        message: message_text(failure.failure_reason()),
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{clients_with, failure, success};

    type Calls = Arc<Mutex<Vec<(String, Vec<Value>)>>>;

    fn repository(
        respond: impl Fn(&str, &[Value]) -> http::Response<String> + Send + Sync + 'static,
    ) -> (EcrRepository, Calls) {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let clients = clients_with(move |name, input| {
            let ids = input["imageIds"].as_array().cloned().unwrap_or_default();
            seen.lock().unwrap().push((name.to_owned(), ids.clone()));
            respond(name, &ids)
        });
        (clients.repository(&arn, None), calls)
    }

    fn failures(ids: &[Value], code: &str) -> http::Response<String> {
        let failures =
            ids.iter().map(|id| json!({"imageId": id, "failureCode": code, "failureReason": "because"}));
        success(&json!({"imageIds": [], "failures": failures.collect::<Vec<_>>()}))
    }

    #[tokio::test]
    async fn distinguishes_the_results_of_deleting_a_tag() {
        let tag: Tag = "1".parse().unwrap();
        for (code, expected) in [
            ("ImageNotFound", Ok(TagDeletion::NotFound)),
            ("ImageReferencedByManifestList", Ok(TagDeletion::ReferencedByIndex)),
            ("KmsError", Err("KmsError")),
        ] {
            let (repository, _) = repository(move |_, ids| failures(ids, code));
            match (repository.delete_tag(&tag).await, expected) {
                (Ok(removal), Ok(expected)) => assert_eq!(removal, expected),
                (Err(error), Err(code)) => assert!(error.has_code(code), "{error}"),
                (result, expected) => panic!("{result:?}, expected {expected:?}"),
            }
        }
        let (removed, calls) = repository(|_, _| success(&json!({"imageIds": [], "failures": []})));
        assert_eq!(removed.delete_tag(&tag).await, Ok(TagDeletion::Deleted));
        assert_eq!(calls.lock().unwrap()[0].1, [json!({"imageTag": "1"})]);
        let (missing, _) = repository(|_, _| failure("RepositoryNotFoundException", "missing"));
        assert_eq!(missing.delete_tag(&tag).await, Ok(TagDeletion::NotFound));
    }

    #[tokio::test]
    async fn a_second_call_deletes_children_of_an_index_in_the_same_batch() {
        let digests = [Digest::of(b"child"), Digest::of(b"index")];
        let (repository, calls) = repository(|_, ids| match ids.len() {
            2 => failures(&ids[..1], "ImageReferencedByManifestList"),
            _ => success(&json!({"imageIds": ids, "failures": []})),
        });
        repository.delete_images(&digests).await.unwrap();
        let calls = calls.lock().unwrap();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[1].1, [json!({"imageDigest": digests[0].as_str()})]);
    }

    #[tokio::test]
    async fn keeps_a_child_of_another_index() {
        let (repository, calls) = repository(|_, ids| failures(ids, "ImageReferencedByManifestList"));
        repository.delete_images(&[Digest::of(b"child")]).await.unwrap();
        assert_eq!(calls.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn returns_only_images_without_a_tag() {
        let digests = [Digest::of(b"tagged"), Digest::of(b"untagged")];
        let tagged = digests[0].to_string();
        let (repository, calls) = repository(move |_, ids| {
            let detail = |id: &Value| {
                let tags = if id["imageDigest"] == tagged.as_str() { json!(["1"]) } else { json!([]) };
                json!({"imageDigest": id["imageDigest"], "imageTags": tags})
            };
            success(&json!({"imageDetails": ids.iter().map(detail).collect::<Vec<_>>()}))
        });
        assert_eq!(repository.filter_untagged(&digests).await.unwrap(), [digests[1].clone()]);
        assert_eq!(calls.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn omits_a_missing_image() {
        let (repository, calls) = repository(|name, ids| match name {
            "DescribeImages" => failure("ImageNotFoundException", "one of them does not exist"),
            _ => failures(ids, "ImageNotFound"),
        });
        assert_eq!(repository.filter_untagged(&[Digest::of(b"missing")]).await.unwrap(), []);
        assert_eq!(calls.lock().unwrap().len(), 2);
    }
}
