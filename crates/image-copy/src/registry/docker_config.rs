//! Reads logins as `docker login` and others store them, in a `config.json` or `auth.json`
//! (<https://docs.docker.com/reference/cli/docker/login/#credential-stores>).
//!
//! A login is given for the registry under whose name it was stored, and for no other. Files and
//! credential helpers are the caller's: here is but the text.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Login;
use crate::oci::Registry;

/// The name under which docker stores logins to Docker Hub, for reasons of history.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// What a docker `config.json` says about logins.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfig {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    #[serde(default)]
    cred_helpers: HashMap<String, String>,
    creds_store: Option<String>,
}

/// A credential helper, and the name under which it knows the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Helper<'a> {
    /// The program's name, without `docker-credential-`.
    pub name: &'a str,
    /// What to ask it for.
    pub key: &'a str,
}

#[derive(Debug, Deserialize)]
struct Entry {
    /// Base64 of `username:password`.
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
}

impl DockerConfig {
    /// Reads a whole document.
    ///
    /// # Errors
    /// Where it is damaged; nothing of it is quoted.
    pub fn parse(text: &SecretString) -> Result<Self, String> {
        if text.expose_secret().trim().is_empty() {
            return Err("it is empty, where {} would do".into());
        }
        // The parser's message could quote a password, so only the place is told.
        serde_json::from_str(text.expose_secret()).map_err(|error| {
            format!("line {}, column {} is not as it should be", error.line(), error.column())
        })
    }

    /// The login that the document itself holds for the registry API at `host`.
    ///
    /// # Errors
    /// Under which name it is stored, and why it cannot be used.
    pub fn login(&self, host: &str) -> Result<Option<Login>, String> {
        let stored = self.auths.iter().filter(|(key, _)| is_for(key, host));
        // Of several names for one registry, one may be left empty by a helper.
        let mut logins = stored.filter_map(|(key, entry)| {
            entry.login().map_err(|why| format!("the login for {key} cannot be used: {why}")).transpose()
        });
        logins.next().transpose()
    }

    /// The helper for the registry API at `host` alone, which replaces all else.
    #[must_use]
    pub fn own_helper(&self, host: &str) -> Option<Helper<'_>> {
        let own = self.cred_helpers.iter().find(|(key, _)| is_for(key, host));
        own.map(|(key, name)| Helper { name, key })
    }

    /// The helper for all registries, which is asked before the document itself.
    #[must_use]
    pub fn common_helper<'a>(&'a self, host: &'a str) -> Option<Helper<'a>> {
        let name = self.creds_store.as_deref().filter(|name| !name.is_empty())?;
        let key = if is_for(DOCKER_HUB, host) { DOCKER_HUB } else { host };
        Some(Helper { name, key })
    }
}

impl Entry {
    fn login(&self) -> Result<Option<Login>, &'static str> {
        let given = |secret: &&SecretString| !secret.expose_secret().is_empty();
        // Docker stores it beside an `auth` whose password is empty.
        if let Some(token) = self.identitytoken.as_ref().filter(given) {
            return Ok(Some(Login::identity_token(token.clone())));
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            return Ok(Some(Login { username: username.clone(), password: password.clone() }));
        }
        match self.auth.as_ref().filter(given) {
            Some(auth) => decode(auth).map(Some).ok_or("it is not base64 of username:password"),
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
#[must_use]
pub fn is_for(key: &str, host: &str) -> bool {
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

    fn config(text: &str) -> DockerConfig {
        DockerConfig::parse(&text.into()).unwrap()
    }

    #[track_caller]
    fn check(text: &str, host: &str, expected: Option<(&str, &str)>) {
        let found = config(text).login(host).unwrap();
        let found = found.as_ref().map(|login| (login.username.as_str(), login.password.expose_secret()));
        assert_eq!(found, expected, "{host}");
    }

    #[test]
    fn reads_logins_as_docker_and_others_store_them() {
        // "me:pa:ss", "me:secret\0", "me:x" without padding, and "me:".
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "bWU6cGE6c3M="},
            "quay.io": {"auth": "bWU6c2VjcmV0AA=="},
            "registry.example:5000": {"auth": "bWU6eA"},
            "ghcr.io": {"username": "you", "password": "token", "auth": ""},
            "acme.azurecr.io": {"auth": "bWU6", "identitytoken": "refresh"},
            "empty.example": {}
        }, "HttpHeaders": {"User-Agent": "Docker"}}"#;
        check(text, HUB, Some(("me", "pa:ss")));
        check(text, "quay.io", Some(("me", "secret")));
        check(text, "registry.example:5000", Some(("me", "x")));
        check(text, "ghcr.io", Some(("you", "token")));
        check(text, "acme.azurecr.io", Some(("<token>", "refresh")));
        check(text, "empty.example", None);
        check(text, "registry.example", None);
        check("{}", HUB, None);
        let left_over = r#"{"auths": {"docker.io": {}, "index.docker.io": {"auth": "bWU6eA"}}}"#;
        check(left_over, HUB, Some(("me", "x")));
    }

    #[test]
    fn gives_a_login_to_no_other_registry() {
        for (key, host, expected) in [
            ("docker.io", HUB, true),
            ("index.docker.io", HUB, true),
            ("https://index.docker.io/v1/", HUB, true),
            ("https://index.docker.io/v2/", HUB, true),
            ("https://registry-1.docker.io", HUB, true),
            ("https://ghcr.io", "ghcr.io", true),
            ("http://localhost:5000/v2/", "localhost:5000", true),
            ("registry.example:443", "registry.example", true),
            ("ghcr.io/acme", "ghcr.io", false),
            ("ghcr.io", "ghcr.io.evil.example", false),
            ("ghcr.io@evil.example", "evil.example", false),
            ("localhost:5000", "localhost:5001", false),
            ("", "localhost", false),
        ] {
            assert_eq!(is_for(key, host), expected, "{key} for {host}");
        }
    }

    #[test]
    fn says_which_login_is_unusable_without_showing_it() {
        let text = r#"{"auths": {"a.example": {"auth": "c2VjcmV0"}}}"#;
        assert_eq!(
            config(text).login("a.example").unwrap_err(),
            "the login for a.example cannot be used: it is not base64 of username:password"
        );
        let error = DockerConfig::parse(&r#"{"auths": {"a": "hunter2"}}"#.into()).unwrap_err();
        assert!(error.starts_with("line 1, column") && !error.contains("hunter2"), "{error}");
        let shown =
            format!("{:?}", config(r#"{"auths": {"a": {"auth": "hunter2", "password": "hunter2"}}}"#));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn names_the_helper_that_holds_a_login() {
        let helpers = config(r#"{"credHelpers": {"ghcr.io": "gh"}, "credsStore": "desktop"}"#);
        assert_eq!(helpers.own_helper("ghcr.io"), Some(Helper { name: "gh", key: "ghcr.io" }));
        assert_eq!(helpers.own_helper("quay.io"), None);
        let common = |host| helpers.common_helper(host).map(|helper| helper.key);
        assert_eq!(common(HUB), Some(DOCKER_HUB));
        assert_eq!(common("quay.io"), Some("quay.io"));
    }
}
