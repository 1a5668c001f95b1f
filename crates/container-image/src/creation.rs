//! Creation of missing ECR repositories.
//!
//! A missing repository counts as empty until the copy is planned. It is created after that, so that a source that
//! cannot be read creates nothing.

use std::fmt;
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

/// A repository that was created, or that a copy would create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreatedRepository {
    /// Registry and path.
    pub(crate) name: String,
    pub(crate) spec: RepositorySpec,
    /// Prefix of the creation template with which ECR creates the repository on push.
    pub(crate) template: Option<String>,
    /// True if nothing was created, as in a dry run.
    is_planned: bool,
}

impl fmt::Display for CreatedRepository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, spec, template, is_planned } = self;
        match (template, is_planned) {
            (Some(prefix), _) => {
                write!(f, "ECR creates repository {name} on push, by the creation template {prefix}: {spec}")
            }
            (None, true) => write!(f, "the copy creates repository {name}: {spec}"),
            (None, false) => write!(f, "created repository {name}: {spec}"),
        }
    }
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
             option, or correct the destination.",
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
    /// Creates the repository of a plan if it is missing. Returns the created repository.
    ///
    /// # Errors
    /// If the repository cannot be created, or a policy cannot be set.
    pub(crate) async fn run(&self, plan: &Plan) -> Result<Option<CreatedRepository>, copy::Error> {
        if is_existing(plan) {
            return Ok(None);
        }
        match self.repository.ensure_exists(&self.spec).await {
            Ok(Ensured::Existing) => Ok(None),
            Ok(Ensured::New(creation)) => Ok(Some(self.created(creation, false))),
            Err(error) => {
                let (operation, cause) = match error {
                    CreationError::NotCreated(cause) => (Operation::CreateRepository, cause),
                    CreationError::PolicyNotSet(cause) => (Operation::SetRepositoryPolicy, cause),
                };
                Err(plan.request.destination_failure(operation, cause))
            }
        }
    }

    /// Returns the repository that [`RepositoryCreation::run`] would create. Changes nothing.
    ///
    /// # Errors
    /// If ECR cannot be read.
    pub(crate) async fn planned(&self, plan: &Plan) -> Result<Option<CreatedRepository>, copy::Error> {
        if is_existing(plan) {
            return Ok(None);
        }
        let planned = self.repository.planned_creation(&self.spec).await;
        let planned =
            planned.map_err(|cause| plan.request.destination_failure(Operation::CreateRepository, cause))?;
        Ok(planned.map(|creation| self.created(creation, true)))
    }

    fn created(&self, creation: Creation, is_planned: bool) -> CreatedRepository {
        let name = self.repository.arn().repository().to_string();
        let (template, spec) = match creation {
            Creation::ByRequest => (None, self.spec.clone()),
            Creation::OnPush { prefix, spec } => (Some(prefix), spec),
        };
        CreatedRepository { name, spec, template, is_planned }
    }
}

/// Returns true if the plan shows that the repository exists.
fn is_existing(plan: &Plan) -> bool {
    matches!(plan.tag, TagChange::Unchanged | TagChange::Moved { from: Some(_) })
}
