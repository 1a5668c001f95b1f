//! What a secret holds, and for which registries: pure functions.
//!
//! | form | used by |
//! |---|---|
//! | `{"username", "password"}` | ECS (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html>) |
//! | `{"username", "accessToken"}` | ECR's pull-through cache |
//! | either with `"registry"`, a host, a part of a registry such as `quay.io/acme`, or a list of them | |
//! | a whole docker `config.json` | Kubernetes, `docker login` |
//!
//! Nothing of a secret is ever part of an error: only names that somebody else gave are.

use std::collections::HashMap;

use image_copy::oci::{Registry, Repository};
use image_copy::registry::Credentials;
use image_copy::registry::docker_config::{self, DockerConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// One or several logins, as a secret holds them. Its `Debug` shows no password.
#[derive(Debug)]
pub struct RegistrySecret(Content);

#[derive(Debug)]
enum Content {
    /// One login, and the registries that stand beside it.
    Single {
        login: Credentials,
        registries: Vec<String>,
    },
    DockerConfig(DockerConfig),
}

/// Why a secret is of no use; the text goes on from its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSecret {
    /// The text is no JSON object.
    #[error("holds no JSON object")]
    NotJson,
    /// The key that the ARN names is not there.
    #[error("has no key \"{0}\", which its ARN names")]
    KeyMissing(String),
    /// A part is missing or of the wrong type.
    #[error("holds no login: {0}")]
    CredentialsMissing(&'static str),
    /// The docker `config.json` is damaged.
    #[error("holds a docker config.json that cannot be read: {0}")]
    InvalidDockerConfig(String),
    /// A login without a host, for another registry than Docker Hub.
    #[error("names no registry for its login, which is then for docker.io and not for {0}")]
    RegistryMissing(Registry),
    /// A login for other registries, or for other parts of this one.
    #[error("holds a login for other registries than {0}")]
    OtherRegistry(String),
    /// A `config.json` without this registry or this part of it.
    #[error("holds a docker config.json without a login for {0}")]
    NotInDockerConfig(String),
}

impl UnusableSecret {
    /// What to change in the secret, in one sentence.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotJson | Self::CredentialsMissing(_) => {
                r#"Store {"username": …, "password": …} in it, or a docker config.json."#.into()
            }
            Self::KeyMissing(_) => "Correct the part of the ARN after the secret's name.".into(),
            Self::InvalidDockerConfig(_) => "Correct the docker config.json in it.".into(),
            Self::RegistryMissing(registry) => {
                format!(r#"If it is for {registry}, add "registry": "{registry}" to the secret."#)
            }
            Self::OtherRegistry(registry) => {
                format!(r#"If it is for {registry} too, add "{registry}" to "registry" in the secret."#)
            }
            Self::NotInDockerConfig(registry) => {
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
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

impl RegistrySecret {
    /// Reads a secret's text, or what is under `json_key` in it.
    ///
    /// # Errors
    /// When there is no login in it.
    pub fn parse(text: &SecretString, json_key: Option<&str>) -> Result<Self, UnusableSecret> {
        match json_key {
            Some(key) => Self::of_text(&value_of(text, key)?),
            None => Self::of_text(text),
        }
    }

    fn of_text(text: &SecretString) -> Result<Self, UnusableSecret> {
        if text.expose_secret().len() > docker_config::MAX_SIZE {
            return Err(UnusableSecret::CredentialsMissing("it is larger than 1 MiB"));
        }
        let json = docker_config::without_padding(text.expose_secret());
        // Whether it is an object, before the types of its fields can be wrong.
        let object: HashMap<String, Option<IgnoredAny>> =
            serde_json::from_str(json).map_err(|_| UnusableSecret::NotJson)?;
        if matches!(object.get("auths"), Some(Some(_))) {
            let config = DockerConfig::parse(text).map_err(UnusableSecret::InvalidDockerConfig)?;
            return Ok(Self(Content::DockerConfig(config)));
        }
        let fields: Fields = serde_json::from_str(json).map_err(|_| {
            UnusableSecret::CredentialsMissing(
                "username, password, accessToken or registry is not of the right type",
            )
        })?;
        let username = fields.username.filter(|name| !name.is_empty());
        let username = username.ok_or(UnusableSecret::CredentialsMissing("it has no username"))?;
        let password = [fields.password, fields.access_token].into_iter().flatten();
        let password = password.into_iter().find(|password| !password.expose_secret().is_empty());
        let password = password
            .ok_or(UnusableSecret::CredentialsMissing("it has neither a password nor an accessToken"))?;
        let registries = match fields.registry {
            None => Vec::new(),
            Some(OneOrSeveral::One(host)) => vec![host],
            Some(OneOrSeveral::Several(hosts)) => hosts,
        };
        let named = |name: String| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        let registries = registries.into_iter().filter_map(named).collect();
        Ok(Self(Content::Single { login: Credentials { username, password }, registries }))
    }

    /// The login for `repository`, if it is for its registry according to a `config.json`, the field
    /// `registry`, or `listed`, the registries for which the installer listed this secret. A login
    /// without any registry is for Docker Hub.
    ///
    /// # Errors
    /// If it is for other registries or for other parts of this one.
    pub fn login(&self, repository: &Repository, listed: &[Registry]) -> Result<Credentials, UnusableSecret> {
        let registry = repository.registry();
        // Names as much of the source as is needed to tell it from the parts in the secret.
        let subject = |has_part: bool| if has_part { repository.to_string() } else { registry.to_string() };
        match &self.0 {
            Content::DockerConfig(config) => {
                let login =
                    config.credentials_for(repository).map_err(UnusableSecret::InvalidDockerConfig)?;
                login.ok_or_else(|| {
                    UnusableSecret::NotInDockerConfig(subject(config.has_entry_for_part_of(registry)))
                })
            }
            Content::Single { login, registries } => {
                let is_stated = registries.iter().any(|name| docker_config::covers(name, repository));
                let is_nobodys = registries.is_empty() && listed.is_empty();
                if is_stated || listed.contains(registry) || (is_nobodys && registry.is_docker_hub()) {
                    Ok(login.clone())
                } else if is_nobodys {
                    Err(UnusableSecret::RegistryMissing(registry.clone()))
                } else {
                    let has_part =
                        registries.iter().any(|name| docker_config::covers_part_of(name, registry));
                    Err(UnusableSecret::OtherRegistry(subject(has_part)))
                }
            }
        }
    }
}

/// What is under a key: JSON in a text, as ECS would give it to a container, or an object.
fn value_of(text: &SecretString, key: &str) -> Result<SecretString, UnusableSecret> {
    let json = docker_config::without_padding(text.expose_secret());
    let mut values: HashMap<String, Box<RawValue>> =
        serde_json::from_str(json).map_err(|_| UnusableSecret::NotJson)?;
    let value = values.remove(key).ok_or_else(|| UnusableSecret::KeyMissing(key.to_owned()))?;
    Ok(serde_json::from_str::<SecretString>(value.get()).unwrap_or_else(|_| value.get().into()))
}

#[cfg(test)]
mod tests;
