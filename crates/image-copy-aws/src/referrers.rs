//! What ECR knows to refer to an image.

use aws_sdk_ecr::types::{ArtifactStatusFilter, ListImageReferrersFilter, SubjectIdentifier};
use image_copy::oci::Digest;
use image_copy::registry::Error;

use crate::repository::EcrRepository;

/// Entries on one page, the most there can be
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImageReferrers.html>).
const PAGE: i32 = 50;
/// Pages that are read: more than a thousand did not come with one image.
const MAX_PAGES: usize = 20;

impl EcrRepository {
    /// Digests of what refers to an image, archived artifacts included. Of a list that has no end, the
    /// log says so.
    ///
    /// # Errors
    /// What ECR says.
    pub async fn referrers_of(&self, subject: &Digest) -> Result<Vec<Digest>, Error> {
        let id = SubjectIdentifier::builder().image_digest(subject.as_str()).build();
        let id = id.map_err(|_| Error::Protocol("the digest makes no subject"))?;
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
            // The permission of this name, not one of its own, is what ECR demands for it.
            let answer = self.client.send("ecr:BatchGetImage", || request.clone().send()).await?;
            digests.extend(answer.referrers().iter().filter_map(|referrer| referrer.digest().parse().ok()));
            token = answer.next_token().map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(digests);
            }
        }
        tracing::warn!(%subject, read = digests.len(), "more refers to the image than is read of ECR's list");
        Ok(digests)
    }
}

#[cfg(test)]
mod tests {
    use image_copy::copy::Inventory as _;
    use serde_json::json;

    use super::*;
    use crate::testing::{answer, ecr};

    #[tokio::test]
    async fn what_refers_to_an_image_is_read_page_by_page() {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
        let all: Vec<Digest> = (0..3u8).map(|n| Digest::of(&[n])).collect();
        let (subject, listed) = (Digest::of(b"subject"), all.clone());
        let asked = subject.clone();
        let repository = ecr(move |name, input| {
            assert_eq!((name, &input["registryId"]), ("ListImageReferrers", &json!("123456789012")));
            assert_eq!(input["subjectId"]["imageDigest"], asked.as_str());
            assert_eq!(input["filter"]["artifactStatus"], "ANY");
            let entry = |digest: &Digest| json!({"digest": digest.as_str(), "mediaType": "m", "size": 1});
            match input["nextToken"].as_str() {
                None => {
                    answer(&json!({"referrers": [entry(&listed[0]), entry(&listed[1])], "nextToken": "2"}))
                }
                Some(_) => answer(&json!({"referrers": [entry(&listed[2])]})),
            }
        })
        .repository(&arn, None);
        assert_eq!(repository.referrers_of(&subject).await.unwrap(), all);
        assert_eq!(repository.lists_referrers(&subject).await, Ok(true), "without a call");
    }

    #[tokio::test]
    async fn a_list_without_end_is_read_to_its_thousandth_entry() {
        let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app".parse().unwrap();
        let entry = json!({"digest": Digest::of(b"x").as_str(), "mediaType": "m", "size": 1});
        let page = vec![entry; 50];
        let repository = ecr(move |_, _| answer(&json!({"referrers": page, "nextToken": "more"})));
        let read = repository.repository(&arn, None).referrers_of(&Digest::of(b"subject")).await;
        assert_eq!(read.unwrap().len(), 1000);
    }
}
