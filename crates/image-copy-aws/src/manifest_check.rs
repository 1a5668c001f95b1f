//! Detects manifests that ECR rejects, before a byte is copied.
//!
//! ECR rejects them with 405 `UNSUPPORTED` at the end of a push. They cannot be repaired without a new
//! digest. The size of layers is left to ECR, because its limit differs between Regions.

use std::fmt;

use image_copy::oci::{Algorithm, Manifest, ManifestKind};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

/// Maximum number of layers in an image, approximately
const MAX_LAYERS: usize = 500;

/// Returns a one-line reason if ECR rejects `manifest`.
pub(crate) fn rejection_reason(manifest: &Manifest) -> Option<String> {
    check_descriptors(manifest).or_else(|| check_fields(manifest))
}

/// Checks the descriptors.
fn check_descriptors(manifest: &Manifest) -> Option<String> {
    let foreign = |digest: &image_copy::oci::Digest| {
        (digest.algorithm() != Algorithm::Sha256)
            .then(|| format!("ECR stores only sha256 digests, and the manifest refers to {}", digest.short()))
    };
    if let Some(rejection) = foreign(&manifest.digest) {
        return Some(rejection);
    }
    let layers = match &manifest.kind {
        ManifestKind::Index { children } => return children.iter().find_map(|child| foreign(&child.digest)),
        ManifestKind::Image { layers, .. } => layers,
    };
    if layers.is_empty() {
        return Some("ECR does not store images without layers".into());
    }
    if layers.len() > MAX_LAYERS {
        return Some(format!(
            "ECR stores at most {MAX_LAYERS} layers in an image, and this image has {}",
            layers.len()
        ));
    }
    manifest.blobs().find_map(|blob| {
        if blob.size == 0 {
            let short = blob.digest.short();
            return Some(format!("ECR does not store empty blobs, and blob {short} is empty"));
        }
        foreign(&blob.digest)
    })
}

/// The fields that ECR's strict parser is known to reject. Other content is skipped without being stored,
/// because a manifest can have 4 MiB.
#[derive(Deserialize)]
struct Fields {
    config: Option<DescriptorFields>,
    subject: Option<DescriptorFields>,
    manifests: Option<HasFeatures>,
}

#[derive(Deserialize)]
struct DescriptorFields {
    platform: Option<IgnoredAny>,
    annotations: Option<IgnoredAny>,
}

/// True if a child has `platform.features`.
struct HasFeatures(bool);

impl<'de> Deserialize<'de> for HasFeatures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Child {
            platform: Option<ChildPlatform>,
        }
        #[derive(Deserialize)]
        struct ChildPlatform {
            features: Option<IgnoredAny>,
        }
        struct ListVisitor;
        impl<'de> Visitor<'de> for ListVisitor {
            type Value = HasFeatures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<HasFeatures, A::Error> {
                let mut any = false;
                while let Some(Child { platform }) = list.next_element()? {
                    any |= platform.is_some_and(|platform| platform.features.is_some());
                }
                Ok(HasFeatures(any))
            }
        }
        deserializer.deserialize_seq(ListVisitor)
    }
}

/// Checks fields that ECR's strict JSON parser rejects, each with the source of the report.
fn check_fields(manifest: &Manifest) -> Option<String> {
    let Fields { config, subject, manifests } = serde_json::from_slice(&manifest.bytes).ok()?;
    let is_image = matches!(manifest.kind, ManifestKind::Image { .. });
    let config = config.filter(|_| is_image);
    let rejects = |what: &str| Some(format!("ECR rejects {what} (UNSUPPORTED \"Invalid JSON syntax\")"));
    match (config, subject, manifests) {
        // https://github.com/regclient/regclient/issues/709, https://github.com/moby/moby/pull/47661
        (Some(DescriptorFields { platform: Some(_), .. }), ..) => {
            rejects("a platform in the config descriptor")
        }
        // https://github.com/goharbor/acceleration-service/pull/353
        (Some(DescriptorFields { annotations: Some(_), .. }), ..) => {
            rejects("annotations in the config descriptor")
        }
        // https://github.com/dragonflyoss/nydus/issues/1691
        (_, Some(DescriptorFields { platform: Some(_), .. }), _) => {
            rejects("a platform in the subject descriptor")
        }
        (_, Some(DescriptorFields { annotations: Some(_), .. }), _) => {
            rejects("annotations in the subject descriptor")
        }
        // https://github.com/aws/containers-roadmap/issues/2439
        (.., Some(HasFeatures(true))) if !is_image => rejects("platform.features in an index"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use image_copy::oci::media_type;
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(size: u64) -> Value {
        let digest = format!("sha256:{}", "a".repeat(64));
        json!({"mediaType": "application/octet-stream", "digest": digest, "size": size})
    }

    fn image(change: impl FnOnce(&mut Value)) -> Manifest {
        let mut document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": descriptor(2), "layers": [descriptor(3)]});
        change(&mut document);
        Manifest::parse(document.to_string().into(), None).unwrap()
    }

    fn index(change: impl FnOnce(&mut Value)) -> Manifest {
        let mut child = descriptor(5);
        child["platform"] = json!({"os": "linux", "architecture": "arm64"});
        change(&mut child);
        let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [child]});
        Manifest::parse(document.to_string().into(), None).unwrap()
    }

    #[track_caller]
    fn check(manifest: &Manifest, expected: &str) {
        let rejection = rejection_reason(manifest).unwrap();
        assert!(rejection.contains(expected) && rejection.len() < 200, "{rejection}");
    }

    #[test]
    fn ordinary_manifests_pass() {
        assert_eq!(rejection_reason(&image(|_| ())), None);
        assert_eq!(rejection_reason(&index(|_| ())), None);
        assert_eq!(rejection_reason(&image(|m| m["config"]["annotations"] = Value::Null)), None);
        assert_eq!(rejection_reason(&image(|m| m["annotations"] = json!({"a": "b"}))), None);
    }

    #[test]
    fn names_fields_that_the_strict_parser_rejects() {
        check(
            &image(|m| m["config"]["platform"] = json!({"os": "linux", "architecture": "arm64"})),
            "platform in the config",
        );
        check(&image(|m| m["config"]["annotations"] = json!({})), "annotations in the config");
        check(
            &image(|m| {
                m["subject"] = descriptor(1);
                m["subject"]["platform"] = json!({"os": "linux", "architecture": "arm64"});
            }),
            "platform in the subject",
        );
        check(
            &image(|m| {
                m["subject"] = descriptor(1);
                m["subject"]["annotations"] = json!({});
            }),
            "annotations in the subject",
        );
        check(&index(|c| c["platform"]["features"] = json!(["sse4"])), "platform.features");
    }

    #[test]
    fn names_content_that_ecr_cannot_store() {
        check(&image(|m| m["layers"] = json!([])), "without layers");
        check(&image(|m| m["layers"] = json!([descriptor(0)])), "not store empty blobs");
        check(&image(|m| m["layers"] = Value::Array(vec![descriptor(1); 501])), "501");
        let sha512 = format!("sha512:{}", "b".repeat(128));
        check(&image(|m| m["layers"][0]["digest"] = json!(sha512)), "only sha256 digests");
        check(&index(|c| c["digest"] = json!(sha512)), "only sha256 digests");
    }
}
