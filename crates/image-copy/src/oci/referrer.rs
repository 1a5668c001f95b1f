//! What a manifest says of the manifest that it refers to, and the index under which registries
//! without a referrers API are given the list
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>).

use serde_json::{Value, json};

use super::{Digest, Manifest, Tag, media_type};

impl Manifest {
    /// The manifest that this one refers to, as a signature does.
    #[must_use]
    pub(crate) fn subject(&self) -> Option<Digest> {
        self.document().pointer("/subject/digest")?.as_str()?.parse().ok()
    }

    /// `index` with entries for those of `referrers` that it lacks, each with its type and annotations
    /// as the referrers API would list it. Every field of the index is kept. `None`: it has them all.
    #[must_use]
    pub(crate) fn listing(index: Option<&Self>, referrers: &[Self]) -> Option<Self> {
        let lacks = |referrer: &&Self| {
            index.is_none_or(|index| index.children().iter().all(|child| child.digest != referrer.digest))
        };
        let new: Vec<Value> = referrers.iter().filter(lacks).map(Self::listed).collect();
        if new.is_empty() {
            return None;
        }
        let empty = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": []});
        let mut document = index.map_or(empty, Self::document);
        document.get_mut("manifests")?.as_array_mut()?.extend(new);
        Self::parse(document.to_string().into(), Some(media_type::OCI_INDEX)).ok()
    }

    fn listed(&self) -> Value {
        let document = self.document();
        let mut entry =
            json!({"mediaType": self.media_type, "digest": self.digest.as_str(), "size": self.bytes.len()});
        let artifact_type = document.get("artifactType").or_else(|| document.pointer("/config/mediaType"));
        for (name, value) in [("artifactType", artifact_type), ("annotations", document.get("annotations"))] {
            if let Some(value) = value {
                entry[name] = value.clone();
            }
        }
        entry
    }

    fn document(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

impl Digest {
    /// Tags under which cosign keeps what belongs to an image, where it does not use referrers
    /// (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
    #[must_use]
    pub fn cosign_tags(&self) -> Vec<Tag> {
        [".sig", ".att", ".sbom"].iter().filter_map(|suffix| self.tag_with(suffix)).collect()
    }

    /// The tag of a list of referrers, where a registry makes none itself
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>).
    pub(crate) fn list_tag(&self) -> Option<Tag> {
        self.tag_with("")
    }

    fn tag_with(&self, suffix: &str) -> Option<Tag> {
        let (algorithm, hex) = self.as_str().split_once(':')?;
        // As the specification cuts them, so that a digest of any kind fits into a tag.
        let (algorithm, hex) = (&algorithm[..algorithm.len().min(32)], &hex[..hex.len().min(64)]);
        format!("{algorithm}-{hex}{suffix}").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(seed: &str, artifact_type: Option<&str>) -> Manifest {
        let blob =
            json!({"mediaType": "application/x", "digest": Digest::of(seed.as_bytes()).as_str(), "size": 1});
        let mut document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": blob,
            "layers": [blob], "subject": {"mediaType": media_type::OCI_MANIFEST, "digest": Digest::of(b"s").as_str(), "size": 1},
            "annotations": {"made": seed}});
        if let Some(artifact_type) = artifact_type {
            document["artifactType"] = json!(artifact_type);
        }
        Manifest::parse(document.to_string().into(), None).unwrap()
    }

    #[test]
    fn a_referrer_names_its_subject() {
        assert_eq!(signature("a", None).subject(), Some(Digest::of(b"s")));
        let plain = Manifest::listing(None, &[signature("a", None)]).unwrap();
        assert_eq!(plain.subject(), None);
    }

    #[test]
    fn a_list_grows_and_keeps_what_it_has() {
        let (first, second) = (signature("a", Some("application/a")), signature("b", None));
        let one = Manifest::listing(None, std::slice::from_ref(&first)).unwrap();
        assert_eq!(Manifest::listing(Some(&one), std::slice::from_ref(&first)), None);
        let both = Manifest::listing(Some(&one), &[first.clone(), second.clone()]).unwrap();
        let digests: Vec<_> = both.children().iter().map(|child| child.digest.clone()).collect();
        assert_eq!(digests, [first.digest, second.digest]);
        let document = both.document();
        assert_eq!(document["manifests"][0]["artifactType"], "application/a");
        assert_eq!(document["manifests"][1]["artifactType"], "application/x", "of the config");
        assert_eq!(document["manifests"][1]["annotations"]["made"], "b");
    }

    #[test]
    fn a_digest_has_a_tag() {
        let digest = Digest::of(b"");
        let tag = digest.tag_with(".sig").unwrap();
        assert_eq!(tag.as_str(), format!("sha256-{}.sig", digest.hex()));
        let long: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(long.tag_with("").unwrap().as_str(), format!("sha512-{}", "a".repeat(64)));
    }
}
