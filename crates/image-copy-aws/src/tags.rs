//! Tags of a repository in ECR.

use aws_sdk_ecr::types::{DescribeImagesFilter, ImageStatusFilter, TagStatus};
use image_copy::oci::Tag;
use image_copy::registry::Error;

use crate::repository::EcrRepository;

/// Images in one response, ECR's maximum.
const PAGE: i32 = 1000;

impl EcrRepository {
    /// Lists the tags of all images, including archived ones. `DescribeImages` needs no other permission than a
    /// copy (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html>).
    ///
    /// # Errors
    /// ECR's error. A missing repository has no tags.
    pub async fn tags(&self) -> Result<Vec<Tag>, Error> {
        let filter = DescribeImagesFilter::builder()
            .tag_status(TagStatus::Tagged)
            .image_status(ImageStatusFilter::Any)
            .build();
        let mut request = self
            .client
            .sdk
            .describe_images()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .filter(filter)
            .max_results(PAGE);
        let mut tags = Vec::new();
        loop {
            let response = match self.client.send("ecr:DescribeImages", || request.clone().send()).await {
                Err(error) if error.has_code("RepositoryNotFoundException") => return Ok(Vec::new()),
                response => response?,
            };
            let names = response.image_details().iter().flat_map(|detail| detail.image_tags());
            tags.extend(names.filter_map(|name| name.parse::<Tag>().ok()));
            match response.next_token() {
                Some(token) => request = request.next_token(token),
                None => return Ok(tags),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{clients_with, failure, success};

    const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/app";

    #[tokio::test]
    async fn lists_the_tags_of_all_pages() {
        let clients = clients_with(|name, input| {
            assert_eq!((name, &input["filter"]["tagStatus"]), ("DescribeImages", &json!("TAGGED")));
            let (tags, next) = match input["nextToken"].as_str() {
                None => (json!([{"imageTags": ["1", "1.2"]}, {"imageTags": ["2"]}]), Some("page 2")),
                Some(_) => (json!([{"imageTags": ["3"]}, {}]), None),
            };
            success(&json!({"imageDetails": tags, "nextToken": next}))
        });
        let tags = clients.repository(&ARN.parse().unwrap(), None).tags().await.unwrap();
        assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["1", "1.2", "2", "3"]);
    }

    #[tokio::test]
    async fn a_missing_repository_has_no_tags() {
        let clients = clients_with(|_, _| failure("RepositoryNotFoundException", "gone"));
        assert_eq!(clients.repository(&ARN.parse().unwrap(), None).tags().await, Ok(Vec::new()));
    }
}
