//! Image references as they are written in files.

use std::fmt;
use std::str::FromStr;

use image_copy::oci::{ParseError, Reference};

/// An image reference as it is written in a file.
///
/// Names are compared as text, so that `docker.io/nginx` is not rewritten as `docker.io/library/nginx`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RawReference {
    /// Registry and repository.
    pub(crate) name: String,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
}

/// Tag of a reference without tag and digest.
pub(crate) const DEFAULT_TAG: &str = "latest";

impl RawReference {
    /// Returns true if the reference has a digest and no tag.
    pub(crate) fn is_digest_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_some()
    }

    /// Returns true for images of CodeBuild itself, which are not in a registry
    /// (<https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html>).
    pub(crate) fn is_codebuild_image(&self) -> bool {
        self.name.starts_with("aws/codebuild/")
    }

    /// Returns the tag, `latest` by default. A reference with only a digest has none.
    pub(crate) fn effective_tag(&self) -> Option<&str> {
        if self.is_digest_only() { None } else { Some(self.tag.as_deref().unwrap_or(DEFAULT_TAG)) }
    }

    /// Returns the same name with another tag and without digest.
    pub(crate) fn with_tag(&self, tag: &str) -> Self {
        Self { name: self.name.clone(), tag: Some(tag.into()), digest: None }
    }

    /// Returns the same reference with the digest.
    pub(crate) fn with_digest(&self, digest: &str) -> Self {
        Self { digest: Some(digest.into()), ..self.clone() }
    }

    /// Returns the reference with registry, repository and default tag filled in.
    pub(crate) fn normalized(&self) -> Reference {
        self.to_string().parse().expect("a raw reference is always parsed")
    }
}

impl FromStr for RawReference {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse::<Reference>()?;
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (text, None),
        };
        let last = name.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match name[last..].find(':') {
            Some(colon) => (&name[..last + colon], Some(name[last + colon + 1..].to_owned())),
            None => (name, None),
        };
        Ok(Self { name: name.into(), tag, digest })
    }
}

impl fmt::Display for RawReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        self.digest.as_ref().map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_spelling() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for text in ["python", "GHCR.io/a/b:1", "localhost:5000/a", "docker.io/nginx:1"] {
            for text in [text.to_owned(), format!("{text}@{digest}")] {
                assert_eq!(text.parse::<RawReference>().unwrap().to_string(), text);
            }
        }
        let port: RawReference = "localhost:5000/a".parse().unwrap();
        assert_eq!((port.name.as_str(), port.effective_tag()), ("localhost:5000/a", Some("latest")));
        let digest: RawReference = format!("a/b@{digest}").parse().unwrap();
        assert_eq!(digest.effective_tag(), None);
    }
}
