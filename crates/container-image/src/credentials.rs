//! Logins as `docker login`, `podman login` and `skopeo login` leave them: in a `config.json` or
//! `auth.json`, or with the credential helper which that file names
//! (<https://docs.docker.com/reference/cli/docker/login/#credential-stores>).
//!
//! Here are the files and the order in which they are asked; [`DockerConfig`] knows what is in them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use futures_util::future::BoxFuture;
use image_copy::oci;
use image_copy::registry::docker_config::DockerConfig;
use image_copy::registry::{Credentials, Error, Login};
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::{credential_helper, system};

/// Words by which the advice on a file that was named and is not there is found.
pub(crate) const NO_SUCH_FILE: &str = "there is no such file";

/// Knows the logins of whoever runs the program. Files are read when the first registry asks.
pub(crate) struct DockerLogins {
    files: Vec<Candidate>,
    known: Mutex<HashMap<String, Result<Option<Login>, String>>>,
}

/// A file that may hold logins.
#[derive(Debug, PartialEq)]
struct Candidate {
    path: PathBuf,
    /// The user named this very file, so that it has to be there.
    named: bool,
}

impl DockerLogins {
    pub(crate) fn from_environment() -> Self {
        Self::in_files(candidates(|name| env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from)))
    }

    fn in_files(files: Vec<Candidate>) -> Self {
        Self { files, known: Mutex::default() }
    }

    async fn find(&self, host: &str) -> Result<Option<Login>, String> {
        for file in &self.files {
            let Some(config) = read(file)? else { continue };
            if let Some(login) = login(&config, host, &file.path).await? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }
}

impl Credentials for DockerLogins {
    fn login<'a>(
        &'a self,
        repository: &'a oci::Repository,
        refused: Option<&'a Login>,
    ) -> BoxFuture<'a, Result<Option<Login>, Error>> {
        Box::pin(async move {
            let host = repository.registry().api_host();
            // Held while a helper runs: it may ask its user, who should be asked once.
            let mut known = self.known.lock().await;
            // What failed once fails again, and a helper that hangs is not waited for twice.
            if let Some(found) = known.get(host)
                && (refused.is_none() || found.is_err())
            {
                return found.clone().map_err(|line| Error::Credentials(line.into()));
            }
            let found = self.find(host).await;
            known.insert(host.to_owned(), found.clone());
            found.map_err(|line| Error::Credentials(line.into()))
        })
    }
}

/// Where logins may be, the most specific place first: `REGISTRY_AUTH_FILE` is for this run alone.
fn candidates(variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<Candidate> {
    if let Some(path) = variable("REGISTRY_AUTH_FILE") {
        return vec![Candidate { path, named: true }];
    }
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    let podman = variable("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let docker = docker.map(|folder| folder.join("config.json"));
    docker.into_iter().chain(podman).map(|path| Candidate { path, named: false }).collect()
}

/// Reads a file; `None` when there is none where one may be.
fn read(file: &Candidate) -> Result<Option<DockerConfig>, String> {
    let unreadable = |why: &str| format!("the logins in {} cannot be read: {why}", system::shown(&file.path));
    let text = match fs::read_to_string(&file.path) {
        Ok(text) => SecretString::from(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !file.named => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unreadable(NO_SUCH_FILE)),
        Err(error) => return Err(unreadable(&system::words(&error))),
    };
    DockerConfig::parse(&text).map(Some).map_err(|why| unreadable(&why))
}

/// The helper for this registry alone, then the one for all, then what the file itself holds.
async fn login(config: &DockerConfig, host: &str, path: &Path) -> Result<Option<Login>, String> {
    if let Some(helper) = config.own_helper(host) {
        return credential_helper::login(helper.name, helper.key).await;
    }
    if let Some(helper) = config.common_helper(host)
        && let Some(login) = credential_helper::login(helper.name, helper.key).await?
    {
        return Ok(Some(login));
    }
    config.login(host).map_err(|why| format!("{}: {why}", system::shown(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(host: &str) -> oci::Repository {
        oci::Repository::new(host.parse().unwrap(), "acme/app").unwrap()
    }

    #[tokio::test]
    async fn reads_the_first_file_that_has_a_login() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            Candidate { path, named: false }
        };
        // "me:x" and "you:y".
        let first = file("1", r#"{"auths": {"a.example": {"auth": "bWU6eA=="}, "b.example": {}}}"#);
        let second = file("2", r#"{"auths": {"b.example": {"auth": "eW91Onk="}}}"#);
        let third = file("3", r#"{"auths": {"c.example": {"auth": "c2VjcmV0"}}}"#);
        let logins = DockerLogins::in_files(vec![first, second, third]);
        let user = async |host| logins.login(&named(host), None).await.unwrap().map(|login| login.username);
        assert_eq!(user("a.example").await.as_deref(), Some("me"));
        assert_eq!(user("b.example").await.as_deref(), Some("you"));
        assert_eq!(user("d.example").await, None);
        let unusable = logins.login(&named("c.example"), None).await.unwrap_err().to_string();
        assert!(unusable.contains("/3: the login for c.example cannot be used"), "{unusable}");
    }

    #[tokio::test]
    async fn a_damaged_file_is_an_error_that_quotes_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, r#"{"auths": {"a": "hunter2"}}"#).unwrap();
        let logins = DockerLogins::in_files(vec![Candidate { path, named: false }]);
        let error = logins.login(&named("a"), None).await.unwrap_err().to_string();
        assert!(error.contains("config.json cannot be read: line 1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn an_empty_file_is_called_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        for text in ["", "\n "] {
            fs::write(&path, text).unwrap();
            let logins = DockerLogins::in_files(vec![Candidate { path: path.clone(), named: false }]);
            let error = logins.login(&named("a"), None).await.unwrap_err().to_string();
            assert!(error.ends_with("config.json cannot be read: it is empty, where {} would do"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_failed_is_not_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let logins = DockerLogins::in_files(vec![Candidate { path: path.clone(), named: true }]);
        let first = logins.login(&named("a"), None).await.unwrap_err();
        fs::write(&path, "{}").unwrap();
        assert_eq!(logins.login(&named("a"), None).await.unwrap_err(), first);
        assert!(logins.login(&named("b"), None).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_missing_file_is_an_error_only_when_it_was_named() {
        let missing =
            |named| DockerLogins::in_files(vec![Candidate { path: "/nonexistent/auth.json".into(), named }]);
        assert!(missing(false).login(&named("a"), None).await.unwrap().is_none());
        assert!(
            missing(true)
                .login(&named("a"), None)
                .await
                .unwrap_err()
                .to_string()
                .contains("/nonexistent/auth.json")
        );
    }

    #[test]
    fn looks_where_the_environment_says() {
        let paths = |variables: &[(&str, &str)]| -> Vec<PathBuf> {
            let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, v)| v.into());
            candidates(value).into_iter().map(|file| file.path).collect()
        };
        let all = [
            ("HOME", "/h"),
            ("DOCKER_CONFIG", "/d"),
            ("XDG_RUNTIME_DIR", "/r"),
            ("REGISTRY_AUTH_FILE", "/a"),
        ];
        assert_eq!(paths(&all), [PathBuf::from("/a")]);
        assert_eq!(paths(&all[..3]), ["/d/config.json", "/r/containers/auth.json"].map(PathBuf::from));
        assert_eq!(paths(&all[..1]), [PathBuf::from("/h/.docker/config.json")]);
        assert!(paths(&[]).is_empty());
    }
}
