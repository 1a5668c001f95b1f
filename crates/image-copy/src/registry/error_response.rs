//! What a registry says when it says no.

use std::time::Duration;

use serde::Deserialize;

use super::RateLimit;
use crate::http;
use crate::text::SanitizedText;

/// An answer that is a refusal
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{}", self.sentence("the registry"))]
pub struct ErrorResponse {
    /// HTTP status code.
    pub status: u16,
    /// Codes and messages, as far as the body held any.
    pub errors: Vec<ErrorEntry>,
    /// Method and path, for the log; of a cloud service the name of the call.
    pub request: SanitizedText,
    /// Whether a login was sent along.
    pub credentials: CredentialsSent,
    /// Whether the answer came from something that is no registry, as far as can be told.
    pub is_not_from_registry: bool,
    /// The allowance, where the registry states one.
    pub rate_limit: Option<RateLimit>,
    /// How long the registry asks to wait.
    pub retry_after: Option<Duration>,
    /// How often it was tried.
    pub attempts: u32,
    /// Time since the first try.
    pub elapsed: Duration,
}

/// One entry of a registry's error document. The code is open: registries invent their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEntry {
    /// Such as `MANIFEST_UNKNOWN`; empty when the body was no error document.
    pub code: SanitizedText,
    /// The registry's words.
    pub message: SanitizedText,
    /// Details for the operator of the registry; often empty.
    pub detail: SanitizedText,
}

impl ErrorEntry {
    /// The code and the words; the detail where the words say nothing.
    fn words(&self) -> String {
        let says_nothing = matches!(&*self.message, "" | "unknown error");
        if !says_nothing || self.detail.is_empty() {
            return words(&self.code, &self.message);
        }
        words(&self.code, &message(&format!("{} {}", self.message, self.detail)))
    }
}

/// Whether a request carried a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialsSent {
    /// A login was known and used.
    Yes,
    /// A login was known, and a token service took it and gave a token for it.
    ExchangedForToken,
    /// The request was anonymous.
    No,
}

/// Maximum length of a registry's message or detail in characters.
const MESSAGE_CHARS: usize = 300;

/// Maximum length of an error code in characters. The longest of AWS has some 60.
const CODE_CHARS: usize = 100;

/// Returns the words of a registry or service, for use between double quotes.
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
        // A registry names its version or sends an error document; neither is due to a HEAD.
        let wordless = errors.iter().all(|entry| entry.code.is_empty());
        let is_not_from_registry = matches!(response.status.as_u16(), 404 | 501)
            && wordless
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
        // A session that a registry lost or refuses to rewind is replaced by a new one.
        // Content that did not arrive as it was sent may do so next time.
        let lost = ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID"];
        let session_lost = self.status == 416 || lost.iter().any(|code| self.has_code(code));
        let status = reqwest::StatusCode::from_u16(self.status);
        !self.is_pull_limit() && (session_lost || status.is_ok_and(http::is_transient))
    }

    /// Whether the registry used this code.
    #[must_use]
    pub fn has_code(&self, code: &str) -> bool {
        self.errors.iter().any(|entry| entry.code == *code)
    }

    /// Whether one of the messages contains `text`, in any case.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.errors.iter().any(|entry| entry.message.to_ascii_lowercase().contains(text))
    }

    /// Whether this is a pull allowance used up, as opposed to too many requests of any kind: waiting
    /// helps only where the registry says when it ends.
    #[must_use]
    pub(crate) fn is_pull_limit(&self) -> bool {
        let used_up = self.rate_limit.as_ref().is_some_and(|limit| limit.remaining == Some(0));
        self.status == 429
            && (used_up || self.mentions("pull rate limit") || self.mentions("data limit exceeded"))
    }

    /// The status, code and message as one phrase.
    #[must_use]
    pub fn words(&self) -> String {
        let words = match self.errors.first() {
            Some(code) => format!("{} {}", self.status, code.words()),
            // As after HEAD: the status has to speak for itself.
            None => reqwest::StatusCode::from_u16(self.status)
                .map_or_else(|_| self.status.to_string(), |status| status.to_string()),
        };
        if self.is_not_from_registry { format!("{words}; this does not look like a registry") } else { words }
    }

    /// Returns the response as a sentence about `registry`, or about the API call of a cloud service.
    pub(crate) fn sentence(&self, registry: &str) -> String {
        let actor = if self.request.starts_with("ecr:") { self.request.as_str() } else { registry };
        format!("{actor} returned {}{}", self.words(), http::attempts_suffix(self.attempts, self.elapsed))
    }
}

/// A code and its message, of which either may be missing.
pub(super) fn words(code: &str, message: &str) -> String {
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

/// Reads an error document; anything else is shown as it is, unless it is a page for a browser.
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
    let is_page = text.starts_with('<') && !body.contains("<Code>");
    if text.is_empty() || is_page {
        return Vec::new();
    }
    // S3 and other blob stores answer in XML.
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
    fn keeps_the_words_of_whoever_answered_in_one_line() {
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
    fn shows_the_detail_where_the_words_say_nothing() {
        let shown = |body: &str| parse_errors(body.as_bytes())[0].words();
        let full = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Err":28}}]}"#;
        assert_eq!(shown(full), r#"UNKNOWN "unknown error {'Err':28}""#);
        let known = r#"{"errors":[{"code":"DENIED","message":"no","detail":"inner"}]}"#;
        assert_eq!(shown(known), r#"DENIED "no""#);
    }
}
