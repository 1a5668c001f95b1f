//! The current digests of the sources. Each tag costs one HEAD request, which Docker Hub does not count.

use std::collections::{BTreeSet, HashMap};

use image_copy::copy::{self, Failure, Source};
use image_copy::customize::recorded_base;
use image_copy::oci::{Digest, Manifest, Reference, media_type};
use image_copy::registry::{Client, ManifestId};

use super::content::CopiedRoot;
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
                Ok(Resolution::Tag { digest, .. }) => {
                    digests.insert(reference.to_string(), digest);
                }
                Ok(Resolution::Unchanged) => {}
                Err(failure) => notes.extend(unchecked(*failure)),
            }
        }
        Self { digests, client: client.clone() }
    }

    /// Returns the digest that the source names now, if that is another image than the copied one. `name` is the name
    /// of the copy.
    ///
    /// If the source's digest was not recorded, a copy of some platforms and a changed copy have another digest than
    /// their source. A changed copy records the source's digest. A copy of some platforms has not moved if the source
    /// contains all its images. This reads the source's manifest.
    pub(super) async fn moved(
        &self,
        source: &CopySource,
        root: Option<CopiedRoot<'_>>,
        name: &Reference,
        notes: &mut Vec<Note>,
    ) -> Option<Digest> {
        let current = self.digests.get(&source.reference.to_string())?;
        if let Some(recorded) = &source.digest {
            return (recorded != current).then(|| current.clone());
        }
        let CopiedRoot { manifest, first_image } = root?;
        if manifest.digest == *current {
            return None;
        }
        if let Some(base) = recorded_base(&source.reference, &manifest.bytes) {
            return (base != *current).then(|| current.clone());
        }
        let repository = self.client.repository(source.reference.repository.clone(), None);
        match repository.get_manifest(&ManifestId::Digest(current.clone())).await {
            Ok(index) if contains(&index, manifest) => return None,
            Ok(_) => {}
            Err(cause) => {
                let subject = source.reference.to_string();
                notes.push(Note::Unchecked(Unchecked { check: Check::Source, subject, cause }));
                return None;
            }
        }
        let Some(image) = first_image else { return Some(current.clone()) };
        match self.base_in_labels(&source.reference, image, name).await {
            Ok(Some(base)) if base == *current => None,
            Ok(_) => Some(current.clone()),
            Err(failure) => {
                notes.extend(unchecked(*failure));
                None
            }
        }
    }

    /// Returns the digest of the source that the labels of a changed copy record. Docker's format has no annotations.
    async fn base_in_labels(
        &self,
        source: &Reference,
        image: &Manifest,
        name: &Reference,
    ) -> Result<Option<Digest>, copy::Error> {
        if image.media_type != media_type::DOCKER_MANIFEST {
            return Ok(None);
        }
        let repository = Source::from(self.client.repository(name.repository.clone(), None));
        let config = copy::read_config(name, &repository, image).await?;
        Ok(config.and_then(|config| recorded_base(source, &config)))
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
