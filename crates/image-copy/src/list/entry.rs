//! The result of a list.

use std::sync::Arc;
use std::time::Duration;

use super::tag_rules::TagRules;
use super::version::sorted_newest_first;
use crate::copy::PlatformSelection;
use crate::customize::Customization;
use crate::oci::{Prefix, Reference, Repository, Tag};

/// One image of a list, or the images of one repository that tag rules select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Line of the list, from 1.
    pub line: usize,
    /// Image to copy. With rules, it has neither a tag nor a digest.
    pub source: Reference,
    /// Repository to copy to.
    pub target: Target,
    /// Tag of the copy. Without a tag and rules, the image is stored by digest.
    pub tag: Option<Tag>,
    /// Platforms to copy. `None` means the default of the front end.
    pub platforms: Option<PlatformSelection>,
    /// Dockerfile lines that change each copied image.
    pub customization: Option<Customization>,
    /// Name of the credentials for the source, such as an ARN. The front end resolves it.
    pub credentials: Option<String>,
    /// Rules that select tags of the source. `None` for one image.
    pub rules: Option<Arc<TagRules>>,
    /// Time for which a digest must be known before it is copied, in whole minutes. It counts from the time at
    /// which the digest was first seen.
    pub min_age: Option<Duration>,
    /// True if copies that the list owns and that it no longer selects are deleted.
    pub prune: bool,
    /// True if other owners can use the same tag with another image.
    pub is_shared: bool,
}

/// Repository that an entry is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A path below the prefix of the destination.
    Below(String),
    /// A complete name with its registry.
    Repository(Repository),
}

impl Entry {
    /// Creates an entry that keeps path and tag of its source.
    #[must_use]
    pub fn new(source: Reference, line: usize) -> Self {
        let target = Target::Below(default_path(&source.repository).into());
        Self {
            line,
            tag: source.tag.clone(),
            source,
            target,
            platforms: None,
            customization: None,
            credentials: None,
            rules: None,
            min_age: None,
            prune: false,
            is_shared: false,
        }
    }

    /// Returns one entry for each tag that the rules select, the newest version first. Without rules, this
    /// is the entry itself.
    ///
    /// `tags` are the tags of the source. An exact tag is selected even if the source does not list it, so that its
    /// copy reports the missing image.
    #[must_use]
    pub fn select(&self, tags: &[Tag]) -> Vec<Self> {
        let Some(rules) = &self.rules else { return vec![self.clone()] };
        let decisions = rules.decide(tags);
        let selected = tags.iter().zip(decisions).filter(|(_, decision)| decision.is_in());
        let mut selected = sorted_newest_first(selected.map(|(tag, _)| tag).chain(&rules.exact));
        selected.dedup();
        selected.into_iter().map(|tag| self.with_tag(tag.clone())).collect()
    }

    /// Returns the entry of one tag of the same repository.
    pub(super) fn with_tag(&self, tag: Tag) -> Self {
        let source = self.source.repository.with_tag(tag.clone());
        Self { source, tag: Some(tag), rules: None, ..self.clone() }
    }

    /// Returns the entry for the tags of the same repository that the rules select.
    #[must_use]
    pub fn with_rules(self, rules: Arc<TagRules>) -> Self {
        let source = Reference { tag: None, digest: None, ..self.source };
        Self { source, tag: None, rules: Some(rules), ..self }
    }

    /// Returns the size of the Dockerfile lines in bytes.
    #[must_use]
    pub fn customize_bytes(&self) -> usize {
        self.customization.as_ref().map_or(0, |lines| lines.text().len())
    }

    /// Returns the repository to copy to.
    ///
    /// # Errors
    /// One line if there is no prefix for a path, if the name is invalid, or if a complete name is not below
    /// the prefix.
    pub fn destination(&self, prefix: Option<&Prefix>) -> Result<Repository, String> {
        match (&self.target, prefix) {
            (Target::Below(path), Some(prefix)) => {
                prefix.join(path).ok_or_else(|| format!("{prefix}/{path} is not a valid repository name"))
            }
            (Target::Below(path), None) => Err(format!("the destination {path} has no registry")),
            (Target::Repository(name), Some(prefix)) if prefix.relative_path(name).is_none() => {
                Err(format!("the destination {name} is not below {prefix}"))
            }
            (Target::Repository(name), _) => Ok(name.clone()),
        }
    }
}

impl Target {
    /// Parses a path below the prefix, or a complete name if its first component is a host.
    ///
    /// # Errors
    /// The reason if the name is invalid.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_host = |first: &str| first.contains(['.', ':']) || first == "localhost";
        let parsed = match text.split_once('/') {
            Some((first, path)) if is_host(first) => {
                first.parse().and_then(|registry| Repository::new(registry, path)).map(Self::Repository)
            }
            // The registry only serves to check the path.
            _ => "localhost"
                .parse()
                .and_then(|registry| Repository::new(registry, text))
                .map(|_| Self::Below(text.into())),
        };
        parsed.map_err(|error| error.to_string())
    }
}

/// Returns the path of a copy below the prefix: the path of the source, without its registry. Docker Hub's
/// official images lose `library/`, as in Docker's own short names.
fn default_path(source: &Repository) -> &str {
    let path = source.path();
    if source.registry().is_docker_hub() { path.strip_prefix("library/").unwrap_or(path) } else { path }
}

/// Returns true if the text of a reference has a tag or a digest.
pub(super) fn has_tag_or_digest(reference: &str) -> bool {
    reference.contains('@') || reference.rsplit('/').next().is_some_and(|name| name.contains(':'))
}
