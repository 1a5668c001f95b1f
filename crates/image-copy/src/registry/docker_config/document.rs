//! The document itself: objects of JSON, in which null and duplicate fields mean the same as for docker.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Checked, Credentials, DockerConfig, MAX_SIZE, is_empty};

const NO_STRING: &str = "is not a string";

/// An entry of `auths`. Fields that are missing, null or empty are the same.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Base64 of `username:password`.
    auth: Option<SecretString>,
    username: Option<SecretString>,
    password: Option<SecretString>,
    identity_token: Option<SecretString>,
}

pub(super) fn parse(text: &SecretString) -> Result<DockerConfig, String> {
    let mut config = DockerConfig::default();
    for (name, value) in whole(text)?.0 {
        match name.as_str() {
            "auths" => add_entries(&mut config, section("auths", &value)?),
            "credHelpers" => {
                let helpers = section("credHelpers", &value)?.0.into_iter();
                config.cred_helpers.extend(helpers.map(|(key, name)| (key, name_of_helper(&name))));
            }
            "credsStore" => config.creds_store = Some(name_of_helper(&value)),
            // Sections of docker's plugins.
            _ => {}
        }
    }
    Ok(config)
}

pub(super) fn parse_legacy(text: &SecretString) -> Result<DockerConfig, String> {
    let mut config = DockerConfig::default();
    add_entries(&mut config, whole(text)?);
    Ok(config)
}

/// Of two entries with the same key, the last one counts.
fn add_entries(config: &mut DockerConfig, entries: Object) {
    config.auths.extend(entries.0.into_iter().map(|(key, value)| (key, Entry::read(&value))));
}

fn whole(text: &SecretString) -> Result<Object, String> {
    let text = text.expose_secret();
    if text.len() > MAX_SIZE {
        return Err(format!("it is larger than {} MiB", MAX_SIZE >> 20));
    }
    let text = without_padding(text);
    if text.is_empty() {
        return Err("it is empty, where {} would do".into());
    }
    // The parser's message could quote a password, so that only the position is shown.
    serde_json::from_str(text)
        .map_err(|error| format!("line {}, column {} is not as it should be", error.line(), error.column()))
}

/// The text of a document without a byte order mark, which editors and shells of Windows write, and
/// without white space and NULs around it.
#[must_use]
pub fn without_padding(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_matches(|c: char| c == '\0' || c.is_whitespace())
}

fn section(name: &str, value: &RawValue) -> Result<Object, String> {
    serde_json::from_str(value.get()).map_err(|_| format!("its section {name} is not an object"))
}

/// An empty name and null are the same, as they are for docker.
fn name_of_helper(value: &RawValue) -> Checked<String> {
    serde_json::from_str::<Option<String>>(value.get()).map(Option::unwrap_or_default).map_err(|_| NO_STRING)
}

impl Entry {
    fn read(value: &RawValue) -> Checked<Self> {
        let object: Object = serde_json::from_str(value.get()).map_err(|_| "it is not an object")?;
        let mut entry = Self::default();
        for (name, value) in object.0 {
            let (field, problem) = match name.as_str() {
                "auth" => (&mut entry.auth, "its auth is not a string"),
                "username" => (&mut entry.username, "its username is not a string"),
                "password" => (&mut entry.password, "its password is not a string"),
                "identitytoken" => (&mut entry.identity_token, "its identitytoken is not a string"),
                _ => continue,
            };
            let text: Option<SecretString> = serde_json::from_str(value.get()).map_err(|_| problem)?;
            *field = text.filter(|text| !is_empty(text));
        }
        Ok(entry)
    }

    /// The login. As for docker, an identity token is preferred to `auth`, and `auth` to `username`
    /// and `password`, which may be old. An empty password is no login: docker stores it beside an
    /// identity token.
    pub(super) fn credentials(&self) -> Checked<Option<Credentials>> {
        if let Some(token) = &self.identity_token {
            return Ok(Some(Credentials::identity_token(token.clone())));
        }
        let credentials = match (&self.auth, &self.username, &self.password) {
            (Some(auth), ..) => decode(auth).ok_or("it is not base64 of username:password")?,
            (None, Some(username), Some(password)) => {
                Credentials { username: username.expose_secret().into(), password: password.clone() }
            }
            _ => return Ok(None),
        };
        Ok((!is_empty(&credentials.password)).then_some(credentials))
    }
}

/// Docker pads the text, and used to pad what is inside with NUL. Others do neither, or break lines.
fn decode(auth: &SecretString) -> Option<Credentials> {
    let tolerant = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = SecretString::from(auth.expose_secret().split_whitespace().collect::<String>());
    let bytes = GeneralPurpose::new(&STANDARD, tolerant).decode(text.expose_secret()).ok()?;
    let text = SecretString::from(String::from_utf8(bytes).ok()?);
    let (username, password) = text.expose_secret().split_once(':')?;
    Some(Credentials { username: username.into(), password: password.trim_matches('\0').into() })
}

/// An object of JSON with its fields in order, duplicates included. Null is empty.
struct Object(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Object, E> {
                Ok(Object(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_any(Fields)
    }
}
