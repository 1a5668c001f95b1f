//! Removes the secrets in a request from the response.
//!
//! A registry or token service can repeat a secret in its error message. The message is logged, and becomes
//! the reason of a failed stack. More people can read these than the credentials.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Credentials, Error};
use crate::http::Response;
use crate::oci::ManifestError;
use crate::text::SanitizedText;

/// Minimum length of a secret in bytes. Shorter texts are not removed, because they are parts of ordinary
/// words.
const MIN_SECRET_BYTES: usize = 4;

/// Minimum length of a query parameter that is treated as a secret, in bytes. Numbers and times are shorter
/// than signatures and tokens.
const MIN_QUERY_SECRET_BYTES: usize = 7;

/// Replacement for a secret.
const REPLACEMENT: &str = "***";

/// Headers of a response that become part of messages.
const REPORTED_HEADERS: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static("docker-ratelimit-source")];

/// The secrets in a request, longest first.
#[derive(Default, Clone)]
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    /// Adds a password, with and without its user name.
    pub(super) fn add_credentials(&mut self, credentials: &Credentials) {
        let password = credentials.password.expose_secret();
        self.add_encodings(password);
        self.add_encodings(&format!("{}:{password}", credentials.username));
    }

    /// Adds the value of an `Authorization` header, without its scheme.
    pub(super) fn add_header(&mut self, header: &HeaderValue) {
        let text = header.to_str().unwrap_or_default();
        self.add_encodings(text.split_once(' ').map_or(text, |(_, value)| value).trim());
    }

    /// Adds the signature and tokens in a query. Parameters of the distribution specification are not
    /// secrets.
    pub(super) fn add_query(&mut self, url: &Url) {
        for (name, value) in url.query_pairs() {
            let is_public = matches!(&*name, "digest" | "mount" | "from" | "scope" | "service" | "last");
            if !is_public && value.len() >= MIN_QUERY_SECRET_BYTES {
                self.add_encodings(&value);
            }
        }
    }

    /// Adds a secret in all encodings in which servers repeat it: unchanged, encoded for a URL, escaped for
    /// JSON, and in base64.
    fn add_encodings(&mut self, text: &str) {
        let encoded = url_encoded(text);
        let json = serde_json::Value::from(text).to_string();
        let engines = [BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD];
        self.add(text);
        self.add(&lower_case_escapes(&encoded));
        self.add(&encoded.replace('+', "%20"));
        self.add(&encoded);
        // `SanitizedText::quotable` replaces double quotes with single quotes.
        self.add(&text.replace('"', "'"));
        self.add(json.trim_start_matches('"').strip_suffix('"').unwrap_or_default());
        engines.iter().for_each(|engine| self.add(&engine.encode(text)));
    }

    /// Adds a secret.
    pub(super) fn add(&mut self, secret: &str) {
        let is_known = |known: &SecretString| known.expose_secret() == secret;
        if secret.len() < MIN_SECRET_BYTES || self.0.iter().any(is_known) {
            return;
        }
        let position = self.0.partition_point(|known| known.expose_secret().len() >= secret.len());
        self.0.insert(position, secret.into());
    }

    /// Removes the secrets from a text, also if they contain additional invisible characters.
    pub(super) fn remove_from(&self, text: &str) -> String {
        let visible = SanitizedText::new(&self.replace_in(text), usize::MAX);
        self.replace_in(&visible)
    }

    fn replace_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| match text.contains(secret.expose_secret()) {
            true => text.replace(secret.expose_secret(), REPLACEMENT),
            false => text,
        })
    }

    /// Removes the secrets from the parts of a response that become messages. The body of a successful
    /// response is not changed.
    pub(super) fn remove_from_response(&self, response: &mut Response) {
        for name in REPORTED_HEADERS {
            let text = response.headers.get(&name).and_then(|value| value.to_str().ok());
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(&self.remove_from(text)).ok()) {
                response.headers.insert(name, value);
            }
        }
        if !response.status.is_success() && !self.0.is_empty() {
            response.body = self.remove_from_body(&response.body);
        }
    }

    /// Removes the secrets from the host in an error. The host of a redirect can contain a secret.
    pub(super) fn remove_from_error(&self, error: Error) -> Error {
        match error {
            Error::Http(mut error) => {
                error.host = self.remove_from(&error.host).into();
                Error::Http(error)
            }
            other => other,
        }
    }

    /// Removes the secrets from the quotes of an invalid manifest.
    pub(super) fn remove_from_manifest_error(&self, error: ManifestError) -> ManifestError {
        let text = error.to_string();
        let left = self.remove_from(&text);
        if left == text { error } else { ManifestError::Invalid(left.into()) }
    }

    /// Removes the secrets from a body. JSON is decoded first, because it can contain escapes.
    fn remove_from_body(&self, body: &[u8]) -> Bytes {
        match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(document) => self.remove_from_json(document).to_string().into(),
            Err(_) => self.remove_from(&String::from_utf8_lossy(body)).into(),
        }
    }

    fn remove_from_json(&self, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.remove_from(&text)),
            Value::Array(all) => all.into_iter().map(|value| self.remove_from_json(value)).collect(),
            Value::Object(all) => {
                let entry =
                    |(key, value): (String, Value)| (self.remove_from(&key), self.remove_from_json(value));
                all.into_iter().map(entry).collect()
            }
            other => other,
        }
    }
}

fn url_encoded(text: &str) -> String {
    let mut url: Url = "http://localhost/".parse().expect("a constant URL");
    url.query_pairs_mut().append_pair("", text);
    url.query().unwrap_or_default().trim_start_matches('=').to_owned()
}

/// Writes `%2F` as `%2f`.
fn lower_case_escapes(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| match part.split_at_checked(2) {
        Some((escape, rest)) => text + "%" + &escape.to_ascii_lowercase() + rest,
        None => text + "%" + part,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let mut secrets = Secrets::default();
        secrets.add_credentials(&Credentials { username: "me".into(), password: r#"pa/"ss word"#.into() });
        secrets.add_header(&HeaderValue::from_static("Bearer eyJ.token"));
        secrets.add_query(
            &"https://cdn.example/x?X-Amz-Signature=0123456789abcdef01&sig=sv-short&digest=sha256:0123456789abcdef&n=604800"
                .parse()
                .unwrap(),
        );
        secrets
    }

    #[test]
    fn removes_secrets_in_all_encodings() {
        let pair = r#"me:pa/"ss word"#;
        for form in [
            pair.to_owned(),
            r#"pa/"ss word"#.to_owned(),
            "pa%2F%22ss+word".to_owned(),
            "pa%2F%22ss%20word".to_owned(),
            "pa%2f%22ss+word".to_owned(),
            r#"pa/\"ss word"#.to_owned(),
            BASE64_STANDARD.encode("eyJ.token"),
            "sv-short".to_owned(),
            BASE64_STANDARD.encode(pair),
            BASE64_URL_SAFE_NO_PAD.encode(pair),
            "eyJ.token".to_owned(),
            "0123456789abcdef01".to_owned(),
        ] {
            let text = format!("wrong credentials {form}!");
            assert_eq!(secrets().remove_from(&text), "wrong credentials ***!", "{form}");
            let body = serde_json::json!({ "errors": [{ "code": form, "message": text }] }).to_string();
            for body in [body.clone(), body.replace('/', "\\/")] {
                let left = String::from_utf8(secrets().remove_from_body(body.as_bytes()).to_vec()).unwrap();
                assert_eq!(left.matches(REPLACEMENT).count(), 2, "{left}");
            }
        }
        for public in ["sha256:0123456789abcdef", "604800"] {
            assert_eq!(secrets().remove_from(public), public);
        }
        let quoted = secrets().remove_from("pa/'ss word");
        assert_eq!(quoted, "***", "double quotes are replaced");
        for hidden in ["eyJ\u{200b}.token", "eyJ.to\u{1b}[0mken", "e\u{202e}yJ.token"] {
            assert_eq!(secrets().remove_from(hidden), "***", "{hidden:?}");
        }
    }

    #[test]
    fn short_passwords_are_not_removed() {
        let mut secrets = Secrets::default();
        secrets.add_credentials(&Credentials { username: "a".into(), password: "x".into() });
        assert_eq!(secrets.remove_from("exact"), "exact");
    }
}
