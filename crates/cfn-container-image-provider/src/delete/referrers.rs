//! Deletion of signatures, SBOMs and attestations that were copied with an image.
//!
//! ECR keeps them when a call deletes the image; only its lifecycle rules delete them too. They are listed
//! while the image exists and deleted after it, unless they have a tag. If that fails, they stay in the
//! repository and the Delete still succeeds.

use std::collections::HashSet;

use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Tag};
use image_copy::registry::{Error, ManifestId};
use image_copy_aws::EcrRepository;

/// Maximum depth. Known tools create at most referrers of referrers of referrers.
const MAX_DEPTH: usize = 3;
/// Maximum number of images and artifacts whose referrers are listed. One image has fewer.
const MAX_SUBJECTS: usize = 500;

/// Referrers of images, and referrers of these, nearest first.
#[derive(Default)]
pub(super) struct Referrers {
    subjects: Vec<SubjectReferrers>,
}

/// Referrers of one image or artifact.
struct SubjectReferrers {
    subject: Digest,
    referrers: Vec<Digest>,
    /// Cosign's tags for the subject.
    tags: Vec<Tag>,
}

impl Referrers {
    /// Lists the referrers of images.
    pub(super) async fn list(images: Vec<Digest>, repository: &EcrRepository) -> Self {
        let mut found = Self::default();
        if let Err(error) = found.add(images, repository).await {
            tracing::warn!(%error, "some referrers could not be listed and may remain");
        }
        found
    }

    async fn add(&mut self, images: Vec<Digest>, repository: &EcrRepository) -> Result<(), Error> {
        let mut seen: HashSet<Digest> = images.iter().cloned().collect();
        let mut subjects = images;
        for _ in 0..MAX_DEPTH {
            let mut next = Vec::new();
            for subject in subjects.into_iter().take(MAX_SUBJECTS.saturating_sub(self.subjects.len())) {
                let referrers = repository.list_referrers(&subject).await?;
                let (tags, tagged) = existing_cosign_tags(&subject, repository).await?;
                next.extend(
                    referrers.iter().chain(&tagged).filter(|digest| seen.insert((*digest).clone())).cloned(),
                );
                self.subjects.push(SubjectReferrers { subject, referrers, tags });
            }
            subjects = next;
        }
        self.subjects.retain(|subject_referrers| {
            !subject_referrers.referrers.is_empty() || !subject_referrers.tags.is_empty()
        });
        Ok(())
    }

    /// Deletes the referrers of images that no longer exist.
    pub(super) async fn delete(&self, repository: &EcrRepository) {
        for subject_referrers in &self.subjects {
            if let Err(error) = delete_referrers(subject_referrers, repository).await {
                tracing::warn!(subject = %subject_referrers.subject, %error, "referrers of a deleted image remain");
            }
        }
    }
}

async fn delete_referrers(
    subject_referrers: &SubjectReferrers,
    repository: &EcrRepository,
) -> Result<(), Error> {
    // Another tag or index can have kept the image.
    let subject = ManifestId::Digest(subject_referrers.subject.clone());
    if repository.manifests(&[subject]).await?.into_iter().flatten().next().is_some() {
        return Ok(());
    }
    let untagged = repository.filter_untagged(&subject_referrers.referrers).await?;
    repository.delete_images(&untagged).await?;
    for tag in &subject_referrers.tags {
        repository.delete_tag(tag).await?;
    }
    Ok(())
}

/// Returns cosign's existing tags for a subject, and their digests.
async fn existing_cosign_tags(
    subject: &Digest,
    repository: &EcrRepository,
) -> Result<(Vec<Tag>, Vec<Digest>), Error> {
    let tags = subject.cosign_tags();
    let ids: Vec<ManifestId> = tags.iter().cloned().map(ManifestId::Tag).collect();
    let found = repository.manifests(&ids).await?;
    let existing = tags.into_iter().zip(found).filter_map(|(tag, manifest)| Some((tag, manifest?.digest)));
    Ok(existing.unzip())
}
