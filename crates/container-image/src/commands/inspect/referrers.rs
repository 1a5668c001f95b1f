//! Signatures, attestations and other artifacts that refer to an image.

use std::collections::HashSet;

use image_copy::copy::{Failure, Operation, Side};
use image_copy::oci::{Digest, Tag};
use image_copy::registry::{Error, Repository};

/// An artifact that refers to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Referrer {
    /// `signature`, `attestation`, `SBOM`, `bundle` or `artifact`.
    pub(crate) kind: &'static str,
    pub(crate) digest: Digest,
    pub(crate) subject: Digest,
    pub(crate) location: Location,
}

/// The place in which a referrer was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// The index of the image.
    Index,
    /// A tag of cosign.
    CosignTag(Tag),
    /// The list of referrers, with the type of the artifact.
    List { artifact_type: Option<Box<str>> },
}

/// Reads the referrers of the subjects: cosign's tags, then the list of referrers.
///
/// # Errors
/// The first failure.
pub(super) async fn read(
    repository: &Repository,
    subjects: &[Digest],
) -> Result<Vec<Referrer>, Box<Failure>> {
    let mut all = Vec::new();
    for subject in subjects {
        let found = referrers_of(repository, subject).await;
        all.extend(found.map_err(|cause| {
            let subject = repository.name().with_digest(subject.clone()).to_string();
            let (side, operation) = (Side::Source, Operation::ReadManifest);
            Box::new(Failure::Registry { side, operation, subject, cause })
        })?);
    }
    Ok(all)
}

async fn referrers_of(repository: &Repository, subject: &Digest) -> Result<Vec<Referrer>, Error> {
    let mut found = Vec::new();
    for tag in subject.cosign_tags() {
        if let Some(digest) = repository.referrer_digest(subject, &tag).await? {
            let (kind, subject) = (kind_of_tag(&tag), subject.clone());
            found.push(Referrer { kind, digest, subject, location: Location::CosignTag(tag) });
        }
    }
    let tagged: HashSet<Digest> = found.iter().map(|referrer| referrer.digest.clone()).collect();
    let listed = repository.list_referrers(subject).await?;
    let listed = listed.into_iter().filter(|entry| !tagged.contains(&entry.digest));
    found.extend(listed.map(|entry| Referrer {
        kind: entry.artifact_type.as_deref().map_or("artifact", kind_of_type),
        digest: entry.digest,
        subject: subject.clone(),
        location: Location::List { artifact_type: entry.artifact_type },
    }));
    Ok(found)
}

/// The endings are those of cosign (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>).
fn kind_of_tag(tag: &Tag) -> &'static str {
    match tag.as_str().rsplit('.').next() {
        Some("sig") => "signature",
        Some("att") => "attestation",
        _ => "SBOM",
    }
}

/// Returns the kind of an artifact by its type.
///
/// - cosign and sigstore: <https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md>. A bundle is a
///   signature or an attestation.
/// - Notation: <https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md>.
/// - SBOMs: <https://www.iana.org/assignments/media-types/media-types.xhtml>.
fn kind_of_type(artifact_type: &str) -> &'static str {
    let starts_with = |prefixes: &[&str]| prefixes.iter().any(|prefix| artifact_type.starts_with(prefix));
    if starts_with(&["application/vnd.cncf.notary.signature", "application/vnd.dev.cosign.artifact.sig."]) {
        "signature"
    } else if starts_with(&["application/vnd.dev.sigstore.bundle"]) {
        "bundle"
    } else if starts_with(&["application/vnd.in-toto"]) {
        "attestation"
    } else if starts_with(&["application/spdx", "text/spdx", "application/vnd.cyclonedx"]) {
        "SBOM"
    } else {
        "artifact"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_the_kinds_of_artifacts() {
        for (artifact_type, kind) in [
            ("application/vnd.cncf.notary.signature", "signature"),
            ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
            ("application/vnd.dev.sigstore.bundle.v0.3+json", "bundle"),
            ("application/vnd.in-toto+json", "attestation"),
            ("application/spdx+json", "SBOM"),
            ("application/vnd.cyclonedx+json;version=1.6", "SBOM"),
            ("application/x", "artifact"),
        ] {
            assert_eq!(kind_of_type(artifact_type), kind, "{artifact_type}");
        }
        let kinds: Vec<_> = Digest::of(b"x").cosign_tags().iter().map(kind_of_tag).collect();
        assert_eq!(kinds, ["signature", "attestation", "SBOM"]);
    }
}
