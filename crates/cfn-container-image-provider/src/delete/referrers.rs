//! Signatures, SBOMs and attestations of images that a Delete removes, if they came with the images.
//!
//! ECR keeps them when an image is deleted by a call; only its lifecycle rules delete them too. They are
//! listed while the image exists, and deleted after it, unless they have a tag of their own. A failure
//! here leaves them in the repository and does not fail the Delete.

use std::collections::HashSet;

use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Tag};
use image_copy::registry::{Error, ManifestId};
use image_copy_aws::EcrRepository;

/// Referrers of referrers of referrers are the deepest that tools make.
const MAX_DEPTH: usize = 3;
/// Images and artifacts whose referrers are listed. One image comes with fewer.
const MAX_SUBJECTS: usize = 500;

/// Referrers of images and of their referrers, nearest first.
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
    pub(super) async fn find(images: Vec<Digest>, repository: &EcrRepository) -> Self {
        let mut found = Self::default();
        if let Err(error) = found.list(images, repository).await {
            tracing::warn!(%error, "not all referrers could be listed: some may be left over");
        }
        found
    }

    async fn list(&mut self, images: Vec<Digest>, repository: &EcrRepository) -> Result<(), Error> {
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

    /// Deletes the referrers of images that do not exist any more.
    pub(super) async fn delete(&self, repository: &EcrRepository) {
        for subject_referrers in &self.subjects {
            if let Err(error) = delete_referrers(subject_referrers, repository).await {
                tracing::warn!(subject = %subject_referrers.subject, %error, "referrers of a deleted image are left over");
            }
        }
    }
}

async fn delete_referrers(
    subject_referrers: &SubjectReferrers,
    repository: &EcrRepository,
) -> Result<(), Error> {
    // Another tag or index may have kept the image.
    let subject = ManifestId::Digest(subject_referrers.subject.clone());
    if repository.manifests(&[subject]).await?.into_iter().flatten().next().is_some() {
        return Ok(());
    }
    let untagged = repository.untagged(&subject_referrers.referrers).await?;
    repository.delete_images(&untagged).await?;
    for tag in &subject_referrers.tags {
        repository.delete_tag(tag).await?;
    }
    Ok(())
}

/// Returns cosign's tags for a subject, as far as they exist, and the digests that they name.
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
