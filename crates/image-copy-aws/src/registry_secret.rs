//! Registry credentials in secrets, and their registries. Pure functions.
//!
//! | format | used by |
//! |---|---|
//! | `{"username", "password"}` | ECS (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/private-auth.html>) |
//! | `{"username", "accessToken"}` | ECR's pull-through cache |
//! | either with `"registry"`: a host, a path prefix such as `quay.io/acme`, or a list of them | |
//! | a whole docker `config.json` | Kubernetes, `docker login` |
//!
//! Errors contain nothing from a secret, only names from the template or the settings.

use std::collections::HashMap;

use image_copy::oci::{Registry, Repository};
use image_copy::registry::Credentials;
use image_copy::registry::docker_config::{self, DockerConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// Content of a secret: credentials for one or more registries. `Debug` shows no password.
#[derive(Debug)]
pub struct RegistrySecret(Content);

#[derive(Debug)]
enum Content {
    /// Credentials with the registries in the field `registry`.
    Single {
        credentials: Credentials,
        registries: Vec<String>,
    },
    DockerConfig(DockerConfig),
}

/// Reason why a secret is unusable. The text continues a sentence that starts with its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSecret {
    /// The text is not a JSON object.
    #[error("is not a JSON object")]
    NotJson,
    /// The key in the ARN is missing.
    #[error("has no key \"{0}\", to which its ARN refers")]
    KeyMissing(String),
    /// A field is missing or has the wrong type.
    #[error("has no usable credentials: {0}")]
    CredentialsMissing(&'static str),
    /// The docker `config.json` is invalid.
    #[error("has an invalid docker config.json: {0}")]
    InvalidDockerConfig(String),
    /// Credentials without a registry, which are for Docker Hub only.
    #[error("has credentials without a registry, which are only for docker.io and not for {0}")]
    RegistryMissing(Registry),
    /// Credentials for other registries or other path prefixes.
    #[error("has credentials for other registries, but not for {0}")]
    OtherRegistry(String),
    /// A `config.json` without an entry for this repository.
    #[error("has no credentials for {0} in its docker config.json")]
    NotInDockerConfig(String),
}

impl UnusableSecret {
    /// Returns the code, which docs/troubleshooting.md explains.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::KeyMissing(_) => "CI-202",
            Self::NotJson | Self::CredentialsMissing(_) | Self::InvalidDockerConfig(_) => "CI-211",
            Self::RegistryMissing(_) | Self::OtherRegistry(_) | Self::NotInDockerConfig(_) => "CI-212",
        }
    }

    /// Returns one sentence with the change that makes the secret usable.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NotJson | Self::CredentialsMissing(_) => {
                r#"Store {"username": …, "password": …} in it, or a docker config.json."#.into()
            }
            Self::KeyMissing(_) => "Correct the part of the ARN after the secret's name.".into(),
            Self::InvalidDockerConfig(_) => "Correct the docker config.json in it.".into(),
            Self::RegistryMissing(registry) => {
                format!(r#"If they are for {registry}, add "registry": "{registry}" to the secret."#)
            }
            Self::OtherRegistry(registry) => {
                format!(r#"If they are for {registry} too, add "{registry}" to "registry" in the secret."#)
            }
            Self::NotInDockerConfig(registry) => {
                format!(
                    r#"Add "{registry}" with "auth" to "auths" in it, because credential helpers cannot run here."#
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
    /// Parses a secret's text, or the value of `json_key` in it.
    ///
    /// # Errors
    /// If it contains no credentials.
    pub fn parse(text: &SecretString, json_key: Option<&str>) -> Result<Self, UnusableSecret> {
        match json_key {
            Some(key) => Self::parse_text(&json_value(text, key)?),
            None => Self::parse_text(text),
        }
    }

    fn parse_text(text: &SecretString) -> Result<Self, UnusableSecret> {
        if text.expose_secret().len() > docker_config::MAX_SIZE {
            return Err(UnusableSecret::CredentialsMissing("it is larger than 1 MiB"));
        }
        let json = docker_config::without_padding(text.expose_secret());
        // Checks the object first, because its fields can have wrong types.
        let object: HashMap<String, Option<IgnoredAny>> =
            serde_json::from_str(json).map_err(|_| UnusableSecret::NotJson)?;
        if matches!(object.get("auths"), Some(Some(_))) {
            let config = DockerConfig::parse(text).map_err(UnusableSecret::InvalidDockerConfig)?;
            return Ok(Self(Content::DockerConfig(config)));
        }
        let fields: Fields = serde_json::from_str(json).map_err(|_| {
            UnusableSecret::CredentialsMissing(
                "username, password, accessToken or registry has the wrong type",
            )
        })?;
        let username = fields.username.filter(|name| !name.is_empty());
        let username = username.ok_or(UnusableSecret::CredentialsMissing("username is missing"))?;
        let password = [fields.password, fields.access_token].into_iter().flatten();
        let password = password.into_iter().find(|password| !password.expose_secret().is_empty());
        let password =
            password.ok_or(UnusableSecret::CredentialsMissing("password and accessToken are missing"))?;
        let registries = match fields.registry {
            None => Vec::new(),
            Some(OneOrSeveral::One(host)) => vec![host],
            Some(OneOrSeveral::Several(hosts)) => hosts,
        };
        let non_empty = |name: String| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
        let registries = registries.into_iter().filter_map(non_empty).collect();
        Ok(Self(Content::Single { credentials: Credentials { username, password }, registries }))
    }

    /// Returns the credentials for `repository`. They must be for its registry according to a `config.json`,
    /// the field `registry`, or `listed`: the registries of this secret in the provider's settings.
    /// Credentials without any registry are for Docker Hub.
    ///
    /// # Errors
    /// If the credentials are for other registries or path prefixes.
    pub fn credentials_for(
        &self,
        repository: &Repository,
        listed: &[Registry],
    ) -> Result<Credentials, UnusableSecret> {
        let registry = repository.registry();
        // The error names the repository only if path prefixes decide.
        let subject = |has_part: bool| if has_part { repository.to_string() } else { registry.to_string() };
        match &self.0 {
            Content::DockerConfig(config) => {
                let credentials =
                    config.credentials_for(repository).map_err(UnusableSecret::InvalidDockerConfig)?;
                credentials.ok_or_else(|| {
                    UnusableSecret::NotInDockerConfig(subject(config.has_entry_for_part_of(registry)))
                })
            }
            Content::Single { credentials, registries } => {
                let is_named = registries.iter().any(|name| docker_config::covers(name, repository));
                let has_no_registry = registries.is_empty() && listed.is_empty();
                if is_named || listed.contains(registry) || (has_no_registry && registry.is_docker_hub()) {
                    Ok(credentials.clone())
                } else if has_no_registry {
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

/// Returns the value of a key: a text that contains JSON, as with ECS, or an object.
fn json_value(text: &SecretString, key: &str) -> Result<SecretString, UnusableSecret> {
    let json = docker_config::without_padding(text.expose_secret());
    let mut values: HashMap<String, Box<RawValue>> =
        serde_json::from_str(json).map_err(|_| UnusableSecret::NotJson)?;
    let value = values.remove(key).ok_or_else(|| UnusableSecret::KeyMissing(key.to_owned()))?;
    Ok(serde_json::from_str::<SecretString>(value.get()).unwrap_or_else(|_| value.get().into()))
}

#[cfg(test)]
mod tests;
