//! User names and passwords in URLs, and texts without them.

use std::borrow::Cow;

/// Replaces a user name and its password.
const REPLACEMENT: &str = "***@";

/// Start of a digest in a reference. Its `@` does not end a login.
const DIGESTS: [&str; 2] = ["@sha256:", "@sha512:"];

/// Returns a text with `***` for the user names and passwords of its URLs, as in `https://***@host/app`.
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

/// Like [`without_userinfo`], for one name, which can also have a login without a scheme, as in
/// `user:password@host/app`.
#[must_use]
pub fn name_without_userinfo(name: &str) -> Cow<'_, str> {
    match userinfo_length(name) {
        length if length > 0 && !name.contains("://") => format!("{REPLACEMENT}{}", &name[length..]).into(),
        _ => without_userinfo(name),
    }
}

/// Returns the length in bytes of the login at the start of a URL without its scheme, with the `@`.
#[must_use]
pub fn userinfo_length(url: &str) -> usize {
    let word = url.split(char::is_whitespace).next().unwrap_or(url);
    let word = DIGESTS.iter().fold(word, |word, digest| word.split(digest).next().unwrap_or(word));
    let authority = word.split('/').next().unwrap_or(word);
    let in_authority = authority.rfind('@').map_or(0, |at| at + 1);
    // Git also takes a password with a `/`. Such an authority looks like a host with an odd port.
    let host = &authority[in_authority..];
    let has_odd_port = host.split_once(':').is_some_and(|(host, port)| {
        !host.starts_with('[') && (port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let in_word = word.rfind('@').map_or(0, |at| at + 1);
    if has_odd_port { in_word } else { in_authority }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_no_logins_of_urls() {
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
    fn a_name_has_no_login_without_a_scheme() {
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
