//! Deleting tags and images, by documented behaviour only
//! (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_BatchDeleteImage.html>): a tag is
//! removed, and the image with its last tag; an image is deleted by digest, with all its tags.

use std::collections::HashSet;
use std::time::Duration;

use aws_sdk_ecr::types::{
    DescribeImagesFilter, ImageFailure, ImageFailureCode, ImageIdentifier, ImageStatusFilter,
};
use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Tag};
use image_copy::registry::{Error, ManifestId};

use crate::images::{BATCH, identifier};
use crate::repository::EcrRepository;
use crate::retry::words;

const DELETE: &str = "ecr:BatchDeleteImage";

/// Result of removing a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagRemoval {
    /// The tag was removed, and the image if this was its last tag.
    Removed,
    /// There was no such tag.
    NotFound,
    /// This is the last tag of an image that an index refers to. ECR keeps both.
    ReferencedByIndex,
}

impl EcrRepository {
    /// Removes a tag, and the image with its last tag.
    ///
    /// # Errors
    /// ECR's refusal. A repository that does not exist counts as [`TagRemoval::NotFound`].
    pub async fn remove_tag(&self, tag: &Tag) -> Result<TagRemoval, Error> {
        let failures = match self.delete(&[ManifestId::Tag(tag.clone())]).await {
            Err(error) if is_absence(&error) => return Ok(TagRemoval::NotFound),
            failures => failures?,
        };
        match failures.first() {
            None => Ok(TagRemoval::Removed),
            Some(failure) => match failure.failure_code() {
                Some(ImageFailureCode::ImageNotFound) => Ok(TagRemoval::NotFound),
                Some(ImageFailureCode::ImageReferencedByManifestList) => Ok(TagRemoval::ReferencedByIndex),
                _ => Err(refusal(failure)),
            },
        }
    }

    /// Deletes images by digest, except those that an index refers to. The caller makes sure that they
    /// have no tags ([`Self::untagged`]), because ECR deletes an image with all its tags.
    ///
    /// # Errors
    /// ECR's refusal of a call, or the first of an image. Images that do not exist are no error.
    pub async fn delete_images(&self, digests: &[Digest]) -> Result<(), Error> {
        let mut first_refusal = None;
        for batch in digests.chunks(BATCH) {
            let mut ids: Vec<ManifestId> = batch.iter().cloned().map(ManifestId::Digest).collect();
            while !ids.is_empty() {
                let failures = match self.delete(&ids).await {
                    Err(error) if is_absence(&error) => return Ok(()),
                    failures => failures?,
                };
                let mut referenced = Vec::new();
                for failure in &failures {
                    match failure.failure_code() {
                        Some(ImageFailureCode::ImageNotFound) => {}
                        Some(ImageFailureCode::ImageReferencedByManifestList) => {
                            referenced.extend(digest_of(failure).map(ManifestId::Digest));
                        }
                        _ => first_refusal = first_refusal.or_else(|| Some(refusal(failure))),
                    }
                }
                // An index of the same batch may be what refers to them, and is deleted by now.
                let has_index_gone = failures.len() < ids.len();
                ids = if has_index_gone { referenced } else { Vec::new() };
            }
        }
        first_refusal.map_or(Ok(()), Err)
    }

    /// Returns those of the images that exist and have no tag, archived ones included.
    ///
    /// # Errors
    /// What ECR reports. A repository that does not exist has no images.
    pub async fn untagged(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        let mut untagged = Vec::new();
        for batch in digests.chunks(BATCH) {
            match self.untagged_batch(batch).await {
                Ok(found) => untagged.extend(found),
                Err(error) if error.has_code("RepositoryNotFoundException") => return Ok(Vec::new()),
                // One that does not exist fails the call, so it is left out of another.
                Err(error) if error.has_code("ImageNotFoundException") => {
                    let existing = self.existing(batch).await?;
                    match self.untagged_batch(&existing).await {
                        Err(error) if is_absence(&error) => {
                            tracing::warn!(%error, "images may be left over: others delete at the same time");
                        }
                        found => untagged.extend(found?),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(untagged)
    }

    async fn untagged_batch(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
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
        let answer = self.client.send("ecr:DescribeImages", || request.clone().send()).await?;
        let details = answer.image_details().iter();
        let untagged: HashSet<Digest> = details
            .filter(|detail| detail.image_tags().is_empty())
            .filter_map(|detail| detail.image_digest()?.parse().ok())
            .collect();
        Ok(digests.iter().filter(|digest| untagged.contains(digest)).cloned().collect())
    }

    async fn existing(&self, digests: &[Digest]) -> Result<Vec<Digest>, Error> {
        let ids: Vec<ManifestId> = digests.iter().cloned().map(ManifestId::Digest).collect();
        let found = self.manifests(&ids).await?;
        Ok(digests.iter().zip(found).filter(|(_, found)| found.is_some()).map(|(d, _)| d.clone()).collect())
    }

    /// Sends one call. Returns its failures.
    async fn delete(&self, ids: &[ManifestId]) -> Result<Vec<ImageFailure>, Error> {
        let request = self
            .client
            .sdk
            .batch_delete_image()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_image_ids(Some(ids.iter().map(identifier).collect()));
        let answer = self.client.send(DELETE, || request.clone().send()).await?;
        Ok(answer.failures.unwrap_or_default())
    }
}

fn is_absence(error: &Error) -> bool {
    error.has_code("ImageNotFoundException") || error.has_code("RepositoryNotFoundException")
}

fn digest_of(failure: &ImageFailure) -> Option<Digest> {
    failure.image_id().and_then(ImageIdentifier::image_digest)?.parse().ok()
}

fn refusal(failure: &ImageFailure) -> Error {
    Error::Service {
        service: DELETE.into(),
        code: failure.failure_code().map_or("an unknown failure", ImageFailureCode::as_str).into(),
        message: words(failure.failure_reason()),
        attempts: 1,
        elapsed: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{answer, ecr, refusal};

    type Calls = Arc<Mutex<Vec<(String, Vec<Value>)>>>;

    fn repository(
        respond: impl Fn(&str, &[Value]) -> http::Response<String> + Send + Sync + 'static,
    ) -> (EcrRepository, Calls) {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
        let calls = Calls::default();
        let seen = Arc::clone(&calls);
        let clients = ecr(move |name, input| {
            let ids = input["imageIds"].as_array().cloned().unwrap_or_default();
            seen.lock().unwrap().push((name.to_owned(), ids.clone()));
            respond(name, &ids)
        });
        (clients.repository(&arn, None), calls)
    }

    fn failures(ids: &[Value], code: &str) -> http::Response<String> {
        let failures =
            ids.iter().map(|id| json!({"imageId": id, "failureCode": code, "failureReason": "because"}));
        answer(&json!({"imageIds": [], "failures": failures.collect::<Vec<_>>()}))
    }

    #[tokio::test]
    async fn results_of_removing_a_tag_are_told_apart() {
        let tag: Tag = "1".parse().unwrap();
        for (code, expected) in [
            ("ImageNotFound", Ok(TagRemoval::NotFound)),
            ("ImageReferencedByManifestList", Ok(TagRemoval::ReferencedByIndex)),
            ("KmsError", Err("KmsError")),
        ] {
            let (repository, _) = repository(move |_, ids| failures(ids, code));
            match (repository.remove_tag(&tag).await, expected) {
                (Ok(removal), Ok(expected)) => assert_eq!(removal, expected),
                (Err(error), Err(code)) => assert!(error.has_code(code), "{error}"),
                (result, expected) => panic!("{result:?}, expected {expected:?}"),
            }
        }
        let (removed, calls) = repository(|_, _| answer(&json!({"imageIds": [], "failures": []})));
        assert_eq!(removed.remove_tag(&tag).await, Ok(TagRemoval::Removed));
        assert_eq!(calls.lock().unwrap()[0].1, [json!({"imageTag": "1"})]);
        let (missing, _) = repository(|_, _| refusal("RepositoryNotFoundException", "gone"));
        assert_eq!(missing.remove_tag(&tag).await, Ok(TagRemoval::NotFound));
    }

    #[tokio::test]
    async fn children_of_an_index_in_the_same_batch_go_in_a_second_call() {
        let digests = [Digest::of(b"child"), Digest::of(b"index")];
        let (repository, calls) = repository(|_, ids| match ids.len() {
            2 => failures(&ids[..1], "ImageReferencedByManifestList"),
            _ => answer(&json!({"imageIds": ids, "failures": []})),
        });
        repository.delete_images(&digests).await.unwrap();
        let calls = calls.lock().unwrap();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[1].1, [json!({"imageDigest": digests[0].as_str()})]);
    }

    #[tokio::test]
    async fn an_image_that_another_index_refers_to_stays() {
        let (repository, calls) = repository(|_, ids| failures(ids, "ImageReferencedByManifestList"));
        repository.delete_images(&[Digest::of(b"child")]).await.unwrap();
        assert_eq!(calls.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_image_with_a_tag_is_not_untagged() {
        let digests = [Digest::of(b"tagged"), Digest::of(b"untagged")];
        let tagged = digests[0].to_string();
        let (repository, calls) = repository(move |_, ids| {
            let detail = |id: &Value| {
                let tags = if id["imageDigest"] == tagged.as_str() { json!(["1"]) } else { json!([]) };
                json!({"imageDigest": id["imageDigest"], "imageTags": tags})
            };
            answer(&json!({"imageDetails": ids.iter().map(detail).collect::<Vec<_>>()}))
        });
        assert_eq!(repository.untagged(&digests).await.unwrap(), [digests[1].clone()]);
        assert_eq!(calls.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_missing_image_is_left_out() {
        let (repository, calls) = repository(|name, ids| match name {
            "DescribeImages" => refusal("ImageNotFoundException", "one of them does not exist"),
            _ => failures(ids, "ImageNotFound"),
        });
        assert_eq!(repository.untagged(&[Digest::of(b"missing")]).await.unwrap(), []);
        assert_eq!(calls.lock().unwrap().len(), 2);
    }
}
