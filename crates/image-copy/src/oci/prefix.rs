//! Prefixes of repository names.

use std::fmt;
use std::str::FromStr;

use super::{ParseError, Registry, Repository};

const PREFIX: &str = "a registry or repository prefix: expected a name such as docker.io/library or ghcr.io";

/// A prefix of repository names: a registry, such as `ghcr.io`, or a path in it, such as
/// `docker.io/library`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Prefix {
    registry: Registry,
    path: String,
}

impl Prefix {
    /// Returns the path of `name` after the prefix, without the slash between them. It is empty if the prefix
    /// is the whole name. Returns `None` if the name does not have the prefix. Path components are never
    /// split.
    #[must_use]
    pub fn relative_path<'a>(&self, name: &'a Repository) -> Option<&'a str> {
        if *name.registry() != self.registry {
            return None;
        }
        if self.path.is_empty() {
            return Some(name.path());
        }
        let rest = name.path().strip_prefix(self.path.as_str())?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }

    /// Returns the repository with this path below the prefix, if the name is valid.
    #[must_use]
    pub fn join(&self, relative_path: &str) -> Option<Repository> {
        let path = [self.path.as_str(), relative_path].into_iter().filter(|part| !part.is_empty());
        Repository::new(self.registry.clone(), &path.collect::<Vec<_>>().join("/")).ok()
    }

    /// Returns the length of the path, by which matching prefixes are ordered.
    #[must_use]
    pub fn path_length(&self) -> usize {
        self.path.len()
    }
}

impl FromStr for Prefix {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError::new(text, PREFIX);
        let (first, rest) = text.split_once('/').unwrap_or((text, ""));
        // As in a reference, a first component that is not a host is an organization at Docker Hub.
        let is_host = first.contains(['.', ':']) || first == "localhost";
        let (host, path) = if is_host { (first, rest) } else { ("docker.io", text) };
        let registry: Registry = host.parse().map_err(|_| error())?;
        let has_end = is_host && rest.is_empty() && text.ends_with('/');
        if has_end || (path.is_empty() && !is_host) {
            return Err(error());
        }
        if !path.is_empty() {
            Repository::new(registry.clone(), path).map_err(|_| error())?;
        }
        Ok(Self { registry, path: path.into() })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.registry.fmt(f)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Reference;

    #[track_caller]
    fn check(prefix: &str, name: &str, expected: Option<&str>) {
        let prefix: Prefix = prefix.parse().unwrap();
        let name = name.parse::<Reference>().unwrap().repository;
        assert_eq!(prefix.relative_path(&name), expected, "{prefix} of {name}");
    }

    #[test]
    fn matches_whole_components() {
        check("docker.io/library", "python", Some("python"));
        check("library", "python", Some("python"));
        check("index.docker.io/library", "docker.io/library/python", Some("python"));
        check("docker.io/library/python", "python", Some(""));
        check("docker.io/library/pyth", "python", None);
        check("docker.io", "acme/app", Some("acme/app"));
        check("docker.io/acme", "acme-evil/app", None);
        check("ghcr.io/acme", "ghcr.io/acme/team/app", Some("team/app"));
        check("ghcr.io", "quay.io/a/b", None);
        check("localhost:5000", "localhost:5000/app", Some("app"));
    }

    #[test]
    fn rejects_invalid_prefixes() {
        for wrong in
            ["", "/", "docker.io/", "https://docker.io", "docker.io/library:1", "a//b", "Docker.io/Upper"]
        {
            let error = wrong.parse::<Prefix>().unwrap_err().to_string();
            assert!(error.contains("docker.io/library"), "{wrong}: {error}");
        }
    }
}
