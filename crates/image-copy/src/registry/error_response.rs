//! Error responses of registries
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>).

use std::time::Duration;

use serde::Deserialize;

use super::RateLimit;
use crate::http;
use crate::text::SanitizedText;

/// A response with an error status.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.sentence("the registry"))]
pub struct ErrorResponse {
    /// HTTP status code.
    pub status: u16,
    /// Entries of the error document. Empty if the body has no message.
    pub errors: Vec<ErrorEntry>,
    /// Method and path, for the log. For a cloud service, the name of the API call.
    pub request: SanitizedText,
    /// Credentials in the request.
    pub credentials: CredentialsSent,
    /// True if the server is probably not a registry.
    pub is_not_from_registry: bool,
    /// Pull limit, if the registry states one.
    pub rate_limit: Option<RateLimit>,
    /// Time to wait before the next request, if the registry states it.
    pub retry_after: Option<Duration>,
    /// Number of attempts.
    pub attempts: u32,
    /// Time since the first attempt.
    pub elapsed: Duration,
}

/// Entry of an error document. The code can be any text, because registries use codes of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEntry {
    /// Error code, such as `MANIFEST_UNKNOWN`. Empty if the body is not an error document.
    pub code: SanitizedText,
    /// Message of the registry.
    pub message: SanitizedText,
    /// Details for the operator of the registry. Often empty.
    pub detail: SanitizedText,
}

impl ErrorEntry {
    /// Returns the code and the message. Adds the detail if the message has no content.
    fn summary(&self) -> String {
        let is_empty = matches!(&*self.message, "" | "unknown error");
        if !is_empty || self.detail.is_empty() {
            return code_and_message(&self.code, &self.message);
        }
        code_and_message(&self.code, &message(&format!("{} {}", self.message, self.detail)))
    }
}

/// Form of the credentials in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsSent {
    /// The request contained the credentials.
    Yes,
    /// The request contained a token that a token service issued for the credentials.
    ExchangedForToken,
    /// The request was anonymous.
    No,
}

/// Maximum length of a registry's message or detail in characters.
const MESSAGE_CHARS: usize = 300;

/// Maximum length of an error code in characters. The longest code of AWS has about 60.
const CODE_CHARS: usize = 100;

/// Sanitizes a message of a registry or service, for use between double quotes.
fn message(text: &str) -> SanitizedText {
    SanitizedText::quotable(text, MESSAGE_CHARS)
}

impl ErrorResponse {
    pub(super) fn new(
        response: &http::Response,
        request: impl Into<SanitizedText>,
        credentials: CredentialsSent,
    ) -> Self {
        let errors = parse_errors(&response.body);
        // A registry sends its API version or an error document. A response to HEAD can have neither.
        let has_no_code = errors.iter().all(|entry| entry.code.is_empty());
        let is_not_from_registry = matches!(response.status.as_u16(), 404 | 501)
            && has_no_code
            && !response.body.is_empty()
            && !response.headers.contains_key("docker-distribution-api-version");
        Self {
            status: response.status.as_u16(),
            errors,
            is_not_from_registry,
            request: request.into(),
            credentials,
            rate_limit: RateLimit::from_headers(&response.headers),
            retry_after: http::retry_after(&response.headers),
            attempts: response.attempts,
            elapsed: response.elapsed,
        }
    }

    pub(super) fn is_transient(&self) -> bool {
        // A lost upload session is replaced with a new one. Content that was damaged in transit is sent
        // again.
        let codes = ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID"];
        let can_upload_again = self.status == 416 || codes.iter().any(|code| self.has_code(code));
        let status = reqwest::StatusCode::from_u16(self.status);
        !self.is_pull_limit() && (can_upload_again || status.is_ok_and(http::is_transient))
    }

    /// Returns true if one of the entries has this code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|entry| entry.code == *code)
    }

    /// Returns true if one of the messages contains `text`, which must be lower case. Ignores case.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.errors.iter().any(|entry| entry.message.to_ascii_lowercase().contains(text))
    }

    /// Returns true if the pull limit is exceeded, and not a limit on requests of any kind. Another attempt
    /// can succeed only if the registry states the end of the limit.
    #[must_use]
    pub(crate) fn is_pull_limit(&self) -> bool {
        let is_exceeded = self.rate_limit.as_ref().is_some_and(|limit| limit.remaining == Some(0));
        self.status == 429
            && (is_exceeded || self.mentions("pull rate limit") || self.mentions("data limit exceeded"))
    }

    /// Returns the status, code and message.
    #[must_use]
    pub fn summary(&self) -> String {
        let summary = match self.errors.first() {
            Some(entry) => format!("{} {}", self.status, entry.summary()),
            // For example, the response to HEAD has no body.
            None => reqwest::StatusCode::from_u16(self.status)
                .map_or_else(|_| self.status.to_string(), |status| status.to_string()),
        };
        if self.is_not_from_registry {
            format!("{summary}; this does not look like a registry")
        } else {
            summary
        }
    }

    /// Returns the response as a sentence about `registry`, or about the API call of a cloud service.
    pub(crate) fn sentence(&self, registry: &str) -> String {
        // Requests to a registry have a method and a path, API calls only a name such as `ecr:PutImage`.
        let actor = if self.request.contains(' ') { registry } else { self.request.as_str() };
        format!("{actor} returned {}{}", self.summary(), http::attempts_suffix(self.attempts, self.elapsed))
    }
}

/// Joins a code and a message. Each can be empty.
pub(super) fn code_and_message(code: &str, message: &str) -> String {
    match (code, message) {
        (code, "") => code.to_owned(),
        ("", message) => format!("\"{message}\""),
        (code, message) => format!("{code} \"{message}\""),
    }
}

#[derive(Deserialize)]
struct ErrorDocument {
    #[serde(default)]
    errors: Vec<ErrorEntryJson>,
}

#[derive(Deserialize)]
struct ErrorEntryJson {
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: serde_json::Value,
    #[serde(default)]
    detail: serde_json::Value,
}

/// Reads an error document in JSON or XML. Returns any other text as a message, except HTML.
fn parse_errors(body: &[u8]) -> Vec<ErrorEntry> {
    if let Ok(document) = serde_json::from_slice::<ErrorDocument>(body)
        && !document.errors.is_empty()
    {
        let text = |value: serde_json::Value, max| match value {
            serde_json::Value::String(text) => SanitizedText::quotable(&text, max),
            serde_json::Value::Null => SanitizedText::default(),
            serde_json::Value::Object(fields) if fields.is_empty() => SanitizedText::default(),
            other => SanitizedText::quotable(&other.to_string(), max),
        };
        return document
            .errors
            .into_iter()
            .take(5)
            .map(|entry| ErrorEntry {
                code: text(entry.code, CODE_CHARS),
                message: text(entry.message, MESSAGE_CHARS),
                detail: text(entry.detail, MESSAGE_CHARS),
            })
            .collect();
    }
    let body = String::from_utf8_lossy(body);
    let text = message(&body);
    let is_html = text.starts_with('<') && !body.contains("<Code>");
    if text.is_empty() || is_html {
        return Vec::new();
    }
    // S3 and other object stores send XML.
    let element = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
    };
    let detail = SanitizedText::default();
    match element("Code") {
        Some(code) => {
            let code = SanitizedText::quotable(code, CODE_CHARS);
            vec![ErrorEntry { code, message: message(element("Message").unwrap_or_default()), detail }]
        }
        None => vec![ErrorEntry { code: SanitizedText::default(), message: text, detail }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[(&str, &str)]) {
        let found = parse_errors(body.as_bytes());
        let found: Vec<(&str, &str)> = found.iter().map(|c| (&*c.code, &*c.message)).collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn reads_codes_and_messages_of_all_formats() {
        check(
            r#"{"errors":[{"code":"DENIED","message":"say \"no\"\n twice"}]}"#,
            &[("DENIED", "say 'no' twice")],
        );
        check(r#"{"errors":[{"code":7,"detail":{}}]}"#, &[("7", "")]);
        check(
            "<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>",
            &[("SlowDown", "Reduce your rate.")],
        );
        check("<html><body>502 Bad Gateway</body></html>", &[]);
        check("Too Many Requests\n", &[("", "Too Many Requests")]);
        check("", &[]);
        let long = parse_errors("x".repeat(1000).as_bytes());
        assert_eq!(long[0].message.chars().count(), MESSAGE_CHARS + 1);
    }

    #[test]
    fn adds_the_detail_if_the_message_has_no_content() {
        let summary = |body: &str| parse_errors(body.as_bytes())[0].summary();
        let full = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Err":28}}]}"#;
        assert_eq!(summary(full), r#"UNKNOWN "unknown error {'Err':28}""#);
        let known = r#"{"errors":[{"code":"DENIED","message":"no","detail":"inner"}]}"#;
        assert_eq!(summary(known), r#"DENIED "no""#);
    }
}
