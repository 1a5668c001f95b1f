//! Keys of stored credentials: hosts, parts of a registry, and URLs.

use std::cmp::Reverse;

use crate::oci::{Registry, Repository};

/// Key of stored credentials.
#[derive(Debug)]
pub(super) struct AuthKey<'a> {
    registry: Registry,
    /// The part of the registry, such as `acme` or `acme/app`. Empty for the whole registry.
    path: &'a str,
    spelling: Spelling,
}

/// Spelling of the registry in a key, in the order of priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Spelling {
    /// `quay.io`
    Host,
    /// `QUAY.io:443`, or `index.docker.io` for `docker.io`.
    EquivalentHost,
    /// `https://quay.io`
    Url,
    /// `https://quay.io/v1/`
    ApiUrl,
    /// `http://quay.io`
    HttpUrl,
}

/// Priority of a key among the keys for the same repository. The smallest value is used first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Priority(Reverse<usize>, Spelling);

impl<'a> AuthKey<'a> {
    /// Parses a key. Returns `None` if it does not name a registry.
    pub(super) fn parse(key: &'a str) -> Option<Self> {
        let (spelling, rest) = if let Some(rest) = key.strip_prefix("https://") {
            (Spelling::Url, rest)
        } else if let Some(rest) = key.strip_prefix("http://") {
            (Spelling::HttpUrl, rest)
        } else {
            (Spelling::EquivalentHost, key)
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let registry: Registry = host.parse().ok()?;
        // Only URLs contain an API version. Some have no scheme. Without a trailing slash, `quay.io/v1` is an
        // organization.
        let is_url = spelling != Spelling::EquivalentHost || path.ends_with('/');
        let path = path.trim_end_matches('/');
        let (path, spelling) = match (path, spelling) {
            ("v1" | "v2", Spelling::Url) => ("", Spelling::ApiUrl),
            ("v1" | "v2", _) if is_url => ("", spelling),
            (_, Spelling::EquivalentHost) if host == registry.as_str() => (path, Spelling::Host),
            _ => (path, spelling),
        };
        Some(Self { registry, path, spelling })
    }

    /// Returns true if the key is for all repositories of the registry.
    pub(super) fn is_whole_registry(&self) -> bool {
        self.path.is_empty()
    }

    /// Returns the priority of the key, or `None` if it is not for `repository`.
    pub(super) fn priority(&self, repository: &Repository) -> Option<Priority> {
        let rest = repository.path().strip_prefix(self.path);
        let is_below =
            self.path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let is_for = self.registry == *repository.registry() && is_below;
        is_for.then_some(Priority(Reverse(self.path.len()), self.spelling))
    }
}

/// Returns true if credentials with this key are for `repository`. A key is the host of a registry, its URL,
/// or a part of a registry, such as `quay.io/acme`.
#[must_use]
pub fn covers(key: &str, repository: &Repository) -> bool {
    AuthKey::parse(key).is_some_and(|key| key.priority(repository).is_some())
}

/// Returns true if `key` names a part of `registry`.
#[must_use]
pub fn covers_part_of(key: &str, registry: &Registry) -> bool {
    AuthKey::parse(key).is_some_and(|key| key.registry == *registry && !key.is_whole_registry())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_covers_only_its_registry_or_a_part_of_it() {
        for (key, repository, expected) in [
            ("docker.io", "docker.io/library/app", true),
            ("index.docker.io", "docker.io/library/app", true),
            ("https://index.docker.io/v1/", "docker.io/library/app", true),
            ("https://index.docker.io/v2/", "docker.io/library/app", true),
            ("index.docker.io/v1/", "docker.io/library/app", true),
            ("https://registry-1.docker.io", "docker.io/library/app", true),
            ("https://ghcr.io", "ghcr.io/acme/app", true),
            ("https://ghcr.io/", "ghcr.io/acme/app", true),
            ("http://localhost:5000/v2/", "localhost:5000/acme/app", true),
            ("registry.example:443", "registry.example/acme/app", true),
            ("GHCR.io", "ghcr.io/acme/app", true),
            ("[::1]:5000", "[::1]:5000/acme/app", true),
            // Parts of a registry, by whole path components.
            ("ghcr.io/acme", "ghcr.io/acme/app", true),
            ("ghcr.io/acme/", "ghcr.io/acme/app", true),
            ("ghcr.io/acme/app", "ghcr.io/acme/app", true),
            ("docker.io/acme", "docker.io/acme/app", true),
            ("index.docker.io/library/app", "docker.io/library/app", true),
            ("GHCR.io/acme", "ghcr.io/acme/app", true),
            ("https://ghcr.io/acme", "ghcr.io/acme/app", true),
            ("ghcr.io/v1", "ghcr.io/v1/app", true),
            ("ghcr.io/acme", "ghcr.io/other/app", false),
            ("ghcr.io/acme", "ghcr.io/acme-two/app", false),
            ("ghcr.io/acme/a", "ghcr.io/acme/app", false),
            ("ghcr.io/acme/app/x", "ghcr.io/acme/app", false),
            ("ghcr.io/Acme", "ghcr.io/acme/app", false),
            ("ghcr.io//acme", "ghcr.io/acme/app", false),
            ("ghcr.io/v1", "ghcr.io/acme/app", false),
            ("https://index.docker.io/v1/access-token", "docker.io/library/app", false),
            ("quay.io/acme", "ghcr.io/acme/app", false),
            // Other registries.
            ("ghcr.io", "ghcr.io.evil.example/acme/app", false),
            ("ghcr.io@evil.example", "evil.example/acme/app", false),
            ("https://ghcr.io@evil.example/", "evil.example/acme/app", false),
            ("localhost:5000", "localhost:5001/acme/app", false),
            ("registry.example:80", "registry.example/acme/app", false),
            ("", "localhost/acme/app", false),
            ("/acme", "localhost/acme/app", false),
            ("*.example", "registry.example/acme/app", false),
        ] {
            let (host, path) = repository.split_once('/').unwrap();
            let repository = Repository::new(host.parse().unwrap(), path).unwrap();
            assert_eq!(covers(key, &repository), expected, "{key} for {repository}");
        }
    }
}
