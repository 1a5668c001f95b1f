//! Referrers: the subject of a manifest, and the index of referrers for registries without the referrers API
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>).

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Digest, Manifest, ManifestError, Tag, media_type, rewrite};

/// The fields of a referrer. Annotations keep their bytes.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields<'a> {
    #[serde(borrow)]
    artifact_type: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    config: Option<Config<'a>>,
    subject: Option<Subject>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    #[serde(borrow)]
    media_type: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Subject {
    digest: Digest,
}

impl Manifest {
    /// Returns the digest of the subject, if this is a referrer, such as a signature.
    #[must_use]
    pub(crate) fn subject(&self) -> Option<Digest> {
        Some(self.referrer_fields()?.subject?.digest)
    }

    /// Returns `index` with entries for the `referrers` that it lacks. The entries have the artifact type and
    /// the annotations, as in a response of the referrers API. All other bytes of the index are kept. Returns
    /// `None` if no referrer is missing.
    ///
    /// # Errors
    /// If the new index exceeds the maximum number of descriptors.
    pub(crate) fn referrers_index(
        index: Option<&Self>,
        referrers: &[Self],
    ) -> Result<Option<Self>, ManifestError> {
        let existing: HashSet<&Digest> =
            index.iter().flat_map(|index| index.children()).map(|child| &child.digest).collect();
        let new = referrers.iter().filter(|referrer| !existing.contains(&referrer.digest));
        let new: Vec<String> = new.map(Self::referrer_entry).collect();
        if new.is_empty() {
            return Ok(None);
        }
        let empty =
            format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, media_type::OCI_INDEX);
        let old = index.map_or(empty.as_bytes(), |index| &index.bytes);
        let extended = rewrite::append_entries(old, &new);
        Self::parse(extended.into(), Some(media_type::OCI_INDEX)).map(Some)
    }

    /// Returns the entry for this referrer in an index of referrers.
    fn referrer_entry(&self) -> String {
        let Fields { artifact_type, annotations, config, .. } = self.referrer_fields().unwrap_or_default();
        let artifact_type = artifact_type.or_else(|| config?.media_type);
        let mut entry = format!(
            r#"{{"mediaType":{},"digest":"{}","size":{}"#,
            Value::from(&*self.media_type),
            self.digest,
            self.bytes.len()
        );
        for (name, value) in [("artifactType", artifact_type), ("annotations", annotations)] {
            if let Some(value) = value {
                entry += &format!(r#","{name}":{value}"#);
            }
        }
        entry + "}"
    }

    fn referrer_fields(&self) -> Option<Fields<'_>> {
        serde_json::from_slice(&self.bytes).ok()
    }
}

impl Digest {
    /// Returns the tags of cosign's signatures, attestations and SBOMs, which it uses instead of referrers
    /// (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
    #[must_use]
    pub fn cosign_tags(&self) -> Vec<Tag> {
        [".sig", ".att", ".sbom"].iter().filter_map(|suffix| self.to_tag(suffix)).collect()
    }

    /// Returns the tag of the index of referrers, for registries without the referrers API
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema>).
    pub(crate) fn referrers_tag(&self) -> Option<Tag> {
        self.to_tag("")
    }

    fn to_tag(&self, suffix: &str) -> Option<Tag> {
        let (algorithm, hex) = self.as_str().split_once(':')?;
        // The specification truncates both parts, so that a digest of any algorithm fits into a tag.
        let (algorithm, hex) = (&algorithm[..algorithm.len().min(32)], &hex[..hex.len().min(64)]);
        format!("{algorithm}-{hex}{suffix}").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    fn returns_the_subject_of_a_referrer() {
        assert_eq!(signature("a", None).subject(), Some(Digest::of(b"s")));
        let plain = Manifest::referrers_index(None, &[signature("a", None)]).unwrap().unwrap();
        assert_eq!(plain.subject(), None);
    }

    #[test]
    fn an_index_of_referrers_keeps_existing_entries() {
        let (first, second) = (signature("a", Some("application/a")), signature("b", None));
        let one = Manifest::referrers_index(None, std::slice::from_ref(&first)).unwrap().unwrap();
        assert_eq!(Manifest::referrers_index(Some(&one), std::slice::from_ref(&first)), Ok(None));
        let both = Manifest::referrers_index(Some(&one), &[first.clone(), second.clone()]).unwrap().unwrap();
        let digests: Vec<_> = both.children().iter().map(|child| child.digest.clone()).collect();
        assert_eq!(digests, [first.digest, second.digest]);
        let document: Value = serde_json::from_slice(&both.bytes).unwrap();
        assert_eq!(document["manifests"][0]["artifactType"], "application/a");
        assert_eq!(document["manifests"][1]["artifactType"], "application/x", "media type of the config");
        assert_eq!(document["manifests"][1]["annotations"]["made"], "b");
    }

    #[test]
    fn rejects_an_index_of_referrers_above_the_limit() {
        let entry = signature("a", None).referrer_entry();
        let document = |count| {
            let entries = vec![entry.as_str(); count].join(",");
            format!(
                r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{entries}]}}"#,
                media_type::OCI_INDEX
            )
        };
        let full = document(super::super::descriptor::MAX_DESCRIPTORS);
        let full = Manifest::parse(full.into(), None).unwrap();
        assert!(Manifest::referrers_index(Some(&full), &[signature("b", None)]).is_err());
    }

    #[test]
    fn a_digest_becomes_a_tag_of_valid_length() {
        let digest = Digest::of(b"");
        let tag = digest.to_tag(".sig").unwrap();
        assert_eq!(tag.as_str(), format!("sha256-{}.sig", digest.hex()));
        let long: Digest = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(long.to_tag("").unwrap().as_str(), format!("sha512-{}", "a".repeat(64)));
    }
}
