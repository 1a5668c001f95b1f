//! Mirrors: registries with the content of other registries under other names.

use std::fmt;
use std::str::FromStr;

use crate::oci::{ParseError, Prefix, Repository};

const MIRROR: &str =
    "a mirror: expected prefix=mirror prefix, such as docker.io/library=public.ecr.aws/docker/library";

/// A second location for all repositories with a prefix. All content is verified by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Prefix of the repositories.
    pub prefix: Prefix,
    /// Prefix of the repositories at the mirror.
    pub target: Prefix,
}

impl Mirror {
    /// Returns the name of the repository `name` at the mirror.
    #[must_use]
    pub(crate) fn mirrored_name(&self, name: &Repository) -> Option<Repository> {
        let mirrored = self.target.join(self.prefix.relative_path(name)?)?;
        (mirrored != *name).then_some(mirrored)
    }

    /// Parses a list, separated by commas or white space.
    ///
    /// # Errors
    /// The first invalid entry.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ParseError> {
        let entries = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        entries.map(str::parse).collect()
    }

    /// Returns the mirrors of `name`, each once: the longest prefix first, then in the order of the list.
    #[must_use]
    pub(crate) fn repositories_for(mirrors: &[Self], name: &Repository) -> Vec<Repository> {
        let mut matching: Vec<(&Self, Repository)> =
            mirrors.iter().filter_map(|mirror| Some((mirror, mirror.mirrored_name(name)?))).collect();
        matching.sort_by_key(|(mirror, _)| std::cmp::Reverse(mirror.prefix.path_length()));
        let mut repositories: Vec<Repository> = Vec::new();
        for (_, repository) in matching {
            if !repositories.contains(&repository) {
                repositories.push(repository);
            }
        }
        repositories
    }
}

impl FromStr for Mirror {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (prefix, target) = text.split_once('=').ok_or_else(|| ParseError::new(text, MIRROR))?;
        Ok(Self { prefix: prefix.trim().parse()?, target: target.trim().parse()? })
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.prefix, self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Reference;

    #[track_caller]
    fn check(mirrors: &str, name: &str, expected: &[&str]) {
        let mirrors = Mirror::parse_list(mirrors).unwrap();
        let name = name.parse::<Reference>().unwrap().repository;
        let repositories: Vec<String> =
            Mirror::repositories_for(&mirrors, &name).iter().map(ToString::to_string).collect();
        assert_eq!(repositories, expected, "{name}");
    }

    #[test]
    fn returns_the_mirror_with_the_longest_prefix_first() {
        let docker_official = "docker.io/library=public.ecr.aws/docker/library";
        check(docker_official, "python:3.13", &["public.ecr.aws/docker/library/python"]);
        check(docker_official, "acme/app", &[]);
        check(docker_official, "ghcr.io/library/python", &[]);
        let several = "docker.io=mirror.example:5000, library=public.ecr.aws/docker/library\nghcr.io=mirror.example:5000/ghcr";
        check(
            several,
            "python",
            &["public.ecr.aws/docker/library/python", "mirror.example:5000/library/python"],
        );
        check(several, "acme/app", &["mirror.example:5000/acme/app"]);
        check(several, "ghcr.io/acme/app", &["mirror.example:5000/ghcr/acme/app"]);
        check("docker.io=docker.io,docker.io=a.example,docker.io=a.example", "a/b", &["a.example/a/b"]);
        check("docker.io/acme/app=a.example/one/app", "acme/app", &["a.example/one/app"]);
    }

    #[test]
    fn an_error_shows_the_expected_format() {
        for (wrong, expected) in [
            ("docker.io", "\"docker.io\" is not a mirror: expected prefix=mirror prefix"),
            ("=a.example", "\"\" is not a registry or repository prefix"),
            ("docker.io=https://a.example", "\"https://a.example\" is not a registry"),
        ] {
            let error = Mirror::parse_list(wrong).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
