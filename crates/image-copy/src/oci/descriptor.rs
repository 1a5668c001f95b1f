//! Descriptors: references from a manifest to content.

use std::fmt;

use oci_spec::image::MediaType;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use super::{Digest, Platform, UnvalidatedPlatform, media_type};

/// Maximum number of descriptors in one list of a manifest. A list at the maximum uses 3 MiB of memory,
/// while 4 MiB of JSON have room for 40,000 descriptors. Images have at most some 500 layers, and at most
/// 300 referrers of an image are copied.
pub(crate) const MAX_DESCRIPTORS: usize = 10_000;

/// Reference to content by digest, with the content's media type and size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Platform of a child manifest, if the index states it.
    pub platform: Option<Platform>,
    /// Digest of the described image, if this is an attestation in an index.
    pub attestation_subject: Option<Digest>,
    /// Type of an artifact, if a list of referrers states a valid one.
    pub artifact_type: Option<Box<str>>,
    /// True if registries can lack the content, because it has `urls` or the media type of a non-distributable
    /// layer. An example is the base layer of a Windows image from before 2023
    /// (<https://github.com/opencontainers/image-spec/blob/main/layer.md#non-distributable-layers>).
    pub is_foreign: bool,
}

impl Descriptor {
    /// Returns true if this child of an index is a `BuildKit` attestation and not an image.
    #[must_use]
    pub fn is_attestation(&self) -> bool {
        self.attestation_subject.is_some()
    }
}

/// Returns true for the media types of non-distributable layers.
fn is_nondistributable(media_type: &str) -> bool {
    let is_oci = matches!(
        MediaType::from(media_type),
        MediaType::ImageLayerNonDistributable
            | MediaType::ImageLayerNonDistributableGzip
            | MediaType::ImageLayerNonDistributableZstd
    );
    is_oci || media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
}

/// The fields that are read. Other fields are skipped and not stored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    media_type: String,
    digest: Digest,
    size: u64,
    platform: Option<UnvalidatedPlatform>,
    artifact_type: Option<String>,
    annotations: Option<Annotations>,
    /// Only counted: `IgnoredAny` has no size.
    urls: Option<Vec<IgnoredAny>>,
}

#[derive(Deserialize)]
struct Annotations {
    #[serde(rename = "vnd.docker.reference.type")]
    kind: Option<String>,
    #[serde(rename = "vnd.docker.reference.digest")]
    digest: Option<String>,
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Fields { media_type, digest, size, platform, artifact_type, annotations, urls } =
            Fields::deserialize(deserializer)?;
        let artifact_type = artifact_type.filter(|text| media_type::validate(text).is_ok());
        let attestation_subject = match annotations {
            Some(Annotations { kind: Some(kind), digest: Some(digest) })
                if kind == "attestation-manifest" =>
            {
                Some(digest.parse().map_err(D::Error::custom)?)
            }
            _ => None,
        };
        // Some tools leave the media type empty, and registries accept that.
        if !media_type.is_empty() {
            media_type::validate(&media_type).map_err(D::Error::custom)?;
        }
        let platform = platform.map(Platform::try_from).transpose().map_err(D::Error::custom)?;
        let is_foreign = is_nondistributable(&media_type) || urls.is_some_and(|urls| !urls.is_empty());
        Ok(Self {
            media_type,
            digest,
            size,
            platform,
            attestation_subject,
            artifact_type: artifact_type.map(Into::into),
            is_foreign,
        })
    }
}

/// A list of at most [`MAX_DESCRIPTORS`] descriptors, which are counted while they are read.
pub(super) struct Descriptors(pub(super) Vec<Descriptor>);

impl<'de> Deserialize<'de> for Descriptors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountingVisitor;
        impl<'de> Visitor<'de> for CountingVisitor {
            type Value = Descriptors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of descriptors")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Descriptors, A::Error> {
                let mut descriptors = Vec::new();
                while let Some(descriptor) = list.next_element()? {
                    if descriptors.len() == MAX_DESCRIPTORS {
                        return Err(A::Error::custom(format!(
                            "it lists more than {MAX_DESCRIPTORS} descriptors"
                        )));
                    }
                    descriptors.push(descriptor);
                }
                Ok(Descriptors(descriptors))
            }
        }
        deserializer.deserialize_seq(CountingVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(fields: &str, is_foreign: bool) {
        let digest = Digest::of(b"x");
        let text = format!(r#"{{"digest":"{digest}","size":1,{fields}}}"#);
        let descriptor: Descriptor = serde_json::from_str(&text).unwrap();
        assert_eq!(descriptor.is_foreign, is_foreign, "{fields}");
    }

    #[test]
    fn recognizes_foreign_layers() {
        check(r#""mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip""#, true);
        check(r#""mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar""#, true);
        check(r#""mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip""#, true);
        check(r#""mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd""#, true);
        check(r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip""#, false);
        check(r#""mediaType":"application/vnd.oci.image.layer.v1.tar","urls":["https://a.example/b"]"#, true);
        check(r#""mediaType":"application/vnd.oci.image.layer.v1.tar","urls":[]"#, false);
        check(r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","urls":null"#, false);
    }

    #[test]
    fn limits_the_number_of_descriptors() {
        let one = format!(r#"{{"mediaType":"a/m","digest":"{}","size":1}}"#, Digest::of(b"x"));
        let list = |count| format!("[{}]", vec![one.as_str(); count].join(","));
        let read = |count| serde_json::from_str::<Descriptors>(&list(count)).map(|list| list.0.len());
        assert_eq!(read(MAX_DESCRIPTORS).unwrap(), MAX_DESCRIPTORS);
        assert!(read(MAX_DESCRIPTORS + 1).unwrap_err().to_string().contains("more than 10000"));
    }
}
