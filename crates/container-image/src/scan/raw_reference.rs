//! Image references as they are spelled in files.

use std::fmt;
use std::str::FromStr;

use image_copy::oci::{ParseError, Reference};

/// An image reference as it is spelled in a file. Names are equal only if they are spelled alike, so that
/// `docker.io/nginx` is not rewritten as `docker.io/library/nginx`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RawReference {
    /// Registry and repository.
    pub(crate) name: String,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<String>,
}

/// Tag of a reference that has neither tag nor digest.
pub(crate) const DEFAULT_TAG: &str = "latest";

impl RawReference {
    /// Whether nothing but a digest says which image it is.
    pub(crate) fn is_digest_only(&self) -> bool {
        self.tag.is_none() && self.digest.is_some()
    }

    /// Whether it is one of CodeBuild's own images, which are in no registry that could be asked
    /// (<https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-available.html>).
    pub(crate) fn is_codebuild_image(&self) -> bool {
        self.name.starts_with("aws/codebuild/")
    }

    /// The tag that it means; none when there is nothing but a digest.
    pub(crate) fn effective_tag(&self) -> Option<&str> {
        if self.is_digest_only() { None } else { Some(self.tag.as_deref().unwrap_or(DEFAULT_TAG)) }
    }

    /// The same name with another tag, and no digest.
    pub(crate) fn with_tag(&self, tag: &str) -> Self {
        Self { name: self.name.clone(), tag: Some(tag.into()), digest: None }
    }

    /// The same with that digest.
    pub(crate) fn with_digest(&self, digest: &str) -> Self {
        Self { digest: Some(digest.into()), ..self.clone() }
    }

    /// What it means.
    pub(crate) fn normalized(&self) -> Reference {
        self.to_string().parse().expect("only what can be parsed becomes a reference")
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
    fn keeps_what_was_written() {
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
