//! Detects manifests that ECR rejects, before a byte is copied.
//!
//! ECR rejects them with 405 `UNSUPPORTED` at the end of a push. They cannot be repaired without a new
//! digest. The size of layers is left to ECR, because its limit differs between Regions.

use image_copy::oci::{Algorithm, Kind, Manifest};
use serde_json::Value;

/// Layers ECR takes in one image: at most some 500 (<https://github.com/cirruslabs/tart/issues/890>).
const MAX_LAYERS: usize = 500;

/// Says in one line why ECR would not store `manifest`.
pub(crate) fn objection(manifest: &Manifest) -> Option<String> {
    of_shape(manifest).or_else(|| of_fields(manifest))
}

/// What the descriptors alone tell.
fn of_shape(manifest: &Manifest) -> Option<String> {
    let foreign = |digest: &image_copy::oci::Digest| {
        (digest.algorithm() != Algorithm::Sha256)
            .then(|| format!("ECR stores sha256 digests only, and it refers to {}", digest.short()))
    };
    let layers = match &manifest.kind {
        Kind::Index { children } => return children.iter().find_map(|child| foreign(&child.digest)),
        Kind::Image { layers, .. } => layers,
    };
    if layers.is_empty() {
        return Some("ECR stores no image without layers".into());
    }
    if layers.len() > MAX_LAYERS {
        return Some(format!(
            "ECR stores at most {MAX_LAYERS} layers in an image, and it has {}",
            layers.len()
        ));
    }
    manifest.blobs().find_map(|blob| {
        if blob.size == 0 {
            let short = blob.digest.short();
            return Some(format!("ECR stores no empty blobs, and its blob {short} has no bytes"));
        }
        foreign(&blob.digest)
    })
}

/// What ECR's strict reading of the JSON does not let pass, with the report of each.
fn of_fields(manifest: &Manifest) -> Option<String> {
    let document: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    let has = |pointer: &str| document.pointer(pointer).is_some_and(|value| !value.is_null());
    let refused = |what: &str| Some(format!("ECR refuses {what} (UNSUPPORTED \"Invalid JSON syntax\")"));
    match &manifest.kind {
        // https://github.com/regclient/regclient/issues/709, https://github.com/moby/moby/pull/47661
        Kind::Image { .. } if has("/config/platform") => refused("a platform in the config descriptor"),
        // https://github.com/goharbor/acceleration-service/pull/353
        Kind::Image { .. } if has("/config/annotations") => refused("annotations in the config descriptor"),
        // https://github.com/dragonflyoss/nydus/issues/1691
        _ if has("/subject/platform") => refused("a platform in the subject descriptor"),
        _ if has("/subject/annotations") => refused("annotations in the subject descriptor"),
        // https://github.com/aws/containers-roadmap/issues/2439
        Kind::Index { children } => (0..children.len())
            .any(|at| has(&format!("/manifests/{at}/platform/features")))
            .then(|| refused("platform.features in an index"))
            .flatten(),
        Kind::Image { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use image_copy::oci::media_type;
    use serde_json::json;

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
        let objection = objection(manifest).unwrap();
        assert!(objection.contains(expected) && objection.len() < 200, "{objection}");
    }

    #[test]
    fn ordinary_manifests_pass() {
        assert_eq!(objection(&image(|_| ())), None);
        assert_eq!(objection(&index(|_| ())), None);
        assert_eq!(objection(&image(|m| m["config"]["annotations"] = Value::Null)), None);
        assert_eq!(objection(&image(|m| m["annotations"] = json!({"a": "b"}))), None);
    }

    #[test]
    fn what_the_strict_reading_refuses_is_named() {
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
    fn what_cannot_be_stored_at_all_is_named() {
        check(&image(|m| m["layers"] = json!([])), "without layers");
        check(&image(|m| m["layers"] = json!([descriptor(0)])), "no empty blobs");
        check(&image(|m| m["layers"] = Value::Array(vec![descriptor(1); 501])), "501");
        let sha512 = format!("sha512:{}", "b".repeat(128));
        check(&image(|m| m["layers"][0]["digest"] = json!(sha512)), "sha256 digests only");
        check(&index(|c| c["digest"] = json!(sha512)), "sha256 digests only");
    }
}
