//! Artifacts that are nothing but annotations
//! (<https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage>).

use std::collections::BTreeMap;

use image_copy::oci::{Digest, Manifest, Tag, media_type};
use serde_json::json;

const CLAIM: &str = "application/vnd.container-image.copy-claim.v1+json";
const CLAIMED: &str = "vnd.container-image.copy-claim.tag";

/// The one blob of such an artifact, config and layer in one: ECR takes none without a layer.
pub(crate) const EMPTY: &[u8] = b"{}";

/// Annotations, which are the content.
pub(crate) type Annotations = BTreeMap<String, String>;

/// An artifact without a subject: with one, a rule that takes an image takes it along. The same
/// annotations give the same bytes, in whatever order maps of JSON are kept.
pub(crate) fn manifest(artifact_type: &str, annotations: &Annotations) -> Manifest {
    let digest = Digest::of(EMPTY);
    let empty = format!(
        r#"{{"digest":"{digest}","mediaType":"application/vnd.oci.empty.v1+json","size":{}}}"#,
        EMPTY.len()
    );
    let annotations = json!(annotations);
    let text = format!(
        r#"{{"annotations":{annotations},"artifactType":"{artifact_type}","config":{empty},"layers":[{empty}],"mediaType":"{}","schemaVersion":2}}"#,
        media_type::OCI_MANIFEST
    );
    Manifest::parse(text.into(), Some(media_type::OCI_MANIFEST)).expect("the document is a manifest")
}

/// What all claims on `tag` are tags of: the same bytes for ever, so that they can be put and taken
/// away by anybody in any order, also where tags are immutable.
pub(crate) fn claim(tag: &Tag) -> Manifest {
    manifest(CLAIM, &Annotations::from([(CLAIMED.into(), tag.to_string())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_behind_a_claim_never_change() {
        // Claims that earlier versions put are found by this digest.
        let digest = claim(&"3.13".parse().unwrap()).digest;
        assert_eq!(
            digest.as_str(),
            "sha256:8188db7fff73db50fff3ebce5035cc15c872ca94e09fa09c947d046d176586fc"
        );
    }
}
