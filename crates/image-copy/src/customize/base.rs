//! The base that a changed image records.

use std::collections::HashMap;

use serde::Deserialize;

use crate::oci::{Digest, Reference};

/// Name and digest of the base
/// (<https://github.com/opencontainers/image-spec/blob/main/annotations.md#pre-defined-annotation-keys>).
const BASE_NAME: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";

/// The image that is changed.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    /// Complete reference, without a digest if it has a tag.
    name: String,
    /// Digest that the reference names.
    digest: Digest,
}

impl Base {
    pub(crate) fn new(source: &Reference, digest: Digest) -> Self {
        Self { name: base_name(source), digest }
    }

    /// Returns the names and values of annotations or labels.
    pub(super) fn fields(&self) -> [(String, String); 2] {
        [(BASE_NAME.into(), self.name.clone()), (BASE_DIGEST.into(), self.digest.to_string())]
    }
}

/// Annotations of a manifest, or labels of a config.
#[derive(Deserialize)]
struct Document {
    annotations: Option<HashMap<String, String>>,
    config: Option<Settings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    labels: Option<HashMap<String, String>>,
}

/// Returns the digest that `source` named when a changed image was copied from it. `document` is the manifest of the
/// copy, or for Docker's format the config. Returns `None` if it is not a changed copy of `source`: publishers
/// record their own bases in the same fields.
#[must_use]
pub fn recorded_base(source: &Reference, document: &[u8]) -> Option<Digest> {
    let Document { annotations, config } = serde_json::from_slice(document).ok()?;
    let labels = config.and_then(|config| config.labels);
    let fields = annotations.into_iter().chain(labels).find(|fields| fields.contains_key(BASE_DIGEST))?;
    let is_same = fields.get(BASE_NAME).is_some_and(|name| *name == base_name(source));
    fields.get(BASE_DIGEST).filter(|_| is_same)?.parse().ok()
}

fn base_name(source: &Reference) -> String {
    match &source.tag {
        Some(tag) => source.repository.with_tag(tag.clone()).to_string(),
        None => source.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_changed_copy_records_the_digest_of_its_source() {
        let digest = Digest::of(b"base");
        let fields = |name: &str| json!({BASE_NAME: name, BASE_DIGEST: digest.as_str()});
        let source: Reference = "python:3.13".parse().unwrap();
        let recorded = |document: serde_json::Value| recorded_base(&source, document.to_string().as_bytes());
        let name = "docker.io/library/python:3.13";
        assert_eq!(
            recorded(json!({"config": {"digest": "x"}, "annotations": fields(name)})),
            Some(digest.clone())
        );
        assert_eq!(recorded(json!({"config": {"Labels": fields(name)}})), Some(digest.clone()));
        for other in [
            json!({"annotations": fields("debian:bookworm-slim")}),
            json!({"annotations": {BASE_DIGEST: digest.as_str()}}),
            json!({"annotations": {BASE_NAME: name, BASE_DIGEST: "sha256:x"}}),
            json!({"annotations": null, "config": {"Labels": null}}),
            json!([]),
        ] {
            assert_eq!(recorded(other.clone()), None, "{other}");
        }
    }
}
