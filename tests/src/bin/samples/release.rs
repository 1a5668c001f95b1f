//! Generated images for the references of the samples, and the expected copies of them.

use aws_emulator::{Blob, BoxError, Image, ImageBuilder, Manifest};
use serde_json::Value;

/// Platforms of every source image, in the notation of official images.
const PLATFORMS: [&str; 3] = ["linux/amd64", "linux/arm/v7", "linux/arm64/v8"];

/// Annotation of BuildKit's attestations with the digest of their image.
const ATTESTED: &str = "vnd.docker.reference.digest";

/// An `ImageReference` of a sample, with registry, repository and tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    /// True if the reference has a digest.
    pub(crate) is_pinned: bool,
}

impl Reference {
    /// Parses a reference.
    ///
    /// # Errors
    ///
    /// Fails if registry or tag is missing, because samples must not depend on defaults.
    pub(crate) fn read(text: &str) -> Result<Self, BoxError> {
        let (named, digest) = text.split_once('@').map_or((text, None), |(named, d)| (named, Some(d)));
        let parts = named.split_once('/').and_then(|(registry, rest)| {
            let (repository, tag) = rest.rsplit_once(':')?;
            Some((registry.to_owned(), repository.to_owned(), tag.to_owned()))
        });
        let complete = parts.filter(|(registry, ..)| registry.contains('.'));
        let (registry, repository, tag) =
            complete.ok_or_else(|| format!("{text} is incomplete: expected registry/repository:tag"))?;
        Ok(Self { registry, repository, tag, is_pinned: digest.is_some() })
    }

    /// Returns the reference with a digest.
    pub(crate) fn with_digest(&self, digest: &str) -> String {
        let Self { registry, repository, tag, .. } = self;
        format!("{registry}/{repository}:{tag}@{digest}")
    }
}

/// The platforms of a resource.
#[derive(Clone, Debug)]
pub(crate) enum Selection {
    All,
    One(String),
    Several(Vec<String>),
}

impl Selection {
    /// Parses `Platform`.
    ///
    /// # Errors
    ///
    /// Fails if the value is neither a string nor a list.
    pub(crate) fn read(value: &Value) -> Result<Self, BoxError> {
        let listed = |items: Vec<&str>| items.into_iter().map(|item| item.trim().to_owned()).collect();
        match value {
            Value::String(text) if text.eq_ignore_ascii_case("all") => Ok(Self::All),
            Value::String(text) if text.contains(',') => Ok(Self::Several(listed(text.split(',').collect()))),
            Value::String(text) => Ok(Self::One(text.clone())),
            Value::Array(items) => {
                Ok(Self::Several(listed(items.iter().filter_map(Value::as_str).collect())))
            }
            other => Err(format!("Platform is {other}, expected a string or a list").into()),
        }
    }

    /// Returns the selected platforms in the notation of the image.
    fn selected_platforms(&self) -> Result<Vec<&'static str>, BoxError> {
        let named = match self {
            Self::All => return Ok(PLATFORMS.to_vec()),
            Self::One(platform) => std::slice::from_ref(platform),
            Self::Several(platforms) => platforms,
        };
        // arm64 has only the variant v8, so references omit it.
        let is = |own: &str, wanted: &str| own == wanted || own.strip_suffix("/v8") == Some(wanted);
        let unknown = named.iter().find(|wanted| !PLATFORMS.iter().any(|own| is(own, wanted)));
        if let Some(wanted) = unknown {
            return Err(format!("Platform names {wanted}, which official images do not have").into());
        }
        let mut chosen = PLATFORMS.to_vec();
        chosen.retain(|own| named.iter().any(|wanted| is(own, wanted)));
        Ok(chosen)
    }
}

/// One release of a source image.
pub(crate) struct Release {
    pub(crate) image: Image,
    /// A signature of the image.
    pub(crate) signature: Image,
}

/// Expected content of ECR.
pub(crate) struct ExpectedCopy {
    pub(crate) root: Root,
    pub(crate) media_type: String,
    /// Manifests below the root.
    pub(crate) children: Vec<Manifest>,
    pub(crate) blobs: Vec<Blob>,
    /// Value of the attribute `Platforms`.
    pub(crate) platforms: Vec<&'static str>,
}

/// The manifest that the tag must name.
pub(crate) enum Root {
    /// The unchanged manifest of the source.
    Identical(Manifest),
    /// A new index with this content.
    Selection(Value),
    /// A new manifest, whose first layers are those of this manifest of the source.
    Changed(Manifest),
}

impl Release {
    /// Each seed makes a different release. All are indexes, like official images.
    pub(crate) fn new(seed: u64) -> Self {
        let image = ImageBuilder::new(seed).platforms(&PLATFORMS).attestations().index();
        let content = format!("signature of release {seed}");
        let kind = "application/vnd.dev.cosign.artifact.sig.v1+json";
        let signature = Image::referrer(image.root(), kind, &content);
        Self { image, signature }
    }

    /// Returns the expected copy of a selection.
    ///
    /// # Errors
    ///
    /// Fails if the image does not have a selected platform.
    pub(crate) fn expected_copy(&self, selection: &Selection) -> Result<ExpectedCopy, BoxError> {
        let source = self.image.root();
        let platforms = selection.selected_platforms()?;
        let chosen: Vec<_> = platforms.iter().filter_map(|platform| self.image.child(platform)).collect();
        let (root, media_type, children) = match selection {
            Selection::All => {
                let children = self.image.manifests.iter().filter(|manifest| *manifest != source);
                (Root::Identical(source.clone()), source.media_type.clone(), children.cloned().collect())
            }
            Selection::One(_) => {
                let [child] = chosen[..] else { return Err("a platform must have exactly one image".into()) };
                (Root::Identical(child.clone()), child.media_type.clone(), Vec::new())
            }
            Selection::Several(_) => {
                let chosen: Vec<_> = chosen.iter().map(|manifest| manifest.digest.as_str()).collect();
                let mut document: Value = serde_json::from_slice(&source.bytes)?;
                let entries = selected(&document["manifests"], &chosen);
                let is_kept = |manifest: &&Manifest| entries.iter().any(|e| e["digest"] == manifest.digest);
                let children = self.image.manifests.iter().filter(is_kept).cloned().collect();
                document["manifests"] = Value::Array(entries);
                (Root::Selection(document), source.media_type.clone(), children)
            }
        };
        let image = match &root {
            Root::Identical(manifest) | Root::Changed(manifest) => Some(manifest),
            Root::Selection(_) => None,
        };
        let blobs = self.blobs_of(children.iter().chain(image))?;
        Ok(ExpectedCopy { root, media_type, children, blobs, platforms })
    }

    /// Returns the configs and layers of the manifests, each once.
    fn blobs_of<'a>(&self, manifests: impl Iterator<Item = &'a Manifest>) -> Result<Vec<Blob>, BoxError> {
        let mut blobs: Vec<Blob> = Vec::new();
        for manifest in manifests {
            let document: Value = serde_json::from_slice(&manifest.bytes)?;
            let layers = document["layers"].as_array().into_iter().flatten();
            for entry in layers.chain([&document["config"]]) {
                let found = self.image.blobs.iter().find(|blob| entry["digest"] == blob.digest());
                let is_new = |blob: &&Blob| blobs.iter().all(|known| known.digest() != blob.digest());
                blobs.extend(found.filter(is_new).cloned());
            }
        }
        Ok(blobs)
    }
}

/// Returns the entries of an index for these images and their attestations.
fn selected(entries: &Value, digests: &[&str]) -> Vec<Value> {
    let has = |value: &Value| value.as_str().is_some_and(|digest| digests.contains(&digest));
    let entries = entries.as_array().into_iter().flatten();
    entries.filter(|entry| has(&entry["digest"]) || has(&entry["annotations"][ATTESTED])).cloned().collect()
}

impl ExpectedCopy {
    /// Returns the expected copy if lines change the image: only the layers are those of the source.
    ///
    /// # Errors
    ///
    /// Fails if the copy is an index.
    pub(crate) fn changed(self) -> Result<Self, BoxError> {
        let Root::Identical(source) = &self.root else {
            return Err("a sample with Customize must select one platform".into());
        };
        let document: Value = serde_json::from_slice(&source.bytes)?;
        let is_layer = |blob: &Blob| document["config"]["digest"] != blob.digest();
        let blobs = self.blobs.into_iter().filter(is_layer).collect();
        Ok(Self { root: Root::Changed(source.clone()), blobs, ..self })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parses_only_complete_references() {
        let read = |text: &str| Reference::read(text).ok();
        let python = read("docker.io/library/python:3.13@sha256:ab").unwrap();
        assert!(python.is_pinned);
        assert_eq!(python.with_digest("sha256:cd"), "docker.io/library/python:3.13@sha256:cd");
        assert!(!read("ghcr.io/acme/app:2.1").unwrap().is_pinned);
        for incomplete in ["python:3.13", "docker.io/library/python", "library/python:3.13"] {
            assert_eq!(read(incomplete), None, "{incomplete}");
        }
    }

    #[test]
    fn a_selection_has_only_the_images_and_attestations_of_its_platforms() {
        let release = Release::new(1);
        let copied = |platform| release.expected_copy(&Selection::read(&platform).unwrap());
        // Each platform has an image with a config and two layers, and an attestation.
        let all = copied(json!("all")).unwrap();
        assert_eq!((all.children.len(), all.platforms.len()), (6, 3));
        let one = copied(json!("linux/arm64")).unwrap();
        assert_eq!((one.children.len(), one.blobs.len()), (0, 3));
        assert_eq!(one.platforms, ["linux/arm64/v8"]);
        let two = copied(json!(["linux/arm64", "linux/amd64"])).unwrap();
        assert_eq!(two.platforms, ["linux/amd64", "linux/arm64/v8"]);
        assert_eq!((two.children.len(), two.blobs.len()), (4, all.blobs.len() * 2 / 3));
        assert!(copied(json!(["linux/amd64", "linux/amd46"])).is_err());
    }
}
