//! What a secret holds, and for which registries: pure functions.
//!
//! | form | used by |
//! |---|---|
//! | `{"username", "password"}` | ECS (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html>) |
//! | `{"username", "accessToken"}` | ECR's pull-through cache |
//! | either with `"registry"`, a host or a list of them | |
//! | a whole docker `config.json` | Kubernetes, `docker login` |
//!
//! Nothing of a secret is ever part of an error: only names that somebody else gave are.

use std::collections::HashMap;

use image_copy::oci::Registry;
use image_copy::registry::Login;
use image_copy::registry::docker_config::{self, DockerConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// One or several logins, as a secret holds them. Its `Debug` shows no password.
#[derive(Debug)]
pub struct LoginSecret(Form);

#[derive(Debug)]
enum Form {
    /// One login, and the registries that stand beside it.
    Single {
        login: Login,
        registries: Vec<String>,
    },
    Config(DockerConfig),
}

/// Why a secret is of no use; the text goes on from its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The text is no JSON object.
    #[error("holds no JSON object")]
    NotJson,
    /// The key that the ARN names is not there.
    #[error("has no key \"{0}\", which its ARN names")]
    NoKey(String),
    /// A part is missing or of the wrong type.
    #[error("holds no login: {0}")]
    NoLogin(&'static str),
    /// The docker `config.json` is damaged.
    #[error("holds a docker config.json that cannot be read: {0}")]
    Config(String),
    /// A login without a host, for another registry than Docker Hub.
    #[error("names no registry for its login, which is then for docker.io and not for {0}")]
    HostMissing(Registry),
    /// A login for other registries.
    #[error("holds a login for other registries than {0}")]
    OtherHost(Registry),
    /// A `config.json` without this registry.
    #[error("holds a docker config.json without a login for {0}")]
    NotInConfig(Registry),
}

impl Unusable {
    /// What to change in the secret, in one sentence.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotJson | Self::NoLogin(_) => {
                r#"Store {"username": …, "password": …} in it, or a docker config.json."#.into()
            }
            Self::NoKey(_) => "Correct the part of the ARN after the secret's name.".into(),
            Self::Config(_) => "Correct the docker config.json in it.".into(),
            Self::HostMissing(registry) => {
                format!(r#"If it is for {registry}, add "registry": "{registry}" to the secret."#)
            }
            Self::OtherHost(registry) => {
                format!(r#"If it is for {registry} too, add "{registry}" to "registry" in the secret."#)
            }
            Self::NotInConfig(registry) => {
                format!(
                    r#"Add "{registry}" with "auth" to "auths" in it: credential helpers cannot be run here."#
                )
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    username: Option<String>,
    password: Option<SecretString>,
    access_token: Option<SecretString>,
    registry: Option<OneOrSeveral>,
    auths: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

impl LoginSecret {
    /// Reads a secret's text, or what is under `json_key` in it.
    ///
    /// # Errors
    /// When there is no login in it.
    pub fn parse(text: &SecretString, json_key: Option<&str>) -> Result<Self, Unusable> {
        match json_key {
            Some(key) => Self::of_text(&value_of(text, key)?),
            None => Self::of_text(text),
        }
    }

    fn of_text(text: &SecretString) -> Result<Self, Unusable> {
        // Whether it is an object, before the types of its fields can be wrong.
        serde_json::from_str::<HashMap<String, IgnoredAny>>(text.expose_secret())
            .map_err(|_| Unusable::NotJson)?;
        let fields: Fields = serde_json::from_str(text.expose_secret()).map_err(|_| {
            Unusable::NoLogin("username, password, accessToken or registry is not of the right type")
        })?;
        if fields.auths.is_some() {
            let config = DockerConfig::parse(text).map_err(Unusable::Config)?;
            return Ok(Self(Form::Config(config)));
        }
        let username = fields.username.filter(|name| !name.is_empty());
        let username = username.ok_or(Unusable::NoLogin("it has no username"))?;
        let password = [fields.password, fields.access_token].into_iter().flatten();
        let password = password.into_iter().find(|password| !password.expose_secret().is_empty());
        let password = password.ok_or(Unusable::NoLogin("it has neither a password nor an accessToken"))?;
        let registries = match fields.registry {
            None => Vec::new(),
            Some(OneOrSeveral::One(host)) => vec![host],
            Some(OneOrSeveral::Several(hosts)) => hosts,
        };
        Ok(Self(Form::Single { login: Login { username, password }, registries }))
    }

    /// The login for `registry`, if it may go there: where a `config.json` or the field `registry`
    /// says, or where `listed` does, the registries for which the installer listed this secret. A
    /// login that nobody gave a host is Docker Hub's.
    ///
    /// # Errors
    /// When it may not go there.
    pub fn login(&self, registry: &Registry, listed: &[Registry]) -> Result<Login, Unusable> {
        match &self.0 {
            Form::Config(config) => {
                let login = config.login(registry.api_host()).map_err(Unusable::Config)?;
                login.ok_or_else(|| Unusable::NotInConfig(registry.clone()))
            }
            Form::Single { login, registries } => {
                let is_stated =
                    registries.iter().any(|name| docker_config::is_for(name, registry.api_host()));
                let is_nobodys = registries.is_empty() && listed.is_empty();
                if is_stated || listed.contains(registry) || (is_nobodys && registry.is_docker_hub()) {
                    Ok(login.clone())
                } else if is_nobodys {
                    Err(Unusable::HostMissing(registry.clone()))
                } else {
                    Err(Unusable::OtherHost(registry.clone()))
                }
            }
        }
    }
}

/// What is under a key: JSON in a text, as ECS would give it to a container, or an object.
fn value_of(text: &SecretString, key: &str) -> Result<SecretString, Unusable> {
    let mut values: HashMap<String, Box<RawValue>> =
        serde_json::from_str(text.expose_secret()).map_err(|_| Unusable::NotJson)?;
    let value = values.remove(key).ok_or_else(|| Unusable::NoKey(key.to_owned()))?;
    Ok(serde_json::from_str::<SecretString>(value.get()).unwrap_or_else(|_| value.get().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = r#"{"username": "me", "password": "planted-1"}"#;
    const TOKEN: &str = r#"{"username": "me", "accessToken": "planted-2", "note": 3}"#;
    const OF_GHCR: &str = r#"{"username": "me", "password": "planted-1", "registry": "GHCR.io"}"#;
    const OF_TWO: &str = r#"{"username": "me", "password": "planted-1", "registry": ["ghcr.io", "https://index.docker.io/v1/"]}"#;
    // "me:planted-1"
    const CONFIG: &str = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6cGxhbnRlZC0x"},
        "quay.io": {"username": "me", "password": "planted-2"}}}"#;

    /// The password for a registry, or the error.
    fn password(text: &str, registry: &str, listed: &[&str]) -> Result<String, String> {
        let listed: Vec<Registry> = listed.iter().map(|host| host.parse().unwrap()).collect();
        let secret = LoginSecret::parse(&text.into(), None).map_err(|error| error.to_string())?;
        let login = secret.login(&registry.parse().unwrap(), &listed).map_err(|error| error.to_string())?;
        assert_eq!(login.username, "me");
        Ok(login.password.expose_secret().to_owned())
    }

    #[test]
    fn a_login_goes_where_it_is_for_and_nowhere_else() {
        let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"];
        let others = ["ghcr.io", "quay.io", "public.ecr.aws", "evil.example", "docker.io.evil.example"];
        for (text, listed, expected) in [
            (BARE, &[][..], &hub[..]),
            (TOKEN, &[], &hub),
            // Whom the installer gives it to, it is for, and then no longer Docker Hub's.
            (BARE, &["quay.io"], &["quay.io"]),
            (OF_GHCR, &[], &["ghcr.io"]),
            (OF_GHCR, &["quay.io"], &["ghcr.io", "quay.io"]),
            (OF_TWO, &[], &[&hub[..], &["ghcr.io"]].concat()),
            (CONFIG, &[], &[&hub[..], &["quay.io"]].concat()),
            // A config.json names its hosts itself.
            (CONFIG, &["ghcr.io"], &[&hub[..], &["quay.io"]].concat()),
        ] {
            for host in hub.iter().chain(&others) {
                let found = password(text, host, listed);
                assert_eq!(found.is_ok(), expected.contains(host), "{host} {listed:?} {text} {found:?}");
            }
        }
        assert_eq!(password(TOKEN, "docker.io", &[]).unwrap(), "planted-2");
        assert_eq!(password(CONFIG, "docker.io", &[]).unwrap(), "planted-1");
        assert_eq!(password(CONFIG, "quay.io", &[]).unwrap(), "planted-2");
    }

    #[test]
    fn what_to_add_is_said_in_full() {
        let gcr: Registry = "gcr.io".parse().unwrap();
        for (text, what, remedy) in [
            (
                BARE,
                "names no registry for its login, which is then for docker.io and not for gcr.io",
                r#"If it is for gcr.io, add "registry": "gcr.io" to the secret."#,
            ),
            (
                OF_GHCR,
                "holds a login for other registries than gcr.io",
                r#"If it is for gcr.io too, add "gcr.io" to "registry" in the secret."#,
            ),
            (
                CONFIG,
                "holds a docker config.json without a login for gcr.io",
                r#"Add "gcr.io" with "auth" to "auths" in it: credential helpers cannot be run here."#,
            ),
        ] {
            let error = LoginSecret::parse(&text.into(), None).unwrap().login(&gcr, &[]).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.remedy().as_str()), (what, remedy));
        }
    }

    #[test]
    fn what_is_no_login_is_told_without_its_value() {
        for (text, expected) in [
            ("planted", "holds no JSON object"),
            ("\"planted\"", "holds no JSON object"),
            ("[\"planted\"]", "holds no JSON object"),
            ("{\"username\": \"planted\"", "holds no JSON object"),
            ("", "holds no JSON object"),
            ("{}", "holds no login: it has no username"),
            (r#"{"username": "planted"}"#, "holds no login: it has neither a password nor an accessToken"),
            (r#"{"username": "planted", "password": ""}"#, "holds no login: it has neither"),
            (r#"{"username": "me", "password": ["planted"]}"#, "holds no login: username, password"),
            (r#"{"username": "me", "password": "planted", "registry": {}}"#, "holds no login: username"),
            (r#"{"auths": ["planted"]}"#, "holds a docker config.json that cannot be read: line 1"),
            (
                r#"{"auths": {"docker.io": {"auth": "planted!"}}}"#,
                "holds a docker config.json that cannot be",
            ),
        ] {
            let error = password(text, "docker.io", &[]).unwrap_err();
            assert!(error.starts_with(expected), "{text} {error}");
            assert!(!error.contains("planted") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn a_key_selects_one_of_several() {
        let text = format!(r#"{{"hub": {BARE}, "text": {}, "n": 3}}"#, serde_json::json!(OF_GHCR));
        let parse = |key| LoginSecret::parse(&text.as_str().into(), Some(key));
        let (hub, ghcr) = ("docker.io".parse().unwrap(), "ghcr.io".parse().unwrap());
        assert!(parse("hub").unwrap().login(&hub, &[]).is_ok());
        assert!(parse("text").unwrap().login(&ghcr, &[]).is_ok());
        assert_eq!(parse("n").unwrap_err(), Unusable::NotJson);
        let error = parse("absent").unwrap_err().to_string();
        assert_eq!(error, "has no key \"absent\", which its ARN names");
    }

    #[test]
    fn nothing_of_it_can_be_printed() {
        for text in [BARE, TOKEN, OF_GHCR, OF_TWO, CONFIG] {
            let shown = format!("{:?}", LoginSecret::parse(&text.into(), None).unwrap());
            assert!(!shown.contains("planted") && !shown.contains("bWU6"), "{shown}");
        }
    }
}
