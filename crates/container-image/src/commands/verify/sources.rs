//! The current digests of the sources. Each tag costs one HEAD request, which Docker Hub does not count.

use std::collections::{BTreeSet, HashMap};

use image_copy::copy::Failure;
use image_copy::oci::{Digest, Manifest, Reference};
use image_copy::registry::{Client, ManifestId};

use super::images::{CopySource, ReliedImage};
use super::notes::{Check, Note, Unchecked};
use crate::resolve::{Lookup, Resolution, Resolver};

/// Current digests of sources by their reference. Sources that could not be read are missing.
pub(super) struct Sources {
    digests: HashMap<String, Digest>,
    client: Client,
}

impl Sources {
    /// Resolves the sources of all images. A pinned source cannot move and is not read.
    pub(super) async fn read(
        client: &Client,
        images: &[ReliedImage],
        jobs: usize,
        notes: &mut Vec<Note>,
    ) -> Self {
        let copies = images.iter().flat_map(|image| &image.copies);
        let sources = copies.filter_map(|copy| copy.source.as_ref()).map(|source| &source.reference);
        let names: BTreeSet<String> =
            sources.filter(|source| source.digest.is_none()).map(ToString::to_string).collect();
        let references: Vec<Reference> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let resolver = Resolver::new(client.clone(), Lookup::Digest, None, jobs);
        let resolutions = resolver.resolve(&references, &|| {}).await;
        let mut digests = HashMap::new();
        for (reference, resolution) in references.iter().zip(resolutions) {
            match resolution {
                Ok(Resolution::Tag(_, digest)) => {
                    digests.insert(reference.to_string(), digest);
                }
                Ok(Resolution::Unchanged) => {}
                Err(failure) => notes.extend(unchecked(*failure)),
            }
        }
        Self { digests, client: client.clone() }
    }

    /// Returns the digest that the source names now, if that is another image than the copied one.
    ///
    /// If the source's digest was not recorded, a copy of some platforms has another digest than its source.
    /// Such a copy has not moved if the source contains all its images. This reads the source's manifest.
    pub(super) async fn moved(
        &self,
        source: &CopySource,
        copy: Option<&Manifest>,
        notes: &mut Vec<Note>,
    ) -> Option<Digest> {
        let current = self.digests.get(&source.reference.to_string())?;
        if let Some(recorded) = &source.digest {
            return (recorded != current).then(|| current.clone());
        }
        let copy = copy?;
        if copy.digest == *current {
            return None;
        }
        let repository = self.client.repository(source.reference.repository.clone(), None);
        match repository.get_manifest(&ManifestId::Digest(current.clone())).await {
            Ok(manifest) => (!contains(&manifest, copy)).then(|| current.clone()),
            Err(cause) => {
                let subject = source.reference.to_string();
                notes.push(Note::Unchecked(Unchecked { check: Check::Source, subject, cause }));
                None
            }
        }
    }
}

/// Returns true if an index contains a copied image, or all images of a copied index.
fn contains(index: &Manifest, copy: &Manifest) -> bool {
    let has = |digest: &Digest| index.children().iter().any(|child| child.digest == *digest);
    match copy.children() {
        [] => has(&copy.digest),
        children => children.iter().all(|child| has(&child.digest)),
    }
}

fn unchecked(failure: Failure) -> Option<Note> {
    match failure {
        Failure::Registry { subject, cause, .. } => {
            Some(Note::Unchecked(Unchecked { check: Check::Source, subject, cause }))
        }
        // Only the selection of a platform fails in another way.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn index(images: &[&str]) -> Manifest {
        let children: Vec<_> = images
            .iter()
            .map(|image| {
                json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1,
                    "digest": Digest::of(image.as_bytes()).as_str()})
            })
            .collect();
        let document = json!({"schemaVersion": 2, "manifests": children,
            "mediaType": "application/vnd.oci.image.index.v1+json"});
        Manifest::parse(document.to_string().into(), None).unwrap()
    }

    #[test]
    fn a_selection_of_platforms_is_contained_in_its_source() {
        let source = index(&["amd64", "arm64", "s390x"]);
        assert!(contains(&source, &index(&["amd64", "arm64"])));
        assert!(!contains(&source, &index(&["amd64", "older arm64"])));
        assert!(!contains(&index(&["amd64"]), &source));
    }
}
