//! Image references: registry, repository, tag and digest.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::{Digest, ParseError};

const REFERENCE: &str = "an image reference: expected [registry/]repository[:tag][@digest], such as docker.io/library/python:3.13";
const SCHEME: &str = "an image reference: expected no scheme, for example docker.io/library/python:3.13";
const NO_REPOSITORY: &str =
    "an image reference: expected a repository after the registry, such as localhost:5000/app:1";
const TAG: &str = "a tag: expected 1 to 128 letters, digits, _, . or -, not starting with . or -";
const REPOSITORY: &str =
    "a repository name: expected lower-case letters and digits, separated by ., _, - or /";
const REGISTRY: &str = "a registry host: expected a name or address, with an optional port";

/// Host of a registry, with an optional port, such as `ghcr.io` or `localhost:5000`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry(String);

impl Registry {
    /// Returns the host of the registry API, which differs for `docker.io`
    /// (<https://github.com/distribution/reference/blob/main/normalize.go>).
    #[must_use]
    pub fn api_host(&self) -> &str {
        if self.is_docker_hub() { "registry-1.docker.io" } else { &self.0 }
    }

    /// Returns true for Docker Hub.
    #[must_use]
    pub fn is_docker_hub(&self) -> bool {
        self.0 == "docker.io"
    }

    /// Returns true for all endpoints of private Amazon ECR registries
    /// (<https://docs.aws.amazon.com/general/latest/gr/ecr.html>).
    #[must_use]
    pub fn is_ecr(&self) -> bool {
        [".dkr.ecr.", ".dkr.ecr-fips.", ".dkr-ecr.", ".dkr-ecr-fips."]
            .iter()
            .any(|name| self.0.contains(name))
    }

    /// Returns host and port.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the host without port and brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        if let Some(rest) = self.0.strip_prefix('[') {
            return rest.split(']').next().unwrap_or(rest);
        }
        self.0.split(':').next().unwrap_or(&self.0)
    }
}

impl FromStr for Registry {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let host = text.to_ascii_lowercase();
        let (name, port) = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(|| ParseError::new(text, REGISTRY))?,
            None => host.split_at(host.find(':').unwrap_or(host.len())),
        };
        let port_is_valid = port.is_empty()
            || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok_and(|p| p > 0));
        let label = |part: &str| {
            !part.is_empty()
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let name_is_valid = if host.starts_with('[') {
            name.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            name.split('.').all(label)
        };
        // RFC 1035 limits a name to 253 characters; a port has up to 6 with its colon.
        if host.len() > 253 + 6 || !port_is_valid || !name_is_valid {
            return Err(ParseError::new(text, REGISTRY));
        }
        Ok(match host.as_str() {
            "index.docker.io" | "registry-1.docker.io" | "docker.io" => Self("docker.io".into()),
            _ => Self(host.strip_suffix(":443").unwrap_or(&host).into()),
        })
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A repository of a registry, such as `docker.io/library/python`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: Registry,
    path: String,
}

impl Repository {
    /// Creates the name of a repository.
    ///
    /// # Errors
    /// If `path` violates the grammar of the distribution specification.
    pub fn new(registry: Registry, path: &str) -> Result<Self, ParseError> {
        let component = |part: &str| {
            let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            part.bytes().next().is_some_and(alphanumeric)
                && part.bytes().last().is_some_and(alphanumeric)
                && part
                    .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                    .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
        };
        if path.len() > 255 || !path.split('/').all(component) {
            return Err(ParseError::new(path, REPOSITORY));
        }
        Ok(Self { registry, path: path.into() })
    }

    /// Returns the registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns the path, such as `library/python`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the reference of a tag in this repository.
    #[must_use]
    pub fn with_tag(&self, tag: Tag) -> Reference {
        Reference { repository: self.clone(), tag: Some(tag), digest: None }
    }

    /// Returns the reference of a digest in this repository.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: Some(digest) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

/// A tag. It names one image of a repository at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// Returns the tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if text.is_empty() || text.len() > 128 || !text.bytes().all(valid) || text.starts_with(['.', '-']) {
            return Err(ParseError::new(text, TAG));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An image reference. If it has a tag and a digest, the digest identifies the image. A text with neither
/// refers to the tag `latest`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Repository of the image.
    pub repository: Repository,
    /// Tag.
    pub tag: Option<Tag>,
    /// Digest.
    pub digest: Option<Digest>,
}

impl FromStr for Reference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = |expected| Err(ParseError::new(text, expected));
        if text.is_empty() {
            return error(REFERENCE);
        }
        if text.contains("://") {
            return error(SCHEME);
        }
        let (name, digest) = match text.split_once('@') {
            // A password can contain @, and the error must not quote a part of it.
            Some((_, rest)) if rest.contains('@') => return error(REFERENCE),
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let last_slash = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name[last_slash..].rfind(':') {
            Some(colon) => (&name[..last_slash + colon], Some(&name[last_slash + colon + 1..])),
            None => (name, None),
        };
        let tag = tag.map(str::parse::<Tag>).transpose()?;
        // The first component is a host if it cannot be an organization at Docker Hub.
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => (host, path),
            _ => ("docker.io", name),
        };
        // Docker reads a single host as a repository at Docker Hub, which nobody intends.
        if path == name && (name == "localhost" || name.parse::<IpAddr>().is_ok()) {
            return error(NO_REPOSITORY);
        }
        let registry: Registry = registry.parse()?;
        // Validated before `library/` is added, so that the error quotes the user's text.
        let as_written = Repository::new(registry, path)?;
        let repository = if as_written.registry.is_docker_hub() && !path.contains('/') {
            Repository { path: format!("library/{path}"), ..as_written }
        } else {
            as_written
        };
        let tag = if tag.is_none() && digest.is_none() { Some("latest".parse()?) } else { tag };
        Ok(Self { repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(text.parse::<Reference>().unwrap().to_string(), expected);
    }

    #[test]
    fn expands_short_names() {
        let digest = format!("sha256:{}", "b".repeat(64));
        check("python", "docker.io/library/python:latest");
        check("acme/app:1", "docker.io/acme/app:1");
        check("index.docker.io/library/nginx:1.27", "docker.io/library/nginx:1.27");
        check("registry-1.docker.io/nginx", "docker.io/library/nginx:latest");
        check("GHCR.io/acme/app", "ghcr.io/acme/app:latest");
        check("localhost:5000/app:x", "localhost:5000/app:x");
        check("[::1]:5000/app", "[::1]:5000/app:latest");
        check("registry.example:443/a/b", "registry.example/a/b:latest");
        check(&format!("nginx@{digest}"), &format!("docker.io/library/nginx@{digest}"));
        check(&format!("nginx:1@{digest}"), &format!("docker.io/library/nginx:1@{digest}"));
        check("quay.io/a_b/c__d-e.f:1", "quay.io/a_b/c__d-e.f:1");
    }

    #[test]
    fn rejects_invalid_references() {
        for wrong in [
            "",
            ":1",
            "docker://nginx",
            "Nginx",
            "nginx:",
            "nginx:.x",
            "nginx@sha256:12",
            "a//b",
            "ghcr.io/",
            "ghcr.io/a/../b",
            "host:99999/app",
            "-x.io/app",
            "LOCAL/foo",
            "nginx:1 ",
            "a/b_-c",
            "a___b",
            "127.0.0.1:5000",
            "localhost:5000",
        ] {
            assert!(wrong.parse::<Reference>().is_err(), "{wrong}");
        }
        let error = "Nginx:1".parse::<Reference>().unwrap_err().to_string();
        assert!(error.starts_with("\"Nginx\" is not a repository name: expected lower-case"), "{error}");
        for (wrong, shown) in [
            ("docker://nginx", "docker://nginx"),
            ("https://me:planted@h.example/app", "https://***@h.example/app"),
            ("https://me:pl/anted@h.example/app:1", "https://***@h.example/app:1"),
            ("me:plan@ted@h.example/app", "***@h.example/app"),
            ("me:planted@h.example/app@sha256:12", "***@h.example/app@sha256:12"),
        ] {
            let error = wrong.parse::<Reference>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("\"{shown}\" is not an image reference")), "{error}");
        }
        let error = "me:planted@h.example/app".parse::<Reference>().unwrap_err().to_string();
        assert!(error.starts_with("\"h.example/app\" is not a digest"), "{error}");
    }
}
