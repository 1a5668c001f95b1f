//! Logins as `docker login`, `podman login` and `skopeo login` leave them: in a `config.json` or
//! `auth.json`, or with the credential helper which that file names
//! (<https://docs.docker.com/reference/cli/docker/login/#credential-stores>).
//!
//! A login is given for the registry under whose name it was stored, and for no other.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use futures_util::future::BoxFuture;
use image_copy::oci::Registry;
use image_copy::registry::{Credentials, Error, Login};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::credential_helper;

/// The name under which docker stores logins to Docker Hub, for reasons of history.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

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
            let Some(config) = Config::read(file)? else { continue };
            if let Some(login) = config.login(host, &file.path).await? {
                return Ok(Some(login));
            }
        }
        Ok(None)
    }
}

impl Credentials for DockerLogins {
    fn login<'a>(
        &'a self,
        host: &'a str,
        refused: Option<&'a Login>,
    ) -> BoxFuture<'a, Result<Option<Login>, Error>> {
        Box::pin(async move {
            // Held while a helper runs: it may ask its user, who should be asked once.
            let mut known = self.known.lock().await;
            // What failed once fails again, and a helper that hangs is not waited for twice.
            if let Some(found) = known.get(host)
                && (refused.is_none() || found.is_err())
            {
                return found.clone().map_err(Error::Credentials);
            }
            let found = self.find(host).await;
            known.insert(host.to_owned(), found.clone());
            found.map_err(Error::Credentials)
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize)]
struct Entry {
    /// Base64 of `username:password`.
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
}

impl Config {
    fn read(file: &Candidate) -> Result<Option<Self>, String> {
        let path = file.path.display();
        let text = match fs::read_to_string(&file.path) {
            Ok(text) => SecretString::from(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !file.named => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(format!("the logins in {path} cannot be read: {NO_SUCH_FILE}"));
            }
            Err(error) => return Err(format!("the logins in {path} cannot be read: {error}")),
        };
        // The parser's message could quote a password, so only the place is told.
        serde_json::from_str(text.expose_secret()).map(Some).map_err(|error| {
            format!(
                "the logins in {path} cannot be read: line {}, column {} is not as it should be",
                error.line(),
                error.column()
            )
        })
    }

    /// The helper for this registry alone, then the one for all, then what the file itself holds.
    async fn login(&self, host: &str, path: &Path) -> Result<Option<Login>, String> {
        let own = self.cred_helpers.iter().find(|(key, _)| is_for(key, host));
        if let Some((key, helper)) = own {
            return credential_helper::login(helper, key).await;
        }
        if let Some(helper) = self.creds_store.as_deref().filter(|name| !name.is_empty()) {
            let key = if is_for(DOCKER_HUB, host) { DOCKER_HUB } else { host };
            if let Some(login) = credential_helper::login(helper, key).await? {
                return Ok(Some(login));
            }
        }
        let stored = self.auths.iter().find(|(key, _)| is_for(key, host));
        stored.map_or(Ok(None), |(key, entry)| entry.login(key, path))
    }
}

impl Entry {
    fn login(&self, key: &str, path: &Path) -> Result<Option<Login>, String> {
        let unusable = |why: &str| format!("the login for {key} in {} cannot be used: {why}", path.display());
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            return Ok(Some(Login { username: username.clone(), password: password.clone() }));
        }
        if let Some(auth) = self.auth.as_ref().filter(|auth| !auth.expose_secret().is_empty()) {
            let login = decode(auth).ok_or_else(|| unusable("it is not base64 of username:password"))?;
            return Ok(Some(login));
        }
        match self.identitytoken {
            Some(_) => Err(unusable("it is an identity token; log in with a user name and an access token")),
            // Docker leaves an empty entry behind for what its helper holds.
            None => Ok(None),
        }
    }
}

/// Docker pads the text, and used to pad what is inside with NUL; others do neither.
fn decode(auth: &SecretString) -> Option<Login> {
    let tolerant = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&STANDARD, tolerant).decode(auth.expose_secret().trim()).ok()?;
    let text = SecretString::from(String::from_utf8(bytes).ok()?);
    let (username, password) = text.expose_secret().split_once(':')?;
    Some(Login { username: username.into(), password: password.trim_end_matches('\0').into() })
}

/// Whether a login stored under `key` is for the registry API at `host`. Keys are hosts; old ones
/// are URLs, such as Docker Hub's.
fn is_for(key: &str, host: &str) -> bool {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let (key, path) = key.split_once('/').unwrap_or((key, ""));
    // Podman can store a login for a part of a registry, which says nothing of the rest.
    let is_whole = matches!(path.trim_end_matches('/'), "" | "v1" | "v2");
    is_whole && key.parse::<Registry>().is_ok_and(|registry| registry.api_host() == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: &str = "registry-1.docker.io";

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    async fn login(text: &str, host: &str) -> Result<Option<(String, String)>, String> {
        let found = config(text).login(host, Path::new("config.json")).await?;
        Ok(found.map(|login| (login.username, login.password.expose_secret().to_owned())))
    }

    #[track_caller]
    fn pair(found: Result<Option<(String, String)>, String>) -> (String, String) {
        found.unwrap().unwrap()
    }

    #[tokio::test]
    async fn reads_logins_as_docker_and_others_store_them() {
        // "me:pa:ss", "me:secret\0" and "me:x" without padding.
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6cGE6c3M="},
            "quay.io": {"auth": "bWU6c2VjcmV0AA=="},
            "registry.example:5000": {"auth": "bWU6eA"},
            "ghcr.io": {"username": "you", "password": "token", "auth": ""},
            "empty.example": {}
        }}"#;
        assert_eq!(pair(login(text, HUB).await), ("me".into(), "pa:ss".into()));
        assert_eq!(pair(login(text, "quay.io").await), ("me".into(), "secret".into()));
        assert_eq!(pair(login(text, "registry.example:5000").await), ("me".into(), "x".into()));
        assert_eq!(pair(login(text, "ghcr.io").await), ("you".into(), "token".into()));
        assert_eq!(login(text, "empty.example").await, Ok(None));
        assert_eq!(login(text, "registry.example").await, Ok(None));
        assert_eq!(login("{}", HUB).await, Ok(None));
    }

    #[test]
    fn gives_a_login_to_no_other_registry() {
        for (key, host, expected) in [
            ("docker.io", HUB, true),
            ("index.docker.io", HUB, true),
            ("https://index.docker.io/v1/", HUB, true),
            ("https://ghcr.io", "ghcr.io", true),
            ("http://localhost:5000/v2/", "localhost:5000", true),
            ("registry.example:443", "registry.example", true),
            ("ghcr.io/acme", "ghcr.io", false),
            ("ghcr.io", "ghcr.io.evil.example", false),
            ("localhost:5000", "localhost:5001", false),
            ("", "localhost", false),
        ] {
            assert_eq!(is_for(key, host), expected, "{key} for {host}");
        }
    }

    #[tokio::test]
    async fn says_which_login_is_unusable_without_showing_it() {
        let text =
            r#"{"auths": {"a.example": {"auth": "c2VjcmV0"}, "b.example": {"identitytoken": "secret"}}}"#;
        let plain = login(text, "a.example").await.unwrap_err();
        assert_eq!(
            plain,
            "the login for a.example in config.json cannot be used: it is not base64 of username:password"
        );
        let token = login(text, "b.example").await.unwrap_err();
        assert!(token.contains("identity token") && !token.contains("secret"), "{token}");
    }

    #[tokio::test]
    async fn a_damaged_file_is_an_error_that_quotes_nothing_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, r#"{"auths": {"a": "hunter2"}}"#).unwrap();
        let logins = DockerLogins::in_files(vec![Candidate { path, named: false }]);
        let error = logins.login("a", None).await.unwrap_err().to_string();
        assert!(error.contains("config.json cannot be read: line 1"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn what_failed_is_not_asked_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let logins = DockerLogins::in_files(vec![Candidate { path: path.clone(), named: true }]);
        let first = logins.login("a", None).await.unwrap_err();
        fs::write(&path, "{}").unwrap();
        assert_eq!(logins.login("a", None).await.unwrap_err(), first);
        assert!(logins.login("b", None).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_missing_file_is_an_error_only_when_it_was_named() {
        let missing =
            |named| DockerLogins::in_files(vec![Candidate { path: "/nonexistent/auth.json".into(), named }]);
        assert!(missing(false).login("a", None).await.unwrap().is_none());
        assert!(
            missing(true).login("a", None).await.unwrap_err().to_string().contains("/nonexistent/auth.json")
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
