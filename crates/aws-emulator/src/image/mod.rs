//! Images with index, child manifests, configs and layers. The same seed gives the same bytes.

mod builder;
mod layer;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::blob::{Blob, digest};

pub use builder::ImageBuilder;
use builder::{descriptor, format_platform};

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// A manifest or index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Content.
    pub bytes: Bytes,
    /// Media type.
    pub media_type: String,
    /// Digest of the content.
    pub digest: String,
}

impl Manifest {
    /// Creates a manifest from any bytes.
    pub fn new(bytes: impl Into<Bytes>, media_type: &str) -> Self {
        let bytes = bytes.into();
        Self { digest: digest(&bytes), bytes, media_type: media_type.to_owned() }
    }

    fn of(document: &Value, media_type: &str) -> Self {
        Self::new(document.to_string(), media_type)
    }

    /// Returns a descriptor of the manifest.
    pub fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }

    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

/// An image with all its manifests and blobs.
#[derive(Clone, Debug)]
pub struct Image {
    /// Manifests. Each one follows the manifests that it refers to, and the root is last.
    pub manifests: Vec<Manifest>,
    /// Configs and layers without duplicates.
    pub blobs: Vec<Blob>,
}

impl Image {
    /// Returns the index, or the manifest of an image without index.
    ///
    /// # Panics
    ///
    /// Panics if the image has no manifest. The builder always adds one.
    pub fn root(&self) -> &Manifest {
        self.manifests.last().expect("an image has a manifest")
    }

    /// Returns the digest of the root.
    pub fn digest(&self) -> &str {
        &self.root().digest
    }

    /// Returns the child manifest for a platform such as `linux/arm64`.
    pub fn child(&self, platform: &str) -> Option<&Manifest> {
        let index = self.root().document();
        let entries = index["manifests"].as_array()?;
        let entry = entries.iter().find(|entry| format_platform(&entry["platform"]) == platform)?;
        self.manifests.iter().find(|manifest| entry["digest"] == manifest.digest.as_str())
    }

    /// Puts images into an index. They can be indexes themselves.
    #[must_use]
    pub fn nested(images: &[Self]) -> Self {
        let entries: Vec<_> = images.iter().map(|image| image.root().descriptor()).collect();
        let document = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        let mut nested = Self { manifests: Vec::new(), blobs: Vec::new() };
        for image in images {
            nested.manifests.extend(image.manifests.iter().cloned());
            image.blobs.iter().for_each(|blob| nested.add(blob.clone()));
        }
        nested.manifests.push(Manifest::of(&document, OCI_INDEX));
        nested
    }

    /// Creates an artifact that refers to `subject`, such as a signature.
    #[must_use]
    pub fn referrer(subject: &Manifest, artifact_type: &str, content: &str) -> Self {
        let (config, layer) = (Blob::bytes("{}"), Blob::bytes(content.to_owned()));
        let document = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": descriptor(&config, "application/vnd.oci.empty.v1+json"),
            "layers": [descriptor(&layer, artifact_type)],
            "subject": subject.descriptor(),
        });
        Self { manifests: vec![Manifest::of(&document, OCI_MANIFEST)], blobs: vec![config, layer] }
    }

    fn add(&mut self, blob: Blob) {
        if self.blobs.iter().all(|known| known.digest() != blob.digest()) {
            self.blobs.push(blob);
        }
    }
}
