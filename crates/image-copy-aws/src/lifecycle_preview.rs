//! Images that a lifecycle policy is about to remove.

use aws_sdk_ecr::types::{ImageActionType, LifecyclePolicyPreviewResult, LifecyclePolicyPreviewStatus};
use image_copy::oci::Digest;
use image_copy::registry::Error;

use crate::repository::EcrRepository;

/// Maximum number of status requests for one preview. With pauses of up to 5 s they take several minutes.
const MAX_POLLS: u32 = 60;

/// An image that a lifecycle policy selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedImage {
    /// Digest of the image.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<String>,
    /// Priority of the rule.
    pub rule: i32,
    /// Action of the rule.
    pub action: LifecycleAction,
}

/// Action of a lifecycle rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LifecycleAction {
    /// The image is deleted.
    Expire,
    /// The image is archived. It cannot be pulled until it is restored.
    Archive,
}

impl EcrRepository {
    /// Returns the images that the repository's lifecycle policy would expire or archive now, oldest first as
    /// ECR lists them. `None` if the repository has no lifecycle policy. ECR applies the policy within 24
    /// hours (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html>).
    ///
    /// Starts a preview and waits for it. It deletes nothing.
    ///
    /// # Errors
    /// ECR's error, or `LifecyclePolicyPreviewStatus` if the preview does not complete.
    pub async fn lifecycle_preview(&self) -> Result<Option<Vec<SelectedImage>>, Error> {
        if !self.start_preview().await? {
            return Ok(None);
        }
        for poll in 1..=MAX_POLLS {
            if let Some(images) = self.preview_results().await? {
                return Ok(Some(images));
            }
            self.client.wait(poll).await;
        }
        Err(not_complete("IN_PROGRESS"))
    }

    /// Starts a preview of the repository's policy. Waits while another client's preview is in progress.
    /// Returns false if there is no policy.
    async fn start_preview(&self) -> Result<bool, Error> {
        let request = self
            .client
            .sdk
            .start_lifecycle_policy_preview()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name());
        for poll in 1..=MAX_POLLS {
            match self.client.send("ecr:StartLifecyclePolicyPreview", || request.clone().send()).await {
                Ok(_) => return Ok(true),
                Err(error) if error.has_code("LifecyclePolicyNotFoundException") => return Ok(false),
                Err(error) if error.has_code("LifecyclePolicyPreviewInProgressException") => {
                    self.client.wait(poll).await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(not_complete("IN_PROGRESS"))
    }

    /// Returns all results, or `None` while the preview is in progress.
    async fn preview_results(&self) -> Result<Option<Vec<SelectedImage>>, Error> {
        let mut images = Vec::new();
        let mut token = None;
        loop {
            let request = self
                .client
                .sdk
                .get_lifecycle_policy_preview()
                .registry_id(self.arn.account())
                .repository_name(self.arn.name())
                .set_next_token(token);
            let response =
                self.client.send("ecr:GetLifecyclePolicyPreview", || request.clone().send()).await?;
            match response.status() {
                Some(LifecyclePolicyPreviewStatus::Complete) => {}
                Some(LifecyclePolicyPreviewStatus::InProgress) | None => return Ok(None),
                Some(other) => return Err(not_complete(other.as_str())),
            }
            images.extend(response.preview_results().iter().filter_map(selected_image));
            token = response.next_token().map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(Some(images));
            }
        }
    }
}

fn selected_image(result: &LifecyclePolicyPreviewResult) -> Option<SelectedImage> {
    Some(SelectedImage {
        digest: result.image_digest()?.parse().ok()?,
        tags: result.image_tags().to_vec(),
        rule: result.applied_rule_priority().unwrap_or_default(),
        action: match result.action().and_then(|action| action.r#type()) {
            Some(ImageActionType::Transition) => LifecycleAction::Archive,
            // An unknown action is treated as the worse one.
            _ => LifecycleAction::Expire,
        },
    })
}

fn not_complete(status: &str) -> Error {
    Error::Service {
        service: "ecr:GetLifecyclePolicyPreview".into(),
        code: status.into(),
        message: "The lifecycle policy preview did not complete.".into(),
        attempts: 1,
        elapsed: std::time::Duration::ZERO,
    }
}

#[cfg(test)]
mod tests;
