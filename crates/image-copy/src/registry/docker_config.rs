//! Reads credentials from a `config.json` or `auth.json`, which `docker login`, `podman login`, `skopeo
//! login` and other tools write.
//!
//! Sources: <https://docs.docker.com/reference/cli/docker/login/#credential-stores>,
//! [containers-auth.json(5)](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md).
//! This module only parses the text. The caller reads files and runs credential helpers.

mod document;
mod key;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::Credentials;
use crate::oci::{Registry, Repository};
use document::AuthEntry;
use key::AuthKey;

pub use document::without_padding;
pub use key::{covers, covers_part_of};

/// Maximum size of a document in bytes. Real documents have a few kilobytes.
pub const MAX_SIZE: usize = 1 << 20;

/// Key of docker's credentials for Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A value for some registries. If it has the wrong type, only these registries get an error.
type FieldResult<T> = Result<T, &'static str>;

/// The credentials and credential helpers in a docker `config.json`.
#[derive(Debug, Default)]
pub struct DockerConfig {
    auths: BTreeMap<String, FieldResult<AuthEntry>>,
    /// Name of the helper for each registry. An empty name disables helpers for the registry.
    cred_helpers: BTreeMap<String, FieldResult<String>>,
    creds_store: Option<FieldResult<String>>,
}

/// A credential helper, and the name of the registry in its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialHelper<'a> {
    /// Name of the program without `docker-credential-`.
    pub name: &'a str,
    /// Name of the registry in requests to the helper.
    pub key: &'a str,
}

/// A source of credentials.
#[derive(Debug)]
pub enum CredentialSource<'a> {
    /// A program to run.
    Helper(CredentialHelper<'a>),
    /// An entry of the document.
    Stored(StoredCredentials<'a>),
}

/// An entry of the document.
#[derive(Debug)]
pub struct StoredCredentials<'a> {
    key: &'a str,
    entry: &'a FieldResult<AuthEntry>,
}

impl DockerConfig {
    /// Parses a `config.json`.
    ///
    /// # Errors
    /// The reason, without a quote from the document.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        document::parse(text)
    }

    /// Parses a `.dockercfg`, which contains only the section `auths` of newer files.
    ///
    /// # Errors
    /// The reason, without a quote from the document.
    pub fn parse_legacy(text: &SecretString) -> Result<Self, String> {
        document::parse_legacy(text)
    }

    /// Returns the stored credentials for `repository`, without credential helpers.
    ///
    /// # Errors
    /// The key of the credentials, and the reason why they are invalid.
    pub fn credentials_for(&self, repository: &Repository) -> Result<Option<Credentials>, String> {
        let credentials =
            self.matching_entries(repository).into_iter().map(|(_, stored)| stored.credentials());
        credentials.filter_map(Result::transpose).next().transpose()
    }

    /// Returns the sources of credentials for `repository` in the order of priority. The first credentials
    /// are used:
    ///
    /// 1. The helper in `credHelpers` for the registry. It replaces all other sources. An empty name disables
    ///    helpers for this registry.
    /// 2. Entries for a part of the registry, such as `quay.io/acme`. The longest one comes first.
    /// 3. The helper in `credsStore`.
    /// 4. Entries for the whole registry: the host, another spelling of the host, `https://` URLs, `http://`
    ///    URLs. Within each of these, the order is alphabetical.
    ///
    /// # Errors
    /// The part of the document that has the wrong type.
    pub fn credential_sources<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> Result<Vec<CredentialSource<'a>>, String> {
        let helpers_of_registry = self.cred_helpers.iter().filter_map(|(key, name)| {
            let parsed = AuthKey::parse(key).filter(|parsed| parsed.is_whole_registry())?;
            parsed.priority(repository).map(|priority| (priority, key, name))
        });
        let mut default_helper = None;
        match helpers_of_registry.min_by_key(|(priority, ..)| *priority) {
            Some((_, key, name)) => {
                let name = name.as_deref().map_err(|reason| format!("the helper for {key} {reason}"))?;
                if !name.is_empty() {
                    return Ok(vec![CredentialSource::Helper(CredentialHelper { name, key })]);
                }
            }
            None => default_helper = self.default_helper(repository)?,
        }
        let (for_whole, for_part): (Vec<_>, Vec<_>) =
            self.matching_entries(repository).into_iter().partition(|(is_whole, _)| *is_whole);
        let stored = |(_, stored)| CredentialSource::Stored(stored);
        let for_part = for_part.into_iter().map(stored);
        Ok(for_part
            .chain(default_helper.map(CredentialSource::Helper))
            .chain(for_whole.into_iter().map(stored))
            .collect())
    }

    /// Returns true if the document has an entry for a part of `registry`.
    #[must_use]
    pub fn has_entry_for_part_of(&self, registry: &Registry) -> bool {
        self.auths.keys().any(|key| covers_part_of(key, registry))
    }

    fn default_helper<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> Result<Option<CredentialHelper<'a>>, String> {
        let Some(name) = &self.creds_store else { return Ok(None) };
        let name = name.as_deref().map_err(|reason| format!("credsStore {reason}"))?;
        let registry = repository.registry();
        let key = if registry.is_docker_hub() { DOCKER_HUB } else { registry.as_str() };
        Ok((!name.is_empty()).then_some(CredentialHelper { name, key }))
    }

    /// Returns the entries for `repository` in the order of priority. The flag is true for an entry for the
    /// whole registry.
    fn matching_entries(&self, repository: &Repository) -> Vec<(bool, StoredCredentials<'_>)> {
        let by_priority = self.auths.iter().filter_map(|(key, entry)| {
            let parsed = AuthKey::parse(key)?;
            let priority = parsed.priority(repository)?;
            Some((priority, (parsed.is_whole_registry(), StoredCredentials { key, entry })))
        });
        let mut by_priority: Vec<_> = by_priority.collect();
        by_priority.sort_by_key(|(priority, _)| *priority);
        by_priority.into_iter().map(|(_, stored)| stored).collect()
    }
}

impl StoredCredentials<'_> {
    /// Returns the credentials, or `None` if the entry is empty. Docker writes an empty entry if a helper has
    /// the credentials.
    ///
    /// # Errors
    /// The key of the credentials, and the reason why they are invalid.
    pub fn credentials(&self) -> Result<Option<Credentials>, String> {
        let credentials = self.entry.as_ref().map_err(|reason| *reason).and_then(AuthEntry::credentials);
        credentials.map_err(|reason| format!("the login for {} cannot be used: {reason}", self.key))
    }
}

fn is_empty(secret: &SecretString) -> bool {
    secret.expose_secret().is_empty()
}
