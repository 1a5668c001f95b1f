//! Parses the document. Null and duplicate fields have the same meaning as in docker.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::{Credentials, DockerConfig, FieldResult, MAX_SIZE, is_empty};

const NOT_A_STRING: &str = "is not a string";

/// An entry of `auths`. Missing, null and empty fields have the same meaning.
#[derive(Debug, Default)]
pub(super) struct AuthEntry {
    /// Base64 of `username:password`.
    auth: Option<SecretString>,
    username: Option<SecretString>,
    password: Option<SecretString>,
    identity_token: Option<SecretString>,
}

pub(super) fn parse(text: &SecretString) -> Result<DockerConfig, String> {
    let mut config = DockerConfig::default();
    for (name, value) in parse_document(text)?.0 {
        match name.as_str() {
            "auths" => add_entries(&mut config, parse_section("auths", &value)?),
            "credHelpers" => {
                let helpers = parse_section("credHelpers", &value)?.0.into_iter();
                config.cred_helpers.extend(helpers.map(|(key, name)| (key, parse_helper_name(&name))));
            }
            "credsStore" => config.creds_store = Some(parse_helper_name(&value)),
            // Sections of docker's plugins.
            _ => {}
        }
    }
    Ok(config)
}

pub(super) fn parse_legacy(text: &SecretString) -> Result<DockerConfig, String> {
    let mut config = DockerConfig::default();
    add_entries(&mut config, parse_document(text)?);
    Ok(config)
}

/// If a key is repeated, the last entry wins.
fn add_entries(config: &mut DockerConfig, entries: Object) {
    config.auths.extend(entries.0.into_iter().map(|(key, value)| (key, AuthEntry::parse(&value))));
}

fn parse_document(text: &SecretString) -> Result<Object, String> {
    let text = text.expose_secret();
    if text.len() > MAX_SIZE {
        return Err(format!("it is larger than {} MiB", MAX_SIZE >> 20));
    }
    let text = without_padding(text);
    if text.is_empty() {
        return Err("it is empty, where {} would do".into());
    }
    serde_json::from_str(text).map_err(|error| reason(&error))
}

/// Returns the reason of the parser. A message about data can contain a password, and is left out.
fn reason(error: &serde_json::Error) -> String {
    if error.classify() == Category::Data {
        return "it is not a JSON object".into();
    }
    let message = error.to_string();
    let problem = message.rsplit_once(" at line ").map_or(&*message, |(problem, _)| problem);
    format!("line {}, column {} is invalid JSON: {problem}", error.line(), error.column())
}

/// Removes a byte order mark, which Windows editors and shells write, and surrounding white space and NULs.
#[must_use]
pub fn without_padding(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim_matches(|c: char| c == '\0' || c.is_whitespace())
}

fn parse_section(name: &str, value: &RawValue) -> Result<Object, String> {
    serde_json::from_str(value.get()).map_err(|_| format!("its section {name} is not an object"))
}

/// Parses the name of a helper. As in docker, null is the same as an empty name.
fn parse_helper_name(value: &RawValue) -> FieldResult<String> {
    serde_json::from_str::<Option<String>>(value.get())
        .map(Option::unwrap_or_default)
        .map_err(|_| NOT_A_STRING)
}

impl AuthEntry {
    fn parse(value: &RawValue) -> FieldResult<Self> {
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

    /// Returns the credentials. As in docker, an identity token has priority over `auth`, and `auth` over
    /// `username` and `password`, which can be outdated. An empty password is ignored, because docker stores
    /// it together with an identity token.
    pub(super) fn credentials(&self) -> FieldResult<Option<Credentials>> {
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

/// Decodes `auth`. Docker adds base64 padding, and old versions add NULs to the password. Other tools add no
/// padding, or line breaks.
fn decode(auth: &SecretString) -> Option<Credentials> {
    let tolerant = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let text = SecretString::from(auth.expose_secret().split_whitespace().collect::<String>());
    let bytes = GeneralPurpose::new(&STANDARD, tolerant).decode(text.expose_secret()).ok()?;
    let text = SecretString::from(String::from_utf8(bytes).ok()?);
    let (username, password) = text.expose_secret().split_once(':')?;
    Some(Credentials { username: username.into(), password: password.trim_matches('\0').into() })
}

/// A JSON object with all fields in order, including duplicates. Null is an empty object.
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
