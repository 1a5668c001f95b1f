//! The repository of an image: an existing one, or one that the template creates.

use std::sync::Arc;

use image_copy::copy::Destination;
use image_copy::oci;
use image_copy_aws::{NewRepository, RepositoryArn};

use super::TEMPLATE_ERROR;
use super::check::Checker;
use super::findings::{Finding, Findings, ImagePlan};
use super::properties::Known;
use super::stack::{CODE, Deployed};
use crate::template::{Resource, Resources, Value};

/// Destination of an image.
pub(super) enum Target {
    /// A repository with this ARN.
    Existing(RepositoryArn),
    /// A repository that the template creates. Its ARN is unknown if CloudFormation generates the name.
    New { arn: Option<RepositoryArn>, name: oci::Repository, has_policy: bool, creator: String },
    /// The reason why the repository is unknown.
    Unknown(oci::Repository, String),
}

impl Checker<'_> {
    /// Returns the repository of an image.
    pub(super) fn target(&self, resources: &Resources, resource: &Resource, known: &Known) -> Target {
        let has_policy = |repository: &Resource| repository.properties.get("RepositoryPolicyText").is_some();
        let arn = known.properties.repository.clone();
        let Some(Value::Unknown(unknown)) = resource.properties.get("RepositoryArn") else {
            let creates = |other: &&Resource| {
                let name = other.properties.get("RepositoryName").and_then(Value::text);
                other.is_repository() && name == Some(arn.name()) && arn.host() == self.default_host
            };
            return match resources.all.iter().find(creates) {
                Some(repository) => Target::New {
                    name: arn.repository(),
                    has_policy: has_policy(repository),
                    creator: repository.name.clone(),
                    arn: Some(arn),
                },
                None => Target::Existing(arn),
            };
        };
        let created = unknown.resources.iter().filter_map(|name| resources.get(name));
        let created = created.into_iter().find(|other| other.is_repository());
        // A placeholder for the generated name, which is only compared.
        let name = created.map_or(resource.name.as_str(), |repository| repository.name.as_str());
        let name = format!("{}/{}", self.default_host, name.to_ascii_lowercase());
        let name = name.parse::<oci::Reference>().map(|reference| reference.repository);
        let name = name.unwrap_or_else(|_| arn.repository());
        match created {
            Some(repository) => Target::New {
                arn: None,
                name,
                has_policy: has_policy(repository),
                creator: repository.name.clone(),
            },
            None => Target::Unknown(name, unknown.to_string()),
        }
    }

    /// Adds a failure if CloudFormation can create the image before its repository.
    pub(super) async fn check_order(&self, target: &Target, resource: &Resource, plan: &mut ImagePlan) {
        let Target::New { name, creator, .. } = target else { return };
        if resource.dependencies.contains(creator) || self.connection.is_existing(name).await {
            return;
        }
        let text = format!(
            "Resource {creator} creates the repository, but the image does not depend on it. Use !GetAtt {creator}.Arn in \
             RepositoryArn."
        );
        plan.fail(resource.line_of("RepositoryArn"), text, TEMPLATE_ERROR);
    }

    /// Returns a failure for each repository that the update creates although it exists.
    pub(super) async fn new_repositories(
        &self,
        file: &str,
        resources: &Resources,
        deployed: &Deployed,
    ) -> Findings {
        let mut findings = Findings::default();
        let is_new = |resource: &&Resource| {
            resource.is_repository() && !deployed.physical_ids.contains_key(&resource.name)
        };
        for resource in resources.all.iter().filter(is_new) {
            let Some(name) = resource.properties.get("RepositoryName").and_then(Value::text) else {
                continue;
            };
            let Ok(reference) = format!("{}/{name}", self.default_host).parse::<oci::Reference>() else {
                continue;
            };
            if self.connection.is_existing(&reference.repository).await {
                findings.failures.push(Finding {
                    file: file.to_owned(),
                    line: resource.line_of("RepositoryName"),
                    resource: Some(resource.name.clone()),
                    text: format!(
                        "Repository {name} exists, but the stack does not own it. Import it into the stack, or change \
                         RepositoryName."
                    ),
                    code: Some(CODE),
                });
            }
        }
        findings
    }

    /// Returns the destination with its name. A repository that cannot be read counts as new.
    pub(super) async fn destination(
        &self,
        target: Target,
        resource: &Resource,
        plan: &mut ImagePlan,
    ) -> (Destination, oci::Repository) {
        let new = |name: &oci::Repository| self.new_destination(name);
        match target {
            Target::Existing(arn) => {
                let name = arn.repository();
                (self.connection.destination(&name).await, name)
            }
            // An earlier deployment can have created it.
            Target::New { arn: Some(_), name, .. } => match self.connection.existing_or_empty(&name).await {
                Some(destination) => (destination, name),
                None => (new(&name), name),
            },
            Target::New { arn: None, name, .. } => (new(&name), name),
            Target::Unknown(name, reason) => {
                plan.not_checked(resource.line_of("RepositoryArn"), format!("the repository: {reason}"));
                (new(&name), name)
            }
        }
    }

    /// Returns a destination without content. Sends nothing.
    pub(super) fn new_destination(&self, name: &oci::Repository) -> Destination {
        let registry = self.connection.client.repository(name.clone(), None);
        Destination::with_inventory(registry, Arc::new(NewRepository))
    }
}
