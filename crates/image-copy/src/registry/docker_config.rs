//! Reads logins from a `config.json` or `auth.json`, as `docker login`, `podman login`, `skopeo login`
//! and other tools write them.
//!
//! Sources: <https://docs.docker.com/reference/cli/docker/login/#credential-stores>,
//! [containers-auth.json(5)](https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md).
//! Files and credential helpers belong to the caller. This module only reads the text.

mod document;
mod key;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::Credentials;
use crate::oci::{Registry, Repository};
use document::Entry;
use key::Key;

pub use document::without_padding;
pub use key::{covers, covers_part_of};

/// Size limit of a document in bytes. Real ones hold a few kilobytes.
pub const MAX_SIZE: usize = 1 << 20;

/// The name under which docker stores logins to Docker Hub.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// A value that is used by some registries only. If it has the wrong type, the error concerns only
/// these.
type Checked<T> = Result<T, &'static str>;

/// The logins and credential helpers of a docker `config.json`.
#[derive(Debug, Default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Checked<Entry>>,
    /// Names of helpers. An empty one switches helpers off for its registry.
    cred_helpers: BTreeMap<String, Checked<String>>,
    creds_store: Option<Checked<String>>,
}

/// A credential helper, and the name under which it knows the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialHelper<'a> {
    /// The program's name without `docker-credential-`.
    pub name: &'a str,
    /// The name of the registry in requests to the helper.
    pub key: &'a str,
}

/// A possible source of a login.
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
    entry: &'a Checked<Entry>,
}

impl DockerConfig {
    /// Reads a whole document.
    ///
    /// # Errors
    /// A clause with the damage, without a quote from the document.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        document::parse(text)
    }

    /// Reads a `.dockercfg`, which has no sections: all of it is what newer files have in `auths`.
    ///
    /// # Errors
    /// A clause with the damage, without a quote from the document.
    pub fn parse_legacy(text: &SecretString) -> Result<Self, String> {
        document::parse_legacy(text)
    }

    /// The login for `repository` in the document itself, without credential helpers.
    ///
    /// # Errors
    /// The name under which it is stored, and why it cannot be used.
    pub fn credentials_for(&self, repository: &Repository) -> Result<Option<Credentials>, String> {
        let credentials = self.stored(repository).into_iter().map(|(_, stored)| stored.credentials());
        credentials.filter_map(Result::transpose).next().transpose()
    }

    /// Sources of a login for `repository` in the order of preference. The first login counts:
    ///
    /// 1. The helper in `credHelpers` for the registry. It replaces all other sources. An empty name
    ///    switches helpers off for this registry.
    /// 2. Entries for a part of the registry, such as `quay.io/acme`. The longest one comes first.
    /// 3. The helper in `credsStore`.
    /// 4. Entries for the whole registry: the host itself, another spelling of the host, `https://`
    ///    URLs, `http://` URLs. Among equals, the order is alphabetical.
    ///
    /// # Errors
    /// The part of the document that has the wrong type.
    pub fn credential_sources<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> Result<Vec<CredentialSource<'a>>, String> {
        let own = self.cred_helpers.iter().filter_map(|(key, name)| {
            let parsed = Key::parse(key).filter(|parsed| parsed.is_whole_registry())?;
            parsed.rank(repository).map(|rank| (rank, key, name))
        });
        let mut common = None;
        match own.min_by_key(|(rank, ..)| *rank) {
            Some((_, key, name)) => {
                let name = name.as_deref().map_err(|why| format!("the helper for {key} {why}"))?;
                if !name.is_empty() {
                    return Ok(vec![CredentialSource::Helper(CredentialHelper { name, key })]);
                }
            }
            None => common = self.common_helper(repository)?,
        }
        let (whole, scoped): (Vec<_>, Vec<_>) =
            self.stored(repository).into_iter().partition(|(is_whole, _)| *is_whole);
        let stored = |(_, stored)| CredentialSource::Stored(stored);
        let scoped = scoped.into_iter().map(stored);
        Ok(scoped.chain(common.map(CredentialSource::Helper)).chain(whole.into_iter().map(stored)).collect())
    }

    /// Returns true if the document has an entry for only a part of `registry`.
    #[must_use]
    pub fn has_entry_for_part_of(&self, registry: &Registry) -> bool {
        self.auths.keys().any(|key| covers_part_of(key, registry))
    }

    fn common_helper<'a>(
        &'a self,
        repository: &'a Repository,
    ) -> Result<Option<CredentialHelper<'a>>, String> {
        let Some(name) = &self.creds_store else { return Ok(None) };
        let name = name.as_deref().map_err(|why| format!("credsStore {why}"))?;
        let registry = repository.registry();
        let key = if registry.is_docker_hub() { DOCKER_HUB } else { registry.as_str() };
        Ok((!name.is_empty()).then_some(CredentialHelper { name, key }))
    }

    /// Entries for `repository`, the preferred first, each with whether it is for the whole registry.
    fn stored(&self, repository: &Repository) -> Vec<(bool, StoredCredentials<'_>)> {
        let ranked = self.auths.iter().filter_map(|(key, entry)| {
            let parsed = Key::parse(key)?;
            let rank = parsed.rank(repository)?;
            Some((rank, (parsed.is_whole_registry(), StoredCredentials { key, entry })))
        });
        let mut ranked: Vec<_> = ranked.collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, stored)| stored).collect()
    }
}

impl StoredCredentials<'_> {
    /// The login, or `None` if the entry is empty, as docker leaves it behind for its helpers.
    ///
    /// # Errors
    /// The name under which it is stored, and why it cannot be used.
    pub fn credentials(&self) -> Result<Option<Credentials>, String> {
        let credentials = self.entry.as_ref().map_err(|why| *why).and_then(Entry::credentials);
        credentials.map_err(|why| format!("the login for {} cannot be used: {why}", self.key))
    }
}

/// Returns true if a field is empty.
fn is_empty(secret: &SecretString) -> bool {
    secret.expose_secret().is_empty()
}
