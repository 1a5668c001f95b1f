//! Finds and removes the userinfo of URLs: user names and passwords
//! (<https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1>).

use std::borrow::Cow;

/// Replacement for a user name and its password.
const REPLACEMENT: &str = "***@";

/// Start of a digest in a reference. Its `@` does not end a userinfo.
const DIGESTS: [&str; 2] = ["@sha256:", "@sha512:"];

/// Replaces the user names and passwords of all URLs in a text, as in `https://***@host/app`.
#[must_use]
pub fn without_userinfo(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + 3);
        let length = userinfo_length(url);
        clean += before;
        clean += if length > 0 { REPLACEMENT } else { "" };
        rest = &url[length..];
    }
    (clean + rest).into()
}

/// Like [`without_userinfo`], for a single name, which can have no scheme, as in `user:password@host/app`.
#[must_use]
pub fn name_without_userinfo(name: &str) -> Cow<'_, str> {
    match userinfo_length(name) {
        length if length > 0 && !name.contains("://") => format!("{REPLACEMENT}{}", &name[length..]).into(),
        _ => without_userinfo(name),
    }
}

/// Returns the length in bytes of the userinfo and its `@` at the start of a URL without its scheme.
#[must_use]
pub fn userinfo_length(url: &str) -> usize {
    let word = url.split(char::is_whitespace).next().unwrap_or(url);
    let word = DIGESTS.iter().fold(word, |word, digest| word.split(digest).next().unwrap_or(word));
    let authority = word.split('/').next().unwrap_or(word);
    let in_authority = authority.rfind('@').map_or(0, |at| at + 1);
    // Git accepts passwords with a `/`. Such a URL seems to have a port that is not a number.
    let host = &authority[in_authority..];
    let has_invalid_port = host.split_once(':').is_some_and(|(host, port)| {
        !host.starts_with('[') && (port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let in_word = word.rfind('@').map_or(0, |at| at + 1);
    if has_invalid_port { in_word } else { in_authority }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_userinfo_from_all_urls_of_a_text() {
        for (text, expected) in [
            ("https://me:planted@h/app", "https://***@h/app"),
            ("https://planted@h/app:1", "https://***@h/app:1"),
            ("https://me:pl/anted@h/app", "https://***@h/app"),
            ("https://me:pl/anted@h/app@sha256:12", "https://***@h/app@sha256:12"),
            ("https://me@acme.example:pl@nted@h/app", "https://***@h/app"),
            ("https://***@h/app", "https://***@h/app"),
            ("no https://me:planted@h/, no http://planted@h", "no https://***@h/, no http://***@h"),
            ("docker://nginx@sha256:12", "docker://nginx@sha256:12"),
            ("https://h:8443/app@y", "https://h:8443/app@y"),
            ("https://[::1]:8443/app@y", "https://[::1]:8443/app@y"),
            ("me@acme.example is denied", "me@acme.example is denied"),
        ] {
            assert_eq!(without_userinfo(text), expected);
        }
    }

    #[test]
    fn removes_userinfo_without_a_scheme() {
        for (name, expected) in [
            ("me:planted@h/app", "***@h/app"),
            ("me:pl@nted@h:5000", "***@h:5000"),
            ("https://me:planted@h/app", "https://***@h/app"),
            ("https:/me:planted@h/app", "***@h/app"),
            ("nginx@sha256:12", "nginx@sha256:12"),
            ("Nginx:1", "Nginx:1"),
        ] {
            assert_eq!(name_without_userinfo(name), expected);
        }
    }
}
