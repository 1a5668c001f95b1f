//! Removes secrets from repository URLs, and from texts that contain them.

use image_copy::text::{userinfo_length, without_userinfo};

/// Minimum length of a secret that is removed from any text. Shorter ones are removed from URLs only,
/// because they can be ordinary words.
const MIN_SECRET_LENGTH: usize = 4;

/// Minimum length of a user name that can be a token, as in
/// `https://TOKEN:x-oauth-basic@github.com/acme/app`.
const MIN_TOKEN_LENGTH: usize = 20;

/// Replacement for a secret in messages.
const REDACTED: &str = "***";

/// Returns the repository without userinfo and query.
///
/// It also removes userinfo from an address without a scheme, such as
/// `x-access-token:TOKEN@github.com/acme/app`.
pub(crate) fn redacted(repository: &str) -> String {
    let words = repository.split(' ').map(|word| {
        let bare = word.trim_start_matches(['\'', '"']);
        let quotes = &word[..word.len() - bare.len()];
        match bare.contains("://") {
            true => match without_userinfo(bare).split_once('?') {
                Some((url, _)) => format!("{quotes}{url}?{REDACTED}"),
                None => format!("{quotes}{}", without_userinfo(bare)),
            },
            false => format!("{quotes}{}", &bare[userinfo_length_without_scheme(bare)..]),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns the secrets in a repository URL, as written and percent-decoded. The longest comes first.
pub(crate) fn secrets(repository: &str) -> Vec<String> {
    let (url, length) = match repository.split_once("://") {
        Some((_, url)) => (url, userinfo_length(url)),
        None => (repository, userinfo_length_without_scheme(repository)),
    };
    let Some(userinfo) = length.checked_sub(1).map(|end| &url[..end]) else { return Vec::new() };
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let user = Some(user).filter(|user| password.is_empty() || user.len() >= MIN_TOKEN_LENGTH);
    let query = url.split_once('?').map(|(_, query)| query);
    let values = query.into_iter().flat_map(|query| query.split('&'));
    let values = values.map(|field| field.split_once('=').map_or(field, |(_, value)| value));
    let written = user.into_iter().chain([password]).chain(values);
    let mut all: Vec<String> = written.flat_map(|one| [one.to_owned(), percent_decoded(one)]).collect();
    all.retain(|one| one.len() >= MIN_SECRET_LENGTH && one != "git");
    all.sort_by_key(|one| std::cmp::Reverse(one.len()));
    all.dedup();
    all
}

/// Removes secrets from an output of git.
pub(crate) fn redact(text: &str, secrets: &[String]) -> String {
    // URLs come first, because replacing a part of a URL makes it unrecognizable.
    let lines = text.split('\n').map(redacted).collect::<Vec<_>>().join("\n");
    secrets.iter().fold(lines, |text, secret| text.replace(secret.as_str(), REDACTED))
}

/// Returns the length of `name:secret@` at the start of an address without a scheme, which git reads as an
/// SSH address.
fn userinfo_length_without_scheme(word: &str) -> usize {
    let host = word.split('/').next().unwrap_or(word);
    match host.rfind('@') {
        Some(at) if host[..at].contains(':') => at + 1,
        _ => 0,
    }
}

/// Decodes percent-encoded characters such as `%40`.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, more)) = rest.split_first() {
        let digits = more.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &more[2..] } else { more };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_credentials_and_queries_from_urls() {
        for (url, expected) in [
            ("https://tok:en@en@h/p@q", "https://***@h/p@q"),
            ("https://x-access-token:planted@github.com/acme/app", "https://***@github.com/acme/app"),
            ("https://planted@github.com/acme/app", "https://***@github.com/acme/app"),
            ("https://me:pl%40nted@h/x", "https://***@h/x"),
            ("https://me:pl/anted@h/x", "https://***@h/x"),
            ("https://me@acme.example:pl/anted@h/x", "https://***@h/x"),
            ("ssh://git@h:22/x", "ssh://***@h:22/x"),
            ("https://h/x?private_token=planted", "https://h/x?***"),
            ("x-access-token:planted@github.com/acme/app", "github.com/acme/app"),
            ("git@h:p", "git@h:p"),
            ("h:acme/app@v1", "h:acme/app@v1"),
            ("https://h:8443/x@y", "https://h:8443/x@y"),
            ("https://[::1]:8443/x@y", "https://[::1]:8443/x@y"),
            ("https://proxy/https://me:planted@h/x", "https://proxy/https://***@h/x"),
            ("/home/me/app", "/home/me/app"),
        ] {
            assert_eq!(redacted(url), expected);
        }
    }

    #[test]
    fn removes_the_secrets_of_a_url_from_git_output() {
        for (url, message, expected) in [
            (
                "https://me:p%20planted@h/x",
                "fatal: unable to access 'https://me:p planted@h/x/': 403",
                "fatal: unable to access 'https://me:***@h/x/': 403",
            ),
            (
                "https://planted@h/x",
                "fatal: could not read Password for 'https://planted@h': no",
                "fatal: could not read Password for 'https://***@h': no",
            ),
            ("https://me:planted@h/x", "remote: planted is no password", "remote: *** is no password"),
            (
                "me:planted@h/x",
                "fatal: 'planted@h/x' does not appear to be a git repository",
                "fatal: '***@h/x' does not appear to be a git repository",
            ),
            ("https://me:abc@h/x", "abc of https://me:abc@h/x", "abc of https://***@h/x"),
            ("git@h:x", "Permission denied (git, publickey)", "Permission denied (git, publickey)"),
            ("https://a-token-of-20-letters:x-oauth-basic@h/x", "a-token-of-20-letters", "***"),
        ] {
            assert_eq!(redact(message, &secrets(url)), expected);
        }
    }
}
