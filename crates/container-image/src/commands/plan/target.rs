//! The repository of an image: an existing one, or one that the template creates.

use std::sync::Arc;

use image_copy::copy::Destination;
use image_copy::oci;
use image_copy_aws::{NewRepository, RepositoryArn};

use super::check::Checker;
use super::findings::ImagePlan;
use super::properties::Known;
use crate::template::{Resource, Resources, Value};

/// Destination of an image.
pub(super) enum Target {
    /// A repository with this ARN.
    Existing(RepositoryArn),
    /// A repository that the template creates. Its ARN is unknown if CloudFormation generates the name.
    New { arn: Option<RepositoryArn>, name: oci::Repository, has_policy: bool },
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
                Some(repository) => {
                    Target::New { name: arn.repository(), has_policy: has_policy(repository), arn: Some(arn) }
                }
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
            Some(repository) => Target::New { arn: None, name, has_policy: has_policy(repository) },
            None => Target::Unknown(name, unknown.to_string()),
        }
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
