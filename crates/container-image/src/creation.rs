//! Creation of missing ECR repositories.
//!
//! A missing repository counts as empty until the copy is planned. It is created after that, so that a source that
//! cannot be read creates nothing.

use std::sync::Arc;

use image_copy::copy::{self, Destination, Operation, Plan, TagChange};
use image_copy::oci;
use image_copy_aws::{Creation, CreationError, EcrRepository, Ensured, RepositorySpec};

use crate::args::CreationArgs;
use crate::aws::private_host;
use crate::connection::Connection;

/// Creation of a destination in private ECR if it is missing.
pub(crate) struct RepositoryCreation {
    repository: EcrRepository,
    spec: RepositorySpec,
}

/// Returns the settings of created repositories. `None` without `--create-repositories`.
///
/// # Errors
/// Error line that names the option to change, also if a destination is not in private ECR.
pub(crate) fn settings<'a>(
    args: &CreationArgs,
    destinations: impl IntoIterator<Item = &'a oci::Repository>,
) -> Result<Option<RepositorySpec>, String> {
    let spec = args.spec()?;
    let other = destinations.into_iter().find(|destination| private_host(destination).is_none());
    match other.filter(|_| spec.is_some()) {
        Some(other) => Err(format!(
            "--create-repositories supports only private Amazon ECR, but {} is another registry. Remove the \
             option, or correct --to.",
            other.registry()
        )),
        None => Ok(spec),
    }
}

/// Returns a destination. With the settings of created repositories, a missing one counts as empty, and the
/// creation is returned too.
pub(crate) async fn destination(
    connection: &Connection,
    name: &oci::Repository,
    spec: Option<&RepositorySpec>,
) -> (Destination, Option<RepositoryCreation>) {
    if let Some(spec) = spec
        && let Some(repository) = connection.signed_ecr_repository(name).await
    {
        let registry = connection.client.repository(name.clone(), None);
        let inventory = Arc::new(repository.clone().or_empty());
        let creation = RepositoryCreation { repository, spec: spec.clone() };
        return (Destination::with_inventory(registry, inventory), Some(creation));
    }
    (connection.destination(name).await, None)
}

impl RepositoryCreation {
    /// Creates the repository of a plan if it is missing. Returns a note about a created repository.
    ///
    /// # Errors
    /// If the repository cannot be created, or a policy cannot be set.
    pub(crate) async fn run(&self, plan: &Plan) -> Result<Option<String>, copy::Error> {
        if is_existing(plan) {
            return Ok(None);
        }
        match self.repository.ensure_exists(&self.spec).await {
            Ok(Ensured::Existing) => Ok(None),
            Ok(Ensured::New(creation)) => Ok(Some(self.note("created repository", &creation))),
            Err(error) => {
                let (operation, cause) = match error {
                    CreationError::NotCreated(cause) => (Operation::CreateRepository, cause),
                    CreationError::PolicyNotSet(cause) => (Operation::SetRepositoryPolicy, cause),
                };
                Err(plan.request.destination_failure(operation, cause))
            }
        }
    }

    /// Returns a note about the creation that [`RepositoryCreation::run`] would start. Changes nothing.
    ///
    /// # Errors
    /// If ECR cannot be read.
    pub(crate) async fn planned(&self, plan: &Plan) -> Result<Option<String>, copy::Error> {
        if is_existing(plan) {
            return Ok(None);
        }
        let planned = self.repository.planned_creation(&self.spec).await;
        let planned =
            planned.map_err(|cause| plan.request.destination_failure(Operation::CreateRepository, cause))?;
        Ok(planned.map(|creation| self.note("the copy creates repository", &creation)))
    }

    fn note(&self, words: &str, creation: &Creation) -> String {
        let name = self.repository.arn().repository();
        match creation {
            Creation::ByRequest => format!("{words} {name}: {}", self.spec),
            Creation::OnPush { prefix, spec } => {
                format!("ECR creates repository {name} on push, by the creation template {prefix}: {spec}")
            }
        }
    }
}

/// Returns true if the plan shows that the repository exists.
fn is_existing(plan: &Plan) -> bool {
    matches!(plan.tag, TagChange::Unchanged | TagChange::Moved { from: Some(_) })
}
