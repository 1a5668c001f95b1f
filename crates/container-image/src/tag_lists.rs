//! Lists the tags of repositories.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use image_copy::copy::{self, Failure, Operation, Side};
use image_copy::oci::{Registry, Repository, Tag};
use image_copy::registry::{Client, Error};

use crate::resolve::affects_registry;

/// Lists the tags of repositories. No registry counts this as a pull.
pub(crate) struct TagLists<'a> {
    client: &'a Client,
    /// Registries that failed, with the error. Each further list would fail after the same timeout.
    failed_registries: Mutex<HashMap<Registry, Error>>,
}

impl<'a> TagLists<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client, failed_registries: Mutex::default() }
    }

    /// Lists the tags of a repository in the order of the registry.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub(crate) async fn read(&self, repository: &Repository) -> Result<Vec<Tag>, Error> {
        let failed_registries = || self.failed_registries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cause) = failed_registries().get(repository.registry()) {
            return Err(cause.clone());
        }
        let tags = self.client.repository(repository.clone(), None).list_tags().await;
        tags.inspect_err(|cause| {
            if affects_registry(failure(repository, cause.clone()).problem()) {
                failed_registries().insert(repository.registry().clone(), cause.clone());
            }
        })
    }
}

/// Returns the failure of a list of tags.
pub(crate) fn failure(repository: &Repository, cause: Error) -> copy::Error {
    let (side, operation) = (Side::Source, Operation::ListTags);
    Box::new(Failure::Registry { side, operation, subject: repository.to_string(), cause })
}
