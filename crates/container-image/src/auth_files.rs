//! Credentials as `docker login`, `podman login` and `skopeo login` store them: in a `config.json` or
//! `auth.json`, or in the credential helper that the file names.
//!
//! This module locates the files. [`DockerConfig`] parses them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, io};

use futures_util::future::BoxFuture;
use image_copy::oci::Repository;
use image_copy::registry::docker_config::{CredentialHelper, CredentialSource, DockerConfig, MAX_SIZE};
use image_copy::registry::{Credentials, CredentialsProvider, Error};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::{credential_helper, display, input_file};

/// Part of the error about a missing file that the user named. The hint depends on it.
pub(crate) const NO_SUCH_FILE: &str = "the file does not exist";

/// The user's credential files. Each file is read when it is needed.
pub(crate) struct AuthFiles {
    files: Vec<AuthFile>,
    cache: Mutex<Cache>,
}

/// Results of this run. A failure is final: a helper that hangs is not started twice.
#[derive(Default)]
struct Cache {
    by_repository: HashMap<Repository, Lookup>,
    /// By name and key, because one helper serves many repositories.
    by_helper: HashMap<(String, String), Lookup>,
}

type Lookup = Result<Option<Credentials>, String>;

/// A file that can contain credentials.
#[derive(Debug, PartialEq)]
struct AuthFile {
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The user named this file, so it must exist.
    Explicit,
    /// A default location.
    Default,
    /// `~/.dockercfg`, the format of Docker before version 1.7.
    Legacy,
}

impl AuthFiles {
    /// Returns the file of `--authfile`, or else those of the environment.
    pub(crate) fn of(authfile: Option<&Path>) -> Self {
        Self::new(match authfile {
            Some(path) => vec![AuthFile { path: path.into(), kind: Kind::Explicit }],
            None => auth_files(|name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)),
        })
    }

    fn new(files: Vec<AuthFile>) -> Self {
        Self { files, cache: Mutex::default() }
    }

    async fn find(
        &self,
        repository: &Repository,
        rejected: Option<&Credentials>,
        cache: &mut Cache,
    ) -> Lookup {
        for file in &self.files {
            let Some(config) = read(file)? else { continue };
            let in_file = |reason: String| format!("{}: {reason}", display::path(&file.path));
            for source in config.credential_sources(repository).map_err(in_file)? {
                let credentials = match source {
                    CredentialSource::Helper(helper) => cache.run_helper(helper, rejected).await?,
                    CredentialSource::Stored(stored) => stored.credentials().map_err(in_file)?,
                };
                if credentials.is_some() {
                    return Ok(credentials);
                }
            }
        }
        Ok(None)
    }
}

impl Cache {
    /// Runs a helper once, and again if the registry rejected its credentials.
    async fn run_helper(&mut self, helper: CredentialHelper<'_>, rejected: Option<&Credentials>) -> Lookup {
        let key = (helper.name.to_owned(), helper.key.to_owned());
        match self.by_helper.get(&key) {
            Some(Ok(Some(credentials))) if rejected == Some(credentials) => {}
            Some(found) => return found.clone(),
            None => {}
        }
        let found = credential_helper::get(helper.name, helper.key).await;
        self.by_helper.insert(key, found.clone());
        found
    }
}

impl CredentialsProvider for AuthFiles {
    fn credentials_for<'a>(
        &'a self,
        repository: &'a Repository,
        rejected: Option<&'a Credentials>,
    ) -> BoxFuture<'a, Result<Option<Credentials>, Error>> {
        Box::pin(async move {
            // Held while a helper runs, because a helper can prompt the user.
            let mut cache = self.cache.lock().await;
            if let Some(found) = cache.by_repository.get(repository)
                && (rejected.is_none() || found.is_err())
            {
                return found.clone().map_err(|line| Error::Credentials(line.into()));
            }
            let found = self.find(repository, rejected, &mut cache).await;
            cache.by_repository.insert(repository.clone(), found.clone());
            found.map_err(|line| Error::Credentials(line.into()))
        })
    }
}

/// Returns the credential files in the order of containers-auth.json(5)
/// (<https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md>).
///
/// The order is: the file of `podman login`, `containers/auth.json` in the user's configuration, Docker's
/// file, Docker's legacy file. As in podman and skopeo, `REGISTRY_AUTH_FILE` replaces all of them.
fn auth_files(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<AuthFile> {
    if let Some(path) = variable("REGISTRY_AUTH_FILE") {
        return vec![AuthFile { path, kind: Kind::Explicit }];
    }
    let home = variable("HOME").or_else(|| variable("USERPROFILE"));
    let in_home = |path: &str| home.as_ref().map(|home| home.join(path));
    let first = runtime_folder(&variable).map(|folder| AuthFile::default_path(folder.join("auth.json")));
    let configuration = variable("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
    let configuration =
        configuration.map(|folder| AuthFile::default_path(folder.join("containers/auth.json")));
    let docker = variable("DOCKER_CONFIG").or_else(|| in_home(".docker"));
    let docker = docker.map(|folder| AuthFile::default_path(folder.join("config.json")));
    let legacy = in_home(".dockercfg").map(|path| AuthFile { path, kind: Kind::Legacy });
    let mut all: Vec<AuthFile> = Vec::new();
    for file in [first, configuration, docker, legacy].into_iter().flatten() {
        if all.iter().all(|other| other.path != file.path) {
            all.push(file);
        }
    }
    all
}

/// Returns the folder of `podman login`. Without a systemd session, as in CI and in containers,
/// `XDG_RUNTIME_DIR` is not set.
#[cfg(all(unix, not(target_os = "macos")))]
fn runtime_folder(variable: &impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let session = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers"));
    let user = rustix::process::getuid().as_raw();
    session.or_else(|| Some(format!("/run/containers/{user}").into()))
}

#[cfg(not(all(unix, not(target_os = "macos"))))]
fn runtime_folder(variable: &impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("HOME").or_else(|| variable("USERPROFILE")).map(|home| home.join(".config/containers"))
}

impl AuthFile {
    fn default_path(path: PathBuf) -> Self {
        Self { path, kind: Kind::Default }
    }
}

/// Checks a file that the user names.
///
/// # Errors
/// Reason as a clause.
pub(crate) fn check(path: &Path) -> Result<(), String> {
    read(&AuthFile { path: path.into(), kind: Kind::Explicit }).map(|_| ())
}

/// Reads a file. Returns `None` if a default file is missing or, as in Docker, not readable.
fn read(file: &AuthFile) -> Result<Option<DockerConfig>, String> {
    let unreadable =
        |reason: &str| format!("credentials file {} cannot be read: {reason}", display::path(&file.path));
    let content = match input_file::read(&file.path, MAX_SIZE as u64) {
        Ok(content) => content,
        Err(error) => {
            return match (error.kind(), file.kind) {
                (io::ErrorKind::NotFound, Kind::Explicit) => Err(unreadable(NO_SUCH_FILE)),
                (io::ErrorKind::NotFound, _) => Ok(None),
                (io::ErrorKind::PermissionDenied, Kind::Default | Kind::Legacy) => {
                    tracing::warn!("{}; the file was skipped", unreadable(&display::io_error(&error)));
                    Ok(None)
                }
                _ => Err(unreadable(&display::io_error(&error))),
            };
        }
    };
    let text = String::from_utf8(content).map_err(|_| unreadable("it is not UTF-8 text"))?;
    let text = SecretString::from(text);
    let config = match file.kind {
        Kind::Legacy => DockerConfig::parse_legacy(&text),
        Kind::Explicit | Kind::Default => DockerConfig::parse(&text),
    };
    config.map(Some).map_err(|reason| unreadable(&reason))
}

#[cfg(test)]
mod tests;
