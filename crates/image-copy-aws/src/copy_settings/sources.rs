//! `ALLOWED_SOURCES`: allowed source repositories. The setting protects against typosquatting.

use image_copy::oci::{Prefix, Reference};

use super::invalid_setting;

const EXPECTED: &str = "is not a prefix of references: expected a registry, optionally with whole path components, such as docker.io/library or quay.io/prometheus";

/// Prefixes of references, in whole path components. An empty list allows everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedSources(Vec<Prefix>);

/// The source is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Source {source_name} is not allowed by the provider's parameter AllowedSources. The nearest allowed prefix is {nearest}"
)]
pub struct SourceNotAllowed {
    /// The source reference.
    pub source_name: String,
    nearest: String,
}

impl AllowedSources {
    /// Parses prefixes, separated by commas or white space.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, String> {
        let entries = text.unwrap_or_default().split(|c: char| c == ',' || c.is_whitespace());
        let prefixes: Result<Vec<_>, _> =
            entries.filter(|entry| !entry.is_empty()).map(parse_prefix).collect();
        Ok(Self(prefixes?))
    }

    /// Checks the registry and repository of a reference.
    ///
    /// # Errors
    /// If no prefix matches.
    pub fn check(&self, source: &Reference) -> Result<(), SourceNotAllowed> {
        if self.0.is_empty() || self.0.iter().any(|prefix| prefix.relative_path(&source.repository).is_some())
        {
            return Ok(());
        }
        let name = source.repository.to_string();
        let prefixes = self.0.iter().map(ToString::to_string);
        let nearest = prefixes.min_by_key(|prefix| strsim::levenshtein(prefix, with_depth_of(&name, prefix)));
        Err(SourceNotAllowed { source_name: source.to_string(), nearest: nearest.unwrap_or_default() })
    }
}

/// Returns as many path components of a name as the prefix has, because the rest has no influence on their
/// distance.
fn with_depth_of<'a>(name: &'a str, prefix: &str) -> &'a str {
    let parts = prefix.split('/').count();
    name.match_indices('/').nth(parts - 1).map_or(name, |(at, _)| &name[..at])
}

/// Parses a prefix. `python` is one repository of Docker Hub, and `acme/` all repositories of an organisation
/// there.
fn parse_prefix(entry: &str) -> Result<Prefix, String> {
    let invalid = || invalid_setting("AllowedSources", entry, EXPECTED);
    let open = entry.strip_suffix('*').unwrap_or(entry);
    let text = open.trim_end_matches('/');
    let (is_open, has_star) = (text.len() < open.len(), open.len() < entry.len());
    // A reference without a slash would treat it as a tag.
    let has_tag = !text.contains('/') && text.split_once(':').is_some_and(|(name, _)| !is_host(name));
    if (has_star && !is_open) || has_tag {
        return Err(invalid());
    }
    let is_short = !is_open && !text.contains('/') && !is_host(text);
    let full = if is_short { format!("docker.io/library/{text}") } else { text.to_owned() };
    full.parse().map_err(|_| invalid())
}

fn is_host(text: &str) -> bool {
    text.contains('.') || text == "localhost" || text.starts_with("localhost:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(allowed: &str, source: &str) -> Result<(), String> {
        let allowed = AllowedSources::parse(Some(allowed)).unwrap();
        allowed.check(&source.parse().unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_prefix_matches_whole_path_components() {
        for (allowed, source, expected) in [
            ("", "evil.example/x", true),
            ("docker.io/library", "python:3", true),
            ("docker.io/library", "registry-1.docker.io/library/python", true),
            ("docker.io/library", "acme/app", false),
            ("docker.io/library", "docker.io/library-of-evil/x", false),
            ("docker.io/lib", "python", false),
            (
                "python",
                "docker.io/library/python:3@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                true,
            ),
            ("python", "pythonn", false),
            // Not the organisation `python`, which anyone could have registered.
            ("python", "docker.io/python/python", false),
            ("acme/", "acme/app", true),
            ("acme/*", "acme/app", true),
            ("acme/app", "acme/app/part", true),
            ("acme/app", "acme/application", false),
            ("ghcr.io", "GHCR.io/any/thing", true),
            ("ghcr.io", "ghcr.io.evil.example/any/thing", false),
            ("index.docker.io", "python", true),
            ("localhost:5000/a", "localhost:5000/a", true),
            ("quay.io/prometheus,\n ghcr.io/acme", "ghcr.io/acme/app", true),
        ] {
            assert_eq!(check(allowed, source).is_ok(), expected, "{allowed} {source}");
        }
    }

    #[test]
    fn errors_contain_the_nearest_prefix() {
        let allowed = "docker.io/library quay.io/prometheus ghcr.io/acme";
        for (source, nearest) in [
            ("libary/python:3", "docker.io/library"),
            ("quay.io/promotheus/node-exporter", "quay.io/prometheus"),
            ("ghcr.io/acmee/a/very/long/name/that/does/not/matter", "ghcr.io/acme"),
        ] {
            let error = check(allowed, source).unwrap_err();
            assert!(error.ends_with(&format!("The nearest allowed prefix is {nearest}")), "{error}");
        }
    }

    #[test]
    fn rejects_invalid_prefixes() {
        for entry in
            ["docker.io/*/x", "123456789012.dkr.ecr.*", "https://quay.io", "a//b", "python:3", "Acme/x", "/"]
        {
            let error = AllowedSources::parse(Some(entry)).unwrap_err();
            assert!(
                error.starts_with(&format!(
                    "The provider's parameter AllowedSources is invalid: \"{entry}\" is not"
                )),
                "{error}"
            );
        }
    }
}
