//! Parses the `WWW-Authenticate` header, with the deviations of registries from its grammar.

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// Maximum length of a header in bytes. Longer headers are ignored, because challenges are cached with each
/// token. Real headers have about 300 bytes.
const MAX_BYTES: usize = 8 * 1024;

/// A challenge of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Every request needs a user name and a password.
    Basic,
    /// Every request needs a token of a token service
    /// (<https://distribution.github.io/distribution/spec/auth/token/>).
    Bearer {
        /// URL of the token service.
        realm: String,
        /// Name of the registry in the request for a token.
        service: Option<String>,
        /// Scopes of the token, such as `repository:library/python:pull`.
        scopes: Vec<String>,
    },
}

impl Challenge {
    /// Returns the scopes of the token. Basic has no scopes.
    pub(super) fn scopes(&self) -> &[String] {
        match self {
            Self::Basic => &[],
            Self::Bearer { scopes, .. } => scopes,
        }
    }

    /// Returns the challenge without scopes, for another repository.
    pub(super) fn without_scopes(self) -> Self {
        match self {
            Self::Basic => Self::Basic,
            Self::Bearer { realm, service, .. } => Self::Bearer { realm, service, scopes: Vec::new() },
        }
    }

    /// Returns the preferred challenge. There can be several, in one or more headers.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut basic = None;
        for header in headers.get_all(WWW_AUTHENTICATE).iter().filter(|header| header.len() <= MAX_BYTES) {
            let text = String::from_utf8_lossy(header.as_bytes());
            for (scheme, parameters) in parse(&text) {
                let parameter = |name: &str| {
                    parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
                };
                match (scheme.as_str(), parameter("realm")) {
                    ("bearer", Some(realm)) => {
                        return Some(Self::Bearer {
                            realm,
                            service: parameter("service").filter(|service| !service.is_empty()),
                            scopes: split_scopes(&parameter("scope").unwrap_or_default()),
                        });
                    }
                    ("basic", _) => basic = Some(Self::Basic),
                    _ => {}
                }
            }
        }
        basic
    }
}

/// Splits a parameter into scopes
/// (<https://distribution.github.io/distribution/spec/auth/scope/>).
fn split_scopes(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Splits a header into schemes and their parameters, with names in lower case. Accepts violations of the
/// grammar that registries send: unquoted URLs, extra commas, scopes with commas in quotes
/// (<https://github.com/containerd/containerd/blob/main/core/remotes/docker/auth/parse.go>).
fn parse(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut challenges: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return challenges;
        }
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match after.trim_start().strip_prefix('=') {
            Some(value) if !word.is_empty() && !challenges.is_empty() => {
                let (value, after) = read_value(value.trim_start());
                if let Some((_, parameters)) = challenges.last_mut() {
                    parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = after;
            }
            Some(value) => rest = value,
            None => {
                challenges.push((word.to_ascii_lowercase(), Vec::new()));
                rest = after;
            }
        }
    }
}

/// Splits a value, quoted or not, from the rest of the header.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[&str], expected: Option<Challenge>) {
        let map = headers.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap())).collect();
        assert_eq!(Challenge::from_headers(&map), expected, "{headers:?}");
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let scopes = split_scopes(scope.unwrap_or_default());
        Some(Challenge::Bearer { realm: realm.into(), service: owned(service), scopes })
    }

    #[test]
    fn parses_challenges_of_registries() {
        check(
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#,
            ],
            bearer(
                "https://auth.docker.io/token",
                Some("registry.docker.io"),
                Some("repository:a/b:pull,push"),
            ),
        );
        check(
            &["BEARER realm=https://x.example/token?a=b, service=x"],
            bearer("https://x.example/token?a=b", Some("x"), None),
        );
        check(
            &["Negotiate", "Basic realm=\"r\"", "Bearer Realm=\"https://t/\""],
            bearer("https://t/", None, None),
        );
        check(&["Negotiate, Basic realm=\"a, b\", charset=UTF-8"], Some(Challenge::Basic));
        check(
            &[r#"Bearer realm="https://t/\"q\"" , error="invalid_token""#],
            bearer("https://t/\"q\"", None, None),
        );
        check(&[r#"Bearer realm="https://t/",service="",scope="""#], bearer("https://t/", None, None));
        check(
            &[r#"Bearer realm="https://t/",scope="repository:a:pull repository:b:pull,push""#],
            bearer("https://t/", None, Some("repository:a:pull repository:b:pull,push")),
        );
        check(&["Negotiate abc=="], None);
        check(&["=,\"", "Bearer"], None);
        check(&[&format!(r#"Bearer realm="https://t/{}""#, "x".repeat(MAX_BYTES))], None);
        check(&[], None);
    }
}
