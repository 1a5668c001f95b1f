//! Images as the samples name them, made to order, and what a copy of them has to look like.

use aws_emulator::{Blob, BoxError, Image, Manifest, Recipe};
use serde_json::Value;

/// Platforms of every image upstream, written as the indexes of official images have them.
const PLATFORMS: [&str; 3] = ["linux/amd64", "linux/arm/v7", "linux/arm64/v8"];

/// The annotation by which BuildKit's attestations say which image they are of.
const ATTESTED: &str = "vnd.docker.reference.digest";

/// `ImageReference`, as samples write it: with registry, repository and tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) tag: String,
    /// Whether a digest stands behind the tag.
    pub(crate) is_pinned: bool,
}

impl Reference {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// When something of it is left to defaults: a sample says what it copies.
    pub(crate) fn read(text: &str) -> Result<Self, BoxError> {
        let (named, digest) = text.split_once('@').map_or((text, None), |(named, d)| (named, Some(d)));
        let parts = named.split_once('/').and_then(|(registry, rest)| {
            let (repository, tag) = rest.rsplit_once(':')?;
            Some((registry.to_owned(), repository.to_owned(), tag.to_owned()))
        });
        let whole = parts.filter(|(registry, ..)| registry.contains('.'));
        let (registry, repository, tag) =
            whole.ok_or_else(|| format!("{text} is not written out: expected registry/repository:tag"))?;
        Ok(Self { registry, repository, tag, is_pinned: digest.is_some() })
    }

    /// The reference pinned to a digest.
    pub(crate) fn at(&self, digest: &str) -> String {
        let Self { registry, repository, tag, .. } = self;
        format!("{registry}/{repository}:{tag}@{digest}")
    }
}

/// Which platforms a resource wants.
#[derive(Clone, Debug)]
pub(crate) enum Selection {
    All,
    One(String),
    Several(Vec<String>),
}

impl Selection {
    /// Reads `Platform`.
    ///
    /// # Errors
    ///
    /// When it is neither a text nor a list of such.
    pub(crate) fn read(value: &Value) -> Result<Self, BoxError> {
        let listed = |items: Vec<&str>| items.into_iter().map(|item| item.trim().to_owned()).collect();
        match value {
            Value::String(text) if text.eq_ignore_ascii_case("all") => Ok(Self::All),
            Value::String(text) if text.contains(',') => Ok(Self::Several(listed(text.split(',').collect()))),
            Value::String(text) => Ok(Self::One(text.clone())),
            Value::Array(items) => {
                Ok(Self::Several(listed(items.iter().filter_map(Value::as_str).collect())))
            }
            other => Err(format!("Platform is {other}, expected a text or a list").into()),
        }
    }

    /// What of an image's platforms is selected, as the image has them.
    fn of_platforms(&self) -> Result<Vec<&'static str>, BoxError> {
        let named = match self {
            Self::All => return Ok(PLATFORMS.to_vec()),
            Self::One(platform) => std::slice::from_ref(platform),
            Self::Several(platforms) => platforms,
        };
        // Of arm64 there is no other variant in use, so nobody writes it.
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

/// An image as it is upstream at some time.
pub(crate) struct Release {
    pub(crate) image: Image,
    /// A signature of it.
    pub(crate) signature: Image,
}

/// What ECR has to hold.
pub(crate) struct Copied {
    /// The index, or the image.
    pub(crate) root: Root,
    pub(crate) media_type: String,
    /// Manifests below the root.
    pub(crate) children: Vec<Manifest>,
    pub(crate) blobs: Vec<Blob>,
    /// What attribute `Platforms` has to say.
    pub(crate) platforms: Vec<&'static str>,
}

/// The manifest that the tag has to name.
pub(crate) enum Root {
    /// These bytes, upstream's own.
    Same(Manifest),
    /// An index that says this, whatever its bytes are.
    Saying(Value),
}

impl Release {
    /// Another seed is another release. All are indexes, as official images are.
    pub(crate) fn new(seed: u64) -> Self {
        let image = Recipe::new(seed).platforms(&PLATFORMS).attestations().index();
        let content = format!("signature of release {seed}");
        let kind = "application/vnd.dev.cosign.artifact.sig.v1+json";
        let signature = Image::referrer(image.root(), kind, &content);
        Self { image, signature }
    }

    /// What a copy of the selection has to be.
    ///
    /// # Errors
    ///
    /// When the selection names what is not there.
    pub(crate) fn copied(&self, selection: &Selection) -> Result<Copied, BoxError> {
        let source = self.image.root();
        let platforms = selection.of_platforms()?;
        let chosen: Vec<_> = platforms.iter().filter_map(|platform| self.image.child(platform)).collect();
        let (root, media_type, children) = match selection {
            Selection::All => {
                let children = self.image.manifests.iter().filter(|manifest| *manifest != source);
                (Root::Same(source.clone()), source.media_type.clone(), children.cloned().collect())
            }
            Selection::One(_) => {
                let [child] = chosen[..] else { return Err("one platform is one image".into()) };
                (Root::Same(child.clone()), child.media_type.clone(), Vec::new())
            }
            Selection::Several(_) => {
                let chosen: Vec<_> = chosen.iter().map(|manifest| manifest.digest.as_str()).collect();
                let mut document: Value = serde_json::from_slice(&source.bytes)?;
                let entries = selected(&document["manifests"], &chosen);
                let is_kept = |manifest: &&Manifest| entries.iter().any(|e| e["digest"] == manifest.digest);
                let children = self.image.manifests.iter().filter(is_kept).cloned().collect();
                document["manifests"] = Value::Array(entries);
                (Root::Saying(document), source.media_type.clone(), children)
            }
        };
        let image = match &root {
            Root::Same(manifest) => Some(manifest),
            Root::Saying(_) => None,
        };
        let blobs = self.blobs_of(children.iter().chain(image))?;
        Ok(Copied { root, media_type, children, blobs, platforms })
    }

    /// Configs and layers of some manifests, each once.
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

/// The entries of an index for some images, and for the attestations of these.
fn selected(entries: &Value, digests: &[&str]) -> Vec<Value> {
    let has = |value: &Value| value.as_str().is_some_and(|digest| digests.contains(&digest));
    let entries = entries.as_array().into_iter().flatten();
    entries.filter(|entry| has(&entry["digest"]) || has(&entry["annotations"][ATTESTED])).cloned().collect()
}

impl Copied {
    /// What attribute `Size` has to say.
    pub(crate) fn size(&self) -> u64 {
        self.blobs.iter().map(Blob::size).sum()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reference_is_read_when_it_is_written_out() {
        let read = |text: &str| Reference::read(text).ok();
        let python = read("docker.io/library/python:3.13@sha256:ab").unwrap();
        assert!(python.is_pinned);
        assert_eq!(python.at("sha256:cd"), "docker.io/library/python:3.13@sha256:cd");
        assert!(!read("ghcr.io/acme/app:2.1").unwrap().is_pinned);
        for vague in ["python:3.13", "docker.io/library/python", "library/python:3.13"] {
            assert_eq!(read(vague), None, "{vague}");
        }
    }

    #[test]
    fn a_selection_has_the_images_and_attestations_of_its_platforms_and_no_others() {
        let release = Release::new(1);
        let copied = |platform| release.copied(&Selection::read(&platform).unwrap());
        // Each platform has an image of a config and two layers, and an attestation.
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
