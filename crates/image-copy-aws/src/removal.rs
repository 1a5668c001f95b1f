//! Taking tags and images off a repository.

use std::time::Duration;

use aws_sdk_ecr::types::{
    DescribeImagesFilter, ImageFailure, ImageFailureCode, ImageIdentifier, ImageStatusFilter,
};
use image_copy::oci::Digest;
use image_copy::registry::{Error, ManifestId};

use crate::images::{BATCH, identifier};
use crate::repository::EcrRepository;

const DELETE: &str = "ecr:BatchDeleteImage";

/// An image that is in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Its digest.
    pub digest: Digest,
    /// Its tags, as text: ECR allows longer ones than the specification.
    pub tags: Vec<String>,
}

/// What became of a tag.
#[derive(Debug, Clone, PartialEq)]
pub enum Removal {
    /// It is gone, and the image too if it had no other.
    Removed,
    /// There was no such tag.
    Absent,
    /// It is the last tag of an image that an index in the repository lists.
    ReferencedByIndex,
    /// ECR refused.
    Refused(Error),
}

impl EcrRepository {
    /// Digest and tags of an image, archived ones included. `None`: it is not there, or the
    /// repository is not.
    ///
    /// # Errors
    /// When ECR does not say.
    pub async fn stored(&self, id: &ManifestId) -> Result<Option<StoredImage>, Error> {
        let request = self
            .calls
            .client
            .describe_images()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .image_ids(identifier(id))
            .filter(DescribeImagesFilter::builder().image_status(ImageStatusFilter::Any).build());
        let answer = match self.calls.send("ecr:DescribeImages", || request.clone().send()).await {
            Ok(answer) => answer,
            Err(error) if is_absence(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(detail) = answer.image_details().first() else { return Ok(None) };
        let digest = detail.image_digest().and_then(|digest| digest.parse().ok());
        let digest = digest.ok_or(Error::Protocol("DescribeImages gave an image no digest"))?;
        Ok(Some(StoredImage { digest, tags: detail.image_tags().to_vec() }))
    }

    /// Removes tags, each with the image that has no other; the results are in the same order.
    ///
    /// Deleting goes by tag, never by digest, which would take tags along that others put meanwhile.
    ///
    /// # Errors
    /// When the call as a whole failed; a repository that is gone is no error.
    pub async fn remove_tags(&self, tags: &[String]) -> Result<Vec<Removal>, Error> {
        let mut removals = Vec::with_capacity(tags.len());
        for batch in tags.chunks(BATCH) {
            let ids = batch.iter().map(|tag| ImageIdentifier::builder().image_tag(tag).build());
            let failures = match self.delete(ids.collect()).await {
                Err(error) if is_absence(&error) => {
                    removals.extend(batch.iter().map(|_| Removal::Absent));
                    continue;
                }
                failures => failures?,
            };
            let failure_of = |tag: &str| {
                let of_tag = |failure: &&ImageFailure| {
                    failure.image_id().and_then(ImageIdentifier::image_tag) == Some(tag)
                };
                failures.iter().find(of_tag)
            };
            removals.extend(batch.iter().map(|tag| failure_of(tag).map_or(Removal::Removed, removal)));
        }
        Ok(removals)
    }

    /// Removes one tag, and the image that has no other.
    ///
    /// # Errors
    /// As [`Self::remove_tags`].
    pub async fn remove_tag(&self, tag: &str) -> Result<Removal, Error> {
        let removals = self.remove_tags(&[tag.to_owned()]).await?;
        Ok(removals.into_iter().next().unwrap_or(Removal::Absent))
    }

    /// Removes a tag if it names that image, and the image when it has no other. A tag that names
    /// something else by now counts as absent.
    ///
    /// # Errors
    /// When the call as a whole failed; a repository that is gone is no error.
    pub async fn remove_tag_of(&self, digest: &Digest, tag: &str) -> Result<Removal, Error> {
        let id = ImageIdentifier::builder().image_tag(tag).image_digest(digest.as_str()).build();
        match self.delete(vec![id]).await {
            Ok(failures) => Ok(failures.first().map_or(Removal::Removed, removal)),
            Err(error) if is_absence(&error) => Ok(Removal::Absent),
            Err(error) => Err(error),
        }
    }

    /// Removes an image of our own making by its digest, unless it has a tag by now.
    ///
    /// # Errors
    /// What ECR says.
    pub async fn remove_untagged(&self, digest: &Digest) -> Result<(), Error> {
        let id = ManifestId::Digest(digest.clone());
        if self.stored(&id).await?.is_none_or(|stored| !stored.tags.is_empty()) {
            return Ok(());
        }
        match self.delete(vec![identifier(&id)]).await?.first().map(removal) {
            Some(Removal::Refused(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Sends one call, and gives what it did not do.
    async fn delete(&self, ids: Vec<ImageIdentifier>) -> Result<Vec<ImageFailure>, Error> {
        let request = self
            .calls
            .client
            .batch_delete_image()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .set_image_ids(Some(ids));
        let answer = self.calls.send(DELETE, || request.clone().send()).await?;
        Ok(answer.failures.unwrap_or_default())
    }
}

fn is_absence(error: &Error) -> bool {
    error.has("ImageNotFoundException") || error.has("RepositoryNotFoundException")
}

fn removal(failure: &ImageFailure) -> Removal {
    match failure.failure_code() {
        Some(ImageFailureCode::ImageNotFound | ImageFailureCode::ImageTagDoesNotMatchDigest) => {
            Removal::Absent
        }
        Some(ImageFailureCode::ImageReferencedByManifestList) => Removal::ReferencedByIndex,
        code => Removal::Refused(Error::Service {
            service: DELETE.into(),
            code: code.map_or("an unknown failure", ImageFailureCode::as_str).into(),
            message: failure.failure_reason().unwrap_or_default().into(),
            attempts: 1,
            elapsed: Duration::ZERO,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{answer, ecr, refusal};

    fn repository(
        respond: impl Fn(&str, &Value) -> http::Response<String> + Send + Sync + 'static,
    ) -> EcrRepository {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
        ecr(respond).repository(&arn, None)
    }

    #[tokio::test]
    async fn results_of_single_tags_are_told_apart() {
        let repository = repository(|name, input| {
            assert_eq!(name, "BatchDeleteImage");
            assert_eq!(input["imageIds"][0], json!({"imageTag": "gone"}));
            let failure = |tag, code| json!({"imageId": {"imageTag": tag}, "failureCode": code, "failureReason": "because"});
            answer(&json!({"imageIds": [{"imageTag": "done"}], "failures": [
                failure("listed", "ImageReferencedByManifestList"),
                failure("gone", "ImageNotFound"),
                failure("odd", "KmsError")]}))
        });
        let tags = ["gone", "done", "listed", "odd"].map(String::from);
        let removals = repository.remove_tags(&tags).await.unwrap();
        assert_eq!(removals[..3], [Removal::Absent, Removal::Removed, Removal::ReferencedByIndex]);
        assert!(matches!(&removals[3], Removal::Refused(Error::Service { code, .. }) if code == "KmsError"));
    }

    #[tokio::test]
    async fn what_is_gone_is_no_error() {
        for code in ["ImageNotFoundException", "RepositoryNotFoundException"] {
            let repository = repository(move |_, _| refusal(code, "gone"));
            let id = ManifestId::Tag("1".parse().unwrap());
            assert_eq!(repository.stored(&id).await.unwrap(), None);
            assert_eq!(repository.remove_tags(&["1".into()]).await.unwrap(), [Removal::Absent]);
        }
    }

    #[tokio::test]
    async fn an_image_is_described_with_all_its_tags() {
        let digest = Digest::of(b"x");
        let details = json!([{"imageDigest": digest.as_str(), "imageTags": ["1", "latest"]}]);
        let repository = repository(move |_, input| {
            assert_eq!(input["filter"]["imageStatus"], "ANY");
            answer(&json!({"imageDetails": details}))
        });
        let stored = repository.stored(&ManifestId::Digest(digest.clone())).await.unwrap();
        assert_eq!(stored, Some(StoredImage { digest, tags: vec!["1".into(), "latest".into()] }));
    }

    #[tokio::test]
    async fn a_tag_is_removed_only_while_it_names_the_image() {
        let digest = Digest::of(b"x");
        let expected = json!([{"imageTag": "1", "imageDigest": digest.as_str()}]);
        let repository = repository(move |_, input| {
            assert_eq!(input["imageIds"], expected);
            let failure = json!({"imageId": expected[0], "failureCode": "ImageTagDoesNotMatchDigest"});
            answer(&json!({"imageIds": [], "failures": [failure]}))
        });
        assert_eq!(repository.remove_tag_of(&digest, "1").await.unwrap(), Removal::Absent);
    }

    #[tokio::test]
    async fn an_untagged_image_that_got_a_tag_meanwhile_is_kept() {
        for (tags, deletions) in [(json!([]), 1), (json!(["theirs"]), 0)] {
            let digest = Digest::of(b"x");
            let details = json!([{"imageDigest": digest.as_str(), "imageTags": tags}]);
            let deleted = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&deleted);
            let repository = repository(move |name, input| match name {
                "DescribeImages" => answer(&json!({"imageDetails": details})),
                _ => {
                    assert_eq!(input["imageIds"][0]["imageTag"], Value::Null);
                    seen.fetch_add(1, Ordering::Relaxed);
                    answer(&json!({"imageIds": [], "failures": []}))
                }
            });
            repository.remove_untagged(&digest).await.unwrap();
            assert_eq!(deleted.load(Ordering::Relaxed), deletions, "{tags}");
        }
    }
}
