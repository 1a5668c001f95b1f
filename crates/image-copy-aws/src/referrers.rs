//! Lists the referrers of an image.

use aws_sdk_ecr::types::{ArtifactStatusFilter, ListImageReferrersFilter, SubjectIdentifier};
use image_copy::oci::Digest;
use image_copy::registry::Error;

use crate::repository::EcrRepository;

/// Maximum number of entries on a page
const PAGE: i32 = 50;
/// Maximum number of pages that are read. One image does not have more than a thousand referrers.
const MAX_PAGES: usize = 20;

impl EcrRepository {
    /// Returns the digests of an image's referrers, including archived ones. Logs a warning if the list is
    /// too long.
    ///
    /// # Errors
    /// ECR's error.
    pub async fn list_referrers(&self, subject: &Digest) -> Result<Vec<Digest>, Error> {
        let id = SubjectIdentifier::builder().image_digest(subject.as_str()).build();
        let id = id.map_err(|_| Error::Protocol("the digest is not valid for ListImageReferrers"))?;
        let any = ListImageReferrersFilter::builder().artifact_status(ArtifactStatusFilter::Any).build();
        let mut digests = Vec::new();
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let request = self
                .client
                .sdk
                .list_image_referrers()
                .registry_id(self.arn.account())
                .repository_name(self.arn.name())
                .subject_id(id.clone())
                .filter(any.clone())
                .max_results(PAGE)
                .set_next_token(token);
            // ECR requires the permission `ecr:BatchGetImage` for this action.
            let response = self.client.send("ecr:BatchGetImage", || request.clone().send()).await?;
            digests.extend(response.referrers().iter().filter_map(|referrer| referrer.digest().parse().ok()));
            token = response.next_token().map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(digests);
            }
        }
        tracing::warn!(%subject, read = digests.len(), "the image has more referrers than the maximum that is read");
        Ok(digests)
    }
}

#[cfg(test)]
mod tests {
    use image_copy::copy::Inventory as _;
    use serde_json::json;

    use super::*;
    use crate::testing::{clients_with, success};

    #[tokio::test]
    async fn reads_the_list_of_referrers_page_by_page() {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
        let all: Vec<Digest> = (0..3u8).map(|n| Digest::of(&[n])).collect();
        let (subject, listed) = (Digest::of(b"subject"), all.clone());
        let expected = subject.clone();
        let repository = clients_with(move |name, input| {
            assert_eq!((name, &input["registryId"]), ("ListImageReferrers", &json!("123456789012")));
            assert_eq!(input["subjectId"]["imageDigest"], expected.as_str());
            assert_eq!(input["filter"]["artifactStatus"], "ANY");
            let entry = |digest: &Digest| json!({"digest": digest.as_str(), "mediaType": "m", "size": 1});
            match input["nextToken"].as_str() {
                None => {
                    success(&json!({"referrers": [entry(&listed[0]), entry(&listed[1])], "nextToken": "2"}))
                }
                Some(_) => success(&json!({"referrers": [entry(&listed[2])]})),
            }
        })
        .repository(&arn, None);
        assert_eq!(repository.list_referrers(&subject).await.unwrap(), all);
        assert_eq!(repository.lists_referrers(&subject).await, Ok(true), "without a call");
    }

    #[tokio::test]
    async fn stops_after_a_thousand_entries() {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
        let entry = json!({"digest": Digest::of(b"x").as_str(), "mediaType": "m", "size": 1});
        let page = vec![entry; 50];
        let repository = clients_with(move |_, _| success(&json!({"referrers": page, "nextToken": "more"})));
        let read = repository.repository(&arn, None).list_referrers(&Digest::of(b"subject")).await;
        assert_eq!(read.unwrap().len(), 1000);
    }
}
