//! State of one image in ECR, and the lifecycle policy of its repository.

use std::time::SystemTime;

use aws_sdk_ecr::primitives::DateTime;
use image_copy::oci::Digest;
use image_copy::registry::{Error, ManifestId};

use crate::images::identifier;
use crate::repository::EcrRepository;

/// State of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageDetails {
    /// Time of the push.
    pub pushed_at: Option<SystemTime>,
    /// Time of the last pull. ECR updates it at least once in 24 hours.
    pub last_pulled_at: Option<SystemTime>,
    /// Tags of the image.
    pub tags: Vec<String>,
    /// ECR's status, such as `ACTIVE` or `ARCHIVED`.
    pub status: Option<String>,
}

impl EcrRepository {
    /// Returns the state of an image
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageDetail.html>).
    ///
    /// # Errors
    /// ECR's error, also if the image is missing.
    pub async fn image_details(&self, digest: &Digest) -> Result<ImageDetails, Error> {
        let request = self
            .client
            .sdk
            .describe_images()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .image_ids(identifier(&ManifestId::Digest(digest.clone())));
        let response = self.client.send("ecr:DescribeImages", || request.clone().send()).await?;
        let detail = response.image_details().first();
        let detail = detail.ok_or(Error::Protocol("DescribeImages returned no image"))?;
        let time = |time: Option<&DateTime>| time.and_then(|time| SystemTime::try_from(*time).ok());
        Ok(ImageDetails {
            pushed_at: time(detail.image_pushed_at()),
            last_pulled_at: time(detail.last_recorded_pull_time()),
            tags: detail.image_tags().to_vec(),
            status: detail.image_status().map(|status| status.as_str().to_owned()),
        })
    }

    /// Returns the JSON text of the repository's lifecycle policy, if it has one.
    ///
    /// # Errors
    /// ECR's error.
    pub async fn lifecycle_policy(&self) -> Result<Option<String>, Error> {
        let request = self
            .client
            .sdk
            .get_lifecycle_policy()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name());
        match self.client.send("ecr:GetLifecyclePolicy", || request.clone().send()).await {
            Ok(response) => Ok(response.lifecycle_policy_text().map(ToOwned::to_owned)),
            Err(error) if error.has_code("LifecyclePolicyNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::json;

    use super::*;
    use crate::testing::{clients_with, success};

    const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/app";

    #[tokio::test]
    async fn returns_the_times_of_an_image() {
        let digest = Digest::of(b"x");
        let expected = digest.clone();
        let clients = clients_with(move |name, input| {
            assert_eq!(name, "DescribeImages");
            assert_eq!(input["imageIds"], json!([{"imageDigest": expected.as_str()}]));
            let detail = json!({"imagePushedAt": 1_700_000_000.5, "lastRecordedPullTime": 1_700_000_100,
                "imageStatus": "ARCHIVED", "imageTags": ["1", "latest"]});
            success(&json!({"imageDetails": [detail]}))
        });
        let details = clients.repository(&ARN.parse().unwrap(), None).image_details(&digest).await.unwrap();
        let time = |millis| Some(UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(details.pushed_at, time(1_700_000_000_500));
        assert_eq!(details.last_pulled_at, time(1_700_000_100_000));
        assert_eq!(details.status.as_deref(), Some("ARCHIVED"));
        assert_eq!(details.tags, ["1", "latest"]);
    }
}
