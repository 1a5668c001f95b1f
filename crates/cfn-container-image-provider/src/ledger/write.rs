//! Writing records and claims.

use std::collections::BTreeSet;

use image_copy::oci::{Digest, Manifest, Tag};
use image_copy::registry::Error;
use image_copy_aws::Removal;

use super::record::KEPT;
use super::{Claimant, Ledger, Line, Look, Place, artifact, names};

/// How often a record is united with what somebody else wrote meanwhile.
const ATTEMPTS: usize = 4;

impl Ledger {
    /// Claims a tag. One that is claimed already stays so.
    pub(crate) async fn claim(&self, tag: &Tag) -> Result<(), Error> {
        self.put(&artifact::claim(tag), &self.claim_tag(tag)).await
    }

    /// Claims a tag for whoever put it there before any stack.
    pub(crate) async fn claim_for_unknown(&self, tag: &Tag) -> Result<(), Error> {
        let Claimant { stack_id, logical_id } = Claimant::unknown();
        self.put(&artifact::claim(tag), &names::claim(tag, &stack_id, &logical_id)).await
    }

    /// Withdraws the own claim on a tag; tells whether there was one.
    pub(crate) async fn withdraw(&self, tag: &Tag) -> Result<bool, Error> {
        match self.images.remove_tag(self.claim_tag(tag).as_str()).await? {
            Removal::Removed => Ok(true),
            Removal::Absent => Ok(false),
            Removal::ReferencedByIndex => Ok(true),
            Removal::Refused(error) => Err(error),
        }
    }

    /// Withdraws the own claim, and the record with the last claim.
    pub(crate) async fn give_up(&self, place: &Place) -> Result<(), Error> {
        self.withdraw(&place.tag).await?;
        self.tidy(place).await
    }

    /// Adds lines to the record of `about`. `look` is what was seen of it last; what others wrote
    /// since is kept.
    pub(crate) async fn add(&self, about: &Tag, look: &Look, lines: &[Line]) -> Result<(), Error> {
        let tag = names::record(about);
        let (mut record, mut seen) = (look.record.clone(), look.record_digest.clone());
        for _ in 0..ATTEMPTS {
            record = record.with(lines);
            if record.lines.len() > KEPT {
                record = record.pruned(about, &self.claims(about).await?);
            }
            let manifest = record.manifest(about);
            if seen.as_ref() == Some(&manifest.digest) {
                return Ok(());
            }
            match self.put(&manifest, &tag).await {
                Ok(()) => {
                    if let Some(superseded) = seen {
                        self.forget(&superseded).await;
                    }
                    return Ok(());
                }
                // Where tags are immutable, it is taken away first: by whoever saw it last.
                Err(error) if error.has("ImageTagAlreadyExistsException") => {
                    let fresh = self.look_at_record(about).await?;
                    if fresh.record_digest == seen {
                        self.images.remove_tag(tag.as_str()).await?;
                        seen = None;
                    } else {
                        seen = fresh.record_digest;
                        record = fresh.record.with(&record.lines);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::Protocol("somebody else writes the same record all the time"))
    }

    /// Removes the record when nobody has a claim on what it is about. Images without a chosen tag
    /// share the record of their source.
    pub(crate) async fn tidy(&self, Place { tag, about }: &Place) -> Result<(), Error> {
        if !self.claims(tag).await?.is_empty() {
            return Ok(());
        }
        if names::is_untagged(about) {
            let look = self.look_at_record(about).await?;
            let images: BTreeSet<Digest> = look.record.lines.iter().filter_map(Line::digest).collect();
            for image in images {
                if !self.claims(&names::untagged(&image)).await?.is_empty() {
                    return Ok(());
                }
            }
        }
        self.images.remove_tag(names::record(about).as_str()).await.map(drop)
    }

    /// Puts a tag on an artifact, and its blob into a repository that has none yet.
    async fn put(&self, manifest: &Manifest, tag: &Tag) -> Result<(), Error> {
        let mut attempt = 1;
        loop {
            match self.images.put_tag_unless_there(manifest, tag).await {
                Err(error) if error.has("LayersNotFoundException") && attempt < ATTEMPTS => {
                    self.blobs.put_blob(artifact::EMPTY).await?;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Removes an artifact of ours that nothing names any longer. What stays harms nobody.
    async fn forget(&self, digest: &Digest) {
        if let Err(error) = self.images.remove_untagged(digest).await {
            tracing::info!(digest = digest.as_str(), %error, "a superseded record is left over");
        }
    }
}
