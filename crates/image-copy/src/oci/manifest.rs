//! Manifests and indexes: the raw bytes and the parsed descriptors.

use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use super::descriptor::Descriptors;
use super::{Descriptor, Digest, ParseError, media_type, rewrite};
use crate::text::SanitizedText;

/// Maximum length of the JSON parser's message in characters. The message quotes the document.
const MAX_MESSAGE_CHARS: usize = 200;

/// Maximum size of a manifest in bytes, which registries must accept
/// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>).
pub(crate) const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

/// Kind of a manifest, with its descriptors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ManifestKind {
    /// An image or artifact.
    Image {
        /// The config blob.
        config: Descriptor,
        /// The layer blobs, in order.
        layers: Arc<[Descriptor]>,
    },
    /// An index.
    Index {
        /// The child manifests, in order.
        children: Arc<[Descriptor]>,
    },
}

/// A manifest or index as a registry sent it. The bytes are kept unchanged, because the digest is computed
/// from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Media type.
    pub media_type: String,
    /// Digest of `bytes`: SHA-256, or the algorithm of the reference or descriptor that the manifest was
    /// requested with.
    pub digest: Digest,
    /// The document.
    pub bytes: Bytes,
    /// Kind and descriptors.
    pub kind: ManifestKind,
}

/// The reason a document is not a manifest that can be copied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Docker's schema 1, which does not contain digests and which ECR does not support.
    #[error("it is in Docker's schema 1 format, which is not supported")]
    DockerSchema1,
    /// An invalid document.
    #[error("it is not a valid manifest: {0}")]
    Invalid(SanitizedText),
    /// An invalid platform in an index or a config.
    #[error("the platform is invalid: {0}")]
    Platform(ParseError),
    /// A document with the fields of an index and of an image.
    #[error("it has both \"manifests\" and \"{0}\": some clients read it as an index, others as an image")]
    Ambiguous(&'static str),
    /// The `Content-Type` header differs from the document's media type.
    #[error("its Content-Type is {content_type}, but its mediaType is {media_type}")]
    MediaType {
        /// The `Content-Type` header.
        content_type: String,
        /// The document's `mediaType`.
        media_type: String,
    },
}

impl From<ParseError> for ManifestError {
    fn from(error: ParseError) -> Self {
        Self::Invalid(error.to_string().into())
    }
}

impl Manifest {
    /// Parses a document. Its `Content-Type` can be missing or generic.
    ///
    /// # Errors
    /// If the document is not a manifest that can be copied.
    pub fn parse(bytes: Bytes, content_type: Option<&str>) -> Result<Self, ManifestError> {
        let invalid = |error: serde_json::Error| {
            ManifestError::Invalid(SanitizedText::new(&error.to_string(), MAX_MESSAGE_CHARS))
        };
        let fields: ManifestFields = serde_json::from_slice(&bytes).map_err(invalid)?;
        if fields.schema_version == Some(1) {
            return Err(ManifestError::DockerSchema1);
        }
        let content_type =
            content_type.map(|text| text.split(';').next().unwrap_or(text).trim().to_ascii_lowercase());
        let content_type = content_type.filter(|text| media_type::MANIFEST_TYPES.contains(&text.as_str()));
        let stated = fields.media_type.filter(|text| !text.is_empty());
        if let Some(stated) = &stated {
            media_type::validate(stated)?;
        }
        let media_type = match (content_type, stated) {
            (Some(content_type), Some(media_type)) if content_type != media_type => {
                return Err(ManifestError::MediaType { content_type, media_type });
            }
            (Some(content_type), _) => content_type,
            (None, Some(stated)) => stated,
            (None, None) if fields.manifests.is_some() => media_type::OCI_INDEX.into(),
            (None, None) => media_type::OCI_MANIFEST.into(),
        };
        let is_index =
            matches!(media_type.as_str(), media_type::OCI_INDEX | media_type::DOCKER_MANIFEST_LIST);
        let missing = |name: &str| ManifestError::Invalid(format!("no \"{name}\"").into());
        let kind = match (fields.manifests, fields.config, fields.layers) {
            // Clients and registries read such a document differently (CVE-2021-41190).
            (Some(_), Some(_), _) => return Err(ManifestError::Ambiguous("config")),
            (Some(_), _, Some(_)) => return Err(ManifestError::Ambiguous("layers")),
            (Some(Descriptors(children)), None, None) if is_index => {
                ManifestKind::Index { children: children.into() }
            }
            _ if is_index => return Err(missing("manifests")),
            (None, Some(config), layers) => {
                let layers = layers.map(|Descriptors(layers)| layers).unwrap_or_default();
                ManifestKind::Image { config, layers: layers.into() }
            }
            _ => return Err(missing("config")),
        };
        Ok(Self { media_type, digest: Digest::of(&bytes), bytes, kind })
    }

    /// Returns the manifest with another digest of the same bytes. The caller must have verified it.
    #[must_use]
    pub(crate) fn with_digest(self, digest: Digest) -> Self {
        Self { digest, ..self }
    }

    /// Returns the number of descriptors.
    #[must_use]
    pub(crate) fn descriptor_count(&self) -> usize {
        match &self.kind {
            ManifestKind::Image { layers, .. } => layers.len() + 1,
            ManifestKind::Index { children } => children.len(),
        }
    }

    /// Returns the children of an index. An image has none.
    #[must_use]
    pub fn children(&self) -> &[Descriptor] {
        match &self.kind {
            ManifestKind::Index { children } => children,
            ManifestKind::Image { .. } => &[],
        }
    }

    /// Returns the config and the layers of an image, in this order. An index has none.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let (config, layers) = match &self.kind {
            ManifestKind::Image { config, layers } => (Some(config), &layers[..]),
            ManifestKind::Index { .. } => (None, &[][..]),
        };
        config.into_iter().chain(layers)
    }

    /// Returns true for an index.
    #[must_use]
    pub fn is_index(&self) -> bool {
        matches!(self.kind, ManifestKind::Index { .. })
    }

    /// Returns the index with only those children for which `kept` is true. All other bytes and the order
    /// are kept, so that the same selection results in the same digest.
    ///
    /// # Panics
    /// If `kept` does not have one element for each child.
    #[must_use]
    pub(crate) fn keep_children(&self, kept: &[bool]) -> Self {
        let ManifestKind::Index { children } = &self.kind else { return self.clone() };
        assert_eq!(children.len(), kept.len(), "one element for each child");
        let chosen = children.iter().zip(kept).filter(|(_, kept)| **kept).map(|(child, _)| child.clone());
        let bytes = Bytes::from(rewrite::keep_entries(&self.bytes, kept));
        Self {
            media_type: self.media_type.clone(),
            digest: Digest::of(&bytes),
            bytes,
            kind: ManifestKind::Index { children: chosen.collect() },
        }
    }
}

/// The fields that are read. The types of `oci_spec` lose fields of a platform, reject a platform that lacks
/// a field, and store all annotations.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestFields {
    schema_version: Option<u32>,
    media_type: Option<String>,
    manifests: Option<Descriptors>,
    config: Option<Descriptor>,
    layers: Option<Descriptors>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(c: char) -> String {
        format!("sha256:{}", c.to_string().repeat(64))
    }

    fn docker_image() -> String {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{}","size":7}},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{}","size":9}}]}}"#,
            media_type::DOCKER_MANIFEST,
            hex('a'),
            hex('b')
        )
    }

    #[test]
    fn keeps_the_bytes_and_parses_the_descriptors() {
        let text = docker_image();
        let manifest = Manifest::parse(text.clone().into(), Some(media_type::DOCKER_MANIFEST)).unwrap();
        assert_eq!(manifest.bytes, text.as_bytes());
        assert_eq!(manifest.digest, Digest::of(text.as_bytes()));
        let sizes: Vec<u64> = manifest.blobs().map(|blob| blob.size).collect();
        assert_eq!(sizes, [7, 9]);
    }

    #[test]
    fn parses_an_index_with_an_attestation_and_a_windows_version() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[
              {{"mediaType":"{m}","digest":"{a}","size":5,"platform":{{"os":"windows","architecture":"amd64","os.version":"10.0.20348"}}}},
              {{"mediaType":"{m}","digest":"{b}","size":6,"annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{a}"}}}}]}}"#,
            m = media_type::OCI_MANIFEST,
            a = hex('a'),
            b = hex('b')
        );
        let manifest =
            Manifest::parse(text.into(), Some("application/vnd.oci.image.index.v1+json; charset=utf-8"))
                .unwrap();
        let children = manifest.children();
        assert_eq!(children[0].platform.as_ref().unwrap().os_version.as_deref(), Some("10.0.20348"));
        assert!(children[1].is_attestation());
        assert_eq!(manifest.media_type, media_type::OCI_INDEX);
    }

    #[test]
    fn parses_an_incomplete_platform_and_a_null_field() {
        let text = docker_image().replace(r#""size":7"#, r#""size":7,"platform":{"os":"linux"}"#);
        assert!(Manifest::parse(text.into(), None).is_ok());
        let null = docker_image().replacen('{', r#"{"manifests":null,"#, 1);
        assert!(Manifest::parse(null.into(), None).is_ok());
    }

    #[test]
    fn rejects_documents_that_cannot_be_copied() {
        let schema_one = r#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#;
        assert_eq!(Manifest::parse(schema_one.into(), None), Err(ManifestError::DockerSchema1));
        let disagreeing = Manifest::parse(docker_image().into(), Some(media_type::OCI_MANIFEST));
        assert!(matches!(disagreeing, Err(ManifestError::MediaType { .. })));
        for broken in [
            "",
            "[]",
            "{}",
            "<html>",
            r#"{"schemaVersion":2,"manifests":[{"digest":"../x","size":1,"mediaType":"m"}]}"#,
            r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
            &docker_image().replacen('{', r#"{"manifests":[],"#, 1),
        ] {
            assert!(Manifest::parse(broken.to_owned().into(), None).is_err(), "{broken}");
        }
    }
}
