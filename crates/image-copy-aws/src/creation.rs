//! Creation of repositories.

use aws_sdk_ecr::types::{
    ImageScanningConfiguration, RctAppliedFor, RepositoryCreationTemplate, Tag as ResourceTag,
};
use image_copy::registry::Error;

use crate::repository::EcrRepository;
use crate::repository_spec::RepositorySpec;

/// Prefix of the template for repositories without another template.
const ROOT: &str = "ROOT";

/// A way to create a missing repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// By `CreateRepository`.
    ByRequest,
    /// By ECR itself, when an image is pushed. ECR applies a repository creation template of the registry
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html>).
    OnPush {
        /// Prefix of the template.
        prefix: String,
        /// Settings of the template.
        spec: RepositorySpec,
    },
}

/// Result of [`EcrRepository::ensure_exists`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ensured {
    /// The repository exists. Its settings are unchanged.
    Existing,
    /// The repository was missing, and will be or was created this way.
    New(Creation),
}

/// A failed creation.
#[derive(Debug, thiserror::Error)]
pub enum CreationError {
    /// The repository was not created.
    #[error("{0}")]
    NotCreated(Error),
    /// The repository was created, but a policy was not set. A later run leaves its settings unchanged.
    #[error("{0}")]
    PolicyNotSet(Error),
}

impl EcrRepository {
    /// Creates the repository with these settings if it is missing. An existing repository is unchanged,
    /// also if another client creates it at the same time.
    ///
    /// Without settings, a creation template for pushes that matches the name has priority. The repository
    /// is then missing until the first push: see [`EcrRepository::or_empty`].
    ///
    /// # Errors
    /// ECR's error.
    pub async fn ensure_exists(&self, spec: &RepositorySpec) -> Result<Ensured, CreationError> {
        match self.planned_creation(spec).await.map_err(CreationError::NotCreated)? {
            None => Ok(Ensured::Existing),
            Some(Creation::ByRequest) => self.create(spec).await,
            Some(on_push) => Ok(Ensured::New(on_push)),
        }
    }

    /// Returns the creation that [`EcrRepository::ensure_exists`] would choose. `None` if the repository
    /// exists. Changes nothing.
    ///
    /// # Errors
    /// ECR's error.
    pub async fn planned_creation(&self, spec: &RepositorySpec) -> Result<Option<Creation>, Error> {
        if self.exists().await? {
            return Ok(None);
        }
        // `CreateRepository` uses no template, so explicit settings would be lost with one.
        let template =
            if *spec == RepositorySpec::default() { self.template_for_push().await? } else { None };
        Ok(Some(template.unwrap_or(Creation::ByRequest)))
    }

    async fn exists(&self) -> Result<bool, Error> {
        match self.describe().await {
            Ok(_) => Ok(true),
            Err(error) if error.has_code("RepositoryNotFoundException") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns the creation template that ECR applies to a push into this repository. The longest prefix
    /// wins, and `ROOT` applies to repositories without another template.
    async fn template_for_push(&self) -> Result<Option<Creation>, Error> {
        let mut best: Option<RepositoryCreationTemplate> = None;
        let mut token = None;
        loop {
            let request = self.client.sdk.describe_repository_creation_templates().set_next_token(token);
            let action = "ecr:DescribeRepositoryCreationTemplates";
            let response = self.client.send(action, || request.clone().send()).await?;
            // The call returns the templates of the caller's account.
            if response.registry_id() != Some(self.arn.account()) {
                return Ok(None);
            }
            let templates = response.repository_creation_templates().iter();
            let applying = templates.filter(|template| applies_to_push(template, self.arn.name()));
            best = applying.cloned().chain(best).max_by_key(specificity);
            token = response.next_token().map(ToOwned::to_owned);
            if token.is_none() {
                break;
            }
        }
        Ok(best.map(|template| Creation::OnPush {
            prefix: template.prefix().unwrap_or_default().to_owned(),
            spec: RepositorySpec::of_template(&template),
        }))
    }

    async fn create(&self, spec: &RepositorySpec) -> Result<Ensured, CreationError> {
        let scanning = ImageScanningConfiguration::builder().scan_on_push(true).build();
        let tags = spec.tags.iter();
        let tags: Vec<_> = tags
            .filter_map(|(key, value)| ResourceTag::builder().key(key).value(value).build().ok())
            .collect();
        let request = self
            .client
            .sdk
            .create_repository()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .image_tag_mutability(spec.mutability.mode())
            .set_image_tag_mutability_exclusion_filters(spec.mutability.filters())
            .set_image_scanning_configuration(spec.scan_on_push.then_some(scanning))
            .set_encryption_configuration(spec.encryption.configuration())
            .set_tags(Some(tags).filter(|tags| !tags.is_empty()));
        match self.client.send("ecr:CreateRepository", || request.clone().send()).await {
            Ok(_) => {}
            // Another client was faster, or a repeated request succeeded before.
            Err(error) if error.has_code("RepositoryAlreadyExistsException") => return Ok(Ensured::Existing),
            Err(error) => return Err(CreationError::NotCreated(error)),
        }
        self.set_policies(spec).await.map_err(CreationError::PolicyNotSet)?;
        Ok(Ensured::New(Creation::ByRequest))
    }

    async fn set_policies(&self, spec: &RepositorySpec) -> Result<(), Error> {
        let (sdk, account, name) = (&self.client.sdk, self.arn.account(), self.arn.name());
        if let Some(text) = &spec.lifecycle_policy {
            let request = sdk.put_lifecycle_policy().registry_id(account).repository_name(name);
            let request = request.lifecycle_policy_text(text);
            self.client.send("ecr:PutLifecyclePolicy", || request.clone().send()).await?;
        }
        if let Some(text) = &spec.repository_policy {
            let request = sdk.set_repository_policy().registry_id(account).repository_name(name);
            let request = request.policy_text(text);
            self.client.send("ecr:SetRepositoryPolicy", || request.clone().send()).await?;
        }
        Ok(())
    }
}

/// Returns true if ECR applies a template when it creates a repository on push. "There is always an assumed /
/// applied to the end of the prefix"
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepositoryCreationTemplate.html>).
fn applies_to_push(template: &RepositoryCreationTemplate, name: &str) -> bool {
    let prefix = template.prefix().unwrap_or_default();
    let is_below = name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'));
    template.applied_for().contains(&RctAppliedFor::CreateOnPush) && (prefix == ROOT || is_below)
}

fn specificity(template: &RepositoryCreationTemplate) -> usize {
    template.prefix().filter(|prefix| *prefix != ROOT).map_or(0, str::len)
}

#[cfg(test)]
mod tests;
