//! What a registry says when it says no.

use std::time::Duration;

use serde::Deserialize;

use super::RateLimit;
use crate::http;

/// An answer that is a refusal (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{} says {}{}", self.speaker(), self.words(), http::tries(*attempts, *elapsed))]
pub struct Refusal {
    /// HTTP status code.
    pub status: u16,
    /// Codes and messages, as far as the body held any.
    pub codes: Vec<Code>,
    /// Method and path, for the log; of a cloud service the name of the call.
    pub request: String,
    /// Whether a login was sent along.
    pub login: LoginSent,
    /// Whether the answer came from something that is no registry, as far as can be told.
    pub is_foreign: bool,
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
pub struct Code {
    /// Such as `MANIFEST_UNKNOWN`; empty when the body was no error document.
    pub code: String,
    /// The registry's words, in one line.
    pub message: String,
    /// What the registry adds for its operator, in one line; often empty.
    pub detail: String,
}

impl Code {
    /// The code and the words; the detail where the words say nothing.
    fn words(&self) -> String {
        let says_nothing = matches!(self.message.as_str(), "" | "unknown error");
        if !says_nothing || self.detail.is_empty() {
            return words(&self.code, &self.message);
        }
        words(&self.code, &one_line(format!("{} {}", self.message, self.detail).trim()))
    }
}

/// Whether a request carried a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginSent {
    /// A login was known and used.
    Yes,
    /// A login was known, and a token service took it and gave a token for it.
    Exchanged,
    /// The request was anonymous.
    No,
}

/// Longest message taken over from a registry, in characters.
const MESSAGE_CHARACTERS: usize = 300;

impl Refusal {
    pub(super) fn of(answer: &http::Answer, request: impl Into<String>, login: LoginSent) -> Self {
        let codes = codes(&answer.body);
        // A registry names its version or sends an error document; neither is due to a HEAD.
        let wordless = codes.iter().all(|entry| entry.code.is_empty());
        let is_foreign = matches!(answer.status.as_u16(), 404 | 501)
            && wordless
            && !answer.body.is_empty()
            && !answer.headers.contains_key("docker-distribution-api-version");
        Self {
            status: answer.status.as_u16(),
            codes,
            is_foreign,
            request: request.into(),
            login,
            rate_limit: RateLimit::of(&answer.headers),
            retry_after: http::retry_after(&answer.headers),
            attempts: answer.attempts,
            elapsed: answer.elapsed,
        }
    }

    pub(super) fn is_transient(&self) -> bool {
        // A session that a registry lost or refuses to rewind is replaced by a new one.
        // Content that did not arrive as it was sent may do so next time.
        let lost = ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID"];
        let session_lost = self.status == 416 || lost.iter().any(|code| self.has(code));
        let status = reqwest::StatusCode::from_u16(self.status);
        !self.is_pull_limit() && (session_lost || status.is_ok_and(http::is_transient))
    }

    /// Whether the registry used this code.
    #[must_use]
    pub fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|entry| entry.code == code)
    }

    /// Whether one of the messages contains `text`, in any case.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.codes.iter().any(|entry| entry.message.to_ascii_lowercase().contains(text))
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
        let words = match self.codes.first() {
            Some(code) => format!("{} {}", self.status, code.words()),
            // As after HEAD: the status has to speak for itself.
            None => reqwest::StatusCode::from_u16(self.status)
                .map_or_else(|_| self.status.to_string(), |status| status.to_string()),
        };
        if self.is_foreign { format!("{words}; this does not look like a registry") } else { words }
    }

    /// A registry, unless the request is a call to a cloud service in front of one.
    fn speaker(&self) -> &str {
        if self.request.starts_with("ecr:") { &self.request } else { "registry" }
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
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: serde_json::Value,
    #[serde(default)]
    message: serde_json::Value,
    #[serde(default)]
    detail: serde_json::Value,
}

/// Reads an error document; anything else is shown as it is, unless it is a page for a browser.
fn codes(body: &[u8]) -> Vec<Code> {
    if let Ok(document) = serde_json::from_slice::<ErrorDocument>(body)
        && !document.errors.is_empty()
    {
        let text = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => one_line(&text),
            serde_json::Value::Null => String::new(),
            serde_json::Value::Object(fields) if fields.is_empty() => String::new(),
            other => one_line(&other.to_string()),
        };
        return document
            .errors
            .into_iter()
            .take(5)
            .map(|entry| Code {
                code: text(entry.code),
                message: text(entry.message),
                detail: text(entry.detail),
            })
            .collect();
    }
    let text = one_line(&String::from_utf8_lossy(body));
    let is_page = text.starts_with('<') && !text.contains("<Code>");
    if text.is_empty() || is_page {
        return Vec::new();
    }
    // S3 and other blob stores answer in XML.
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner.to_owned())
    };
    match element("Code") {
        Some(code) => {
            vec![Code { code, message: element("Message").unwrap_or_default(), detail: String::new() }]
        }
        None => vec![Code { code: String::new(), message: text, detail: String::new() }],
    }
}

/// One line without control characters or double quotes, cut to a length that fits into a message.
pub(super) fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let line = words.join(" ").replace('"', "'");
    line.char_indices().nth(MESSAGE_CHARACTERS).map_or(line.clone(), |(end, _)| format!("{}…", &line[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[(&str, &str)]) {
        let found = codes(body.as_bytes());
        let found: Vec<(&str, &str)> = found.iter().map(|c| (c.code.as_str(), c.message.as_str())).collect();
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
        let long = codes("x".repeat(1000).as_bytes());
        assert_eq!(long[0].message.chars().count(), MESSAGE_CHARACTERS + 1);
    }

    #[test]
    fn shows_the_detail_where_the_words_say_nothing() {
        let shown = |body: &str| codes(body.as_bytes())[0].words();
        let full = r#"{"errors":[{"code":"UNKNOWN","message":"unknown error","detail":{"Err":28}}]}"#;
        assert_eq!(shown(full), r#"UNKNOWN "unknown error {'Err':28}""#);
        let known = r#"{"errors":[{"code":"DENIED","message":"no","detail":"inner"}]}"#;
        assert_eq!(shown(known), r#"DENIED "no""#);
    }
}
