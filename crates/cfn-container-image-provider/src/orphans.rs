//! What referred to an image that Delete removes: signatures, SBOMs and attestations that came with it.
//!
//! ECR keeps them when an image is deleted by hand; only its lifecycle rules take them along. They are
//! looked up while the image is there, and go when it is gone, unless they have a tag of their own.
//! None of this can fail a Delete: in doubt they stay.

use std::collections::HashSet;

use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Manifest, Tag};
use image_copy::registry::{Error, ManifestId};
use image_copy_aws::EcrRepository;

use crate::deletion;

/// Steps away from the image that are followed, indexes within indexes and referrers of referrers.
const MAX_DEPTH: usize = 3;
/// Images and artifacts that are looked at; more did not come with one image.
const MAX_SUBJECTS: usize = 500;

/// What refers to an image and to its children, nearest first.
#[derive(Default)]
pub(crate) struct Orphans {
    links: Vec<Link>,
}

/// One subject, and what refers to it.
struct Link {
    subject: Digest,
    referrers: Vec<Digest>,
    tags: Vec<Tag>,
}

impl Orphans {
    /// Finds what will have lost its image when that of `tag` is gone.
    pub(crate) async fn of(tag: &Tag, repository: &EcrRepository) -> Self {
        let mut orphans = Self::default();
        if let Err(error) = orphans.find(tag, repository).await {
            tracing::warn!(%error, "what refers to the image is not all known, and some may be left over");
        }
        orphans
    }

    async fn find(&mut self, tag: &Tag, repository: &EcrRepository) -> Result<(), Error> {
        let mut level = vec![ManifestId::Tag(tag.clone())];
        let mut subjects: Vec<Digest> = Vec::new();
        for _ in 0..MAX_DEPTH {
            let found = repository.manifests(&level).await?;
            let found: Vec<Manifest> = found.into_iter().flatten().collect();
            let children = found.iter().flat_map(Manifest::children).filter(|child| !child.is_attestation());
            level = children.map(|child| ManifestId::Digest(child.digest.clone())).collect();
            subjects.extend(found.into_iter().map(|manifest| manifest.digest));
            if level.is_empty() {
                break;
            }
        }
        let mut seen: HashSet<Digest> = subjects.iter().cloned().collect();
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for subject in subjects.into_iter().take(MAX_SUBJECTS.saturating_sub(self.links.len())) {
                let referrers = repository.referrers_of(&subject).await?;
                let (tags, tagged) = tagged(&subject, repository).await?;
                next.extend(
                    referrers.iter().chain(&tagged).filter(|digest| seen.insert((*digest).clone())).cloned(),
                );
                self.links.push(Link { subject, referrers, tags });
            }
            subjects = next;
        }
        self.links.retain(|link| !link.referrers.is_empty() || !link.tags.is_empty());
        Ok(())
    }

    /// Deletes what has lost its image.
    pub(crate) async fn delete(&self, repository: &EcrRepository) {
        let mut left = 0;
        for link in &self.links {
            if let Err(error) = delete_referrers(link, repository).await {
                left += 1;
                tracing::warn!(subject = %link.subject, %error, "what referred to a deleted image is left over");
            }
        }
        tracing::info!(subjects = self.links.len(), left, "what referred to the deleted image was deleted");
    }
}

async fn delete_referrers(link: &Link, repository: &EcrRepository) -> Result<(), Error> {
    // Another index or tag may have kept it, or somebody has pushed it again.
    if repository.stored(&ManifestId::Digest(link.subject.clone())).await?.is_some() {
        return Ok(());
    }
    for digest in &link.referrers {
        deletion::delete_untagged(repository, digest).await?;
    }
    let tags: Vec<String> = link.tags.iter().map(ToString::to_string).collect();
    repository.remove_tags(&tags).await.map(drop)
}

/// Tags that make something refer to `subject`, as far as they are there, and what they name.
async fn tagged(subject: &Digest, repository: &EcrRepository) -> Result<(Vec<Tag>, Vec<Digest>), Error> {
    let tags = subject.cosign_tags();
    let ids: Vec<ManifestId> = tags.iter().cloned().map(ManifestId::Tag).collect();
    let found = repository.manifests(&ids).await?;
    let there = tags.into_iter().zip(found).filter_map(|(tag, manifest)| Some((tag, manifest?.digest)));
    Ok(there.unzip())
}
