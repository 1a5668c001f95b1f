//! The first steps of each copy: `copy`, `sync` and `plan` share them.

use image_copy::copy::{self, CurrentState, Destination, Plan, Request, Source};
use image_copy_aws::RepositorySpec;

use crate::connection::Connection;
use crate::creation::{self, CreatedRepository, RepositoryCreation};

/// A copy whose current state is known.
pub(crate) struct Prepared<'a> {
    request: &'a Request,
    source: &'a Source,
    pub(crate) destination: Destination,
    /// Creation of a missing repository. `None` without `--create-repositories`.
    creation: Option<RepositoryCreation>,
    pub(crate) state: CurrentState,
}

/// Permission of a command to create a missing repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writes {
    Allowed,
    /// `--dry-run`.
    Forbidden,
}

impl<'a> Prepared<'a> {
    /// Reads the current state. With the settings of created repositories, a missing repository counts as empty.
    ///
    /// # Errors
    /// If the source or the destination cannot be read.
    pub(crate) async fn read(
        connection: &Connection,
        request: &'a Request,
        source: &'a Source,
        spec: Option<&RepositorySpec>,
    ) -> Result<Self, copy::Error> {
        let (destination, creation) = creation::destination(connection, &request.destination, spec).await;
        Ok(Self { creation, ..Self::of_destination(request, source, destination).await? })
    }

    /// Reads the current state of a destination.
    ///
    /// # Errors
    /// If the source or the destination cannot be read.
    pub(crate) async fn of_destination(
        request: &'a Request,
        source: &'a Source,
        destination: Destination,
    ) -> Result<Self, copy::Error> {
        let state = copy::read_current_state(request, source, &destination).await?;
        Ok(Self { request, source, destination, creation: None, state })
    }

    /// Plans the copy. Only reads.
    ///
    /// # Errors
    /// If the source or the destination cannot be read, or if the destination would reject the image.
    pub(crate) async fn plan(&self) -> Result<Plan, copy::Error> {
        copy::plan(self.request, &self.state, self.source, &self.destination).await
    }

    /// Creates the repository of the plan if it is missing. Returns the created repository.
    ///
    /// # Errors
    /// If the repository cannot be created, or if ECR cannot be read.
    pub(crate) async fn create_repository(
        &self,
        plan: &Plan,
        writes: Writes,
    ) -> Result<Option<CreatedRepository>, copy::Error> {
        match (&self.creation, writes) {
            (None, _) => Ok(None),
            (Some(creation), Writes::Allowed) => creation.run(plan).await,
            (Some(creation), Writes::Forbidden) => creation.planned(plan).await,
        }
    }
}
