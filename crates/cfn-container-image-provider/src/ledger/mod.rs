//! Records and claims: what stacks can rely on, kept beside the images in the same repository.
//!
//! A record says what was copied and is in ECR; a claim says who needs a tag. Neither is needed for
//! a copy: a repository that refuses them costs a warning, and one without them is a repository of
//! which nothing is known.

mod artifact;
mod names;
mod record;
mod write;

use image_copy::copy::{Inventory as _, Known, Platforms};
use image_copy::oci::{Digest, Manifest, Tag};
use image_copy::registry::{Error, ManifestId, Repository};
use image_copy_aws::EcrRepository;

pub(crate) use names::{REMOVAL, is_reserved, untagged};
pub(crate) use record::{Line, Record, UNKNOWN, fingerprint};

/// A resource, by what CloudFormation calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimant {
    pub(crate) stack_id: String,
    pub(crate) logical_id: String,
}

impl Claimant {
    /// Whoever put a tag there before any stack.
    pub(crate) fn unknown() -> Self {
        Self { stack_id: UNKNOWN.into(), logical_id: UNKNOWN.into() }
    }
}

/// A tag, and what its record is about: the same, but for an image whose reference has no tag. That
/// one's tag follows from what is pushed, and its record has to be found before that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tag: Tag,
    pub(crate) about: Tag,
}

impl Place {
    /// Of a tag that was chosen.
    pub(crate) fn of_tag(tag: &Tag) -> Self {
        Self { tag: tag.clone(), about: tag.clone() }
    }

    /// Of an image whose reference has a digest and no tag.
    pub(crate) fn of_untagged(source: &Digest, image: &Digest) -> Self {
        Self { tag: untagged(image), about: untagged(source) }
    }
}

/// What one look at a tag shows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// What the tag names.
    pub(crate) tag: Option<Manifest>,
    pub(crate) record: Record,
    /// The digest of the record's artifact.
    record_digest: Option<Digest>,
    /// Whether the resource claims the tag.
    pub(crate) claimed: bool,
}

impl Look {
    fn of_record(manifest: Option<Manifest>, about: &Tag) -> Self {
        let record = manifest.as_ref().map(|manifest| Record::read(manifest, about)).unwrap_or_default();
        Self { record, record_digest: manifest.map(|manifest| manifest.digest), ..Self::default() }
    }

    /// The digest that the tag names.
    pub(crate) fn names(&self) -> Option<&Digest> {
        self.tag.as_ref().map(|manifest| &manifest.digest)
    }

    /// All that the engine can make use of, the newest first.
    pub(crate) fn known(&self, selection: &Platforms) -> Vec<Known> {
        self.record.lines.iter().rev().filter_map(|line| line.known(selection)).collect()
    }
}

/// The records and claims of one repository, as one resource sees them.
#[derive(Clone)]
pub(crate) struct Ledger {
    pub(crate) images: EcrRepository,
    /// Where blobs are written.
    blobs: Repository,
    pub(crate) claimant: Claimant,
}

impl Ledger {
    pub(crate) fn new(images: EcrRepository, blobs: Repository, claimant: Claimant) -> Self {
        Self { images, blobs: blobs.for_push(), claimant }
    }

    /// Looks at a tag, its record and the own claim on it, in one call.
    pub(crate) async fn look(&self, place: &Place) -> Result<Look, Error> {
        let tags = [names::record(&place.about), self.claim_tag(&place.tag), place.tag.clone()];
        let mut found = self.images.manifests(&tags.map(ManifestId::Tag)).await?.into_iter();
        let mut look = Look::of_record(found.next().flatten(), &place.about);
        let claim = found.next().flatten();
        look.claimed = claim.is_some_and(|manifest| manifest.digest == artifact::claim(&place.tag).digest);
        look.tag = found.next().flatten();
        Ok(look)
    }

    /// Looks at a record alone.
    pub(crate) async fn look_at_record(&self, about: &Tag) -> Result<Look, Error> {
        let found = self.images.manifests(&[ManifestId::Tag(names::record(about))]).await?;
        Ok(Look::of_record(found.into_iter().next().flatten(), about))
    }

    /// All claims there are on a tag, as their tags.
    pub(crate) async fn claims(&self, tag: &Tag) -> Result<Vec<String>, Error> {
        let artifact = ManifestId::Digest(artifact::claim(tag).digest);
        let stored = self.images.stored(&artifact).await?;
        Ok(stored
            .map(|stored| stored.tags)
            .unwrap_or_default()
            .into_iter()
            .filter(|tag| names::is_claim(tag))
            .collect())
    }

    /// The claims of all others.
    pub(crate) async fn claims_of_others(&self, tag: &Tag) -> Result<Vec<String>, Error> {
        let own = self.claim_tag(tag);
        let mut claims = self.claims(tag).await?;
        claims.retain(|claim| claim != own.as_str());
        Ok(claims)
    }

    /// The lines of the resource, the newest first.
    pub(crate) fn own<'a>(&'a self, look: &'a Look) -> impl Iterator<Item = &'a Line> {
        look.record.of(&self.claimant.stack_id, &self.claimant.logical_id)
    }

    /// Whether an event of the resource that was issued later was carried out already.
    pub(crate) fn is_overtaken(&self, look: &Look, issued: Option<u64>) -> bool {
        issued.is_some_and(|issued| self.own(look).any(|line| line.time > issued))
    }

    fn claim_tag(&self, tag: &Tag) -> Tag {
        names::claim(tag, &self.claimant.stack_id, &self.claimant.logical_id)
    }
}

/// The artifact and the tag of the claim of the resource in the shared fixtures.
#[cfg(test)]
pub(crate) fn fixture_claim(tag: &Tag) -> (Manifest, Tag) {
    let stack =
        "arn:aws:cloudformation:eu-west-1:123456789012:stack/images/7c9e6679-7425-40de-944b-e07fc1f90ae7";
    (artifact::claim(tag), names::claim(tag, stack, "Python"))
}
