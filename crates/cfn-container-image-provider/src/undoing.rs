//! Delete: what a claim allows, and what others' claims forbid.
//!
//! Without a claim of its own a resource undoes nothing. While others claim its tag, the tag goes
//! back to what they last had; else it goes, and the image with it when that was its last.

use std::time::Duration;

use image_copy::copy::Inventory as _;
use image_copy::oci::{Digest, Manifest};
use image_copy::registry::{Error, ManifestId};

use crate::deletion::{self, Deleted, Subject};
use crate::ledger::{Ledger, Line, Look, Place, untagged};
use crate::orphans::Orphans;
use crate::properties::Properties;

/// How often a tag is given back that others move at the same time.
const ATTEMPTS: usize = 4;

/// How often the claim of a cancelled Create is looked for, and how long apart: it is put as soon as
/// the Create knows what to copy.
pub(crate) const LOOKS: u32 = 11;
const PAUSE: Duration = Duration::from_millis(500);

/// A Delete.
pub(crate) struct Undo<'a> {
    pub(crate) ledger: &'a Ledger,
    /// The properties as far as they can be read.
    pub(crate) properties: Option<Properties>,
    /// When the event was issued, in seconds since 1970.
    pub(crate) issued: Option<u64>,
    /// Whether images may be deleted at all.
    pub(crate) delete_images: bool,
}

impl Undo<'_> {
    /// Undoes what the resource did to what its id names.
    pub(crate) async fn image(&self, subject: &Subject) -> Result<Deleted, Error> {
        let place = self.place(subject);
        let look = match self.ledger.look(&place).await {
            Ok(look) => look,
            Err(error) if is_absence(&error) => return Ok(Deleted::Nothing),
            Err(error) => return Err(error),
        };
        if !look.claimed || self.ledger.is_overtaken(&look, self.issued) {
            return Ok(Deleted::Unclaimed);
        }
        // The claim first: of two that delete at once, the later must see no claim of the earlier.
        self.ledger.withdraw(&place.tag).await?;
        let undone = self.undo(&place, &look).await;
        if undone.is_err()
            && let Err(error) = self.ledger.claim(&place.tag).await
        {
            tracing::warn!(%error, "the claim is gone, so another Delete will keep the image");
        }
        undone
    }

    /// Withdraws what a Create claimed that came to nothing. One that was cancelled may have only
    /// just begun: `looks` is how often its claim is looked for.
    pub(crate) async fn claims(&self, looks: u32) {
        for look in 1..=looks {
            match self.withdraw_all().await {
                Ok(false) if look < looks => tokio::time::sleep(PAUSE).await,
                Ok(_) => return,
                Err(error) => {
                    if !is_absence(&error) {
                        tracing::warn!(%error, "a claim of what was never created may be left over");
                    }
                    return;
                }
            }
        }
    }

    /// Tells whether there was a claim, or can be none.
    async fn withdraw_all(&self) -> Result<bool, Error> {
        let Some(Properties { tag, source, .. }) = &self.properties else { return Ok(true) };
        let places = match (tag, &source.digest) {
            (Some(tag), _) => vec![Place::of_tag(tag)],
            (None, Some(source)) => {
                let look = self.ledger.look_at_record(&untagged(source)).await?;
                self.ledger
                    .own(&look)
                    .filter_map(Line::digest)
                    .map(|image| Place::of_untagged(source, &image))
                    .collect()
            }
            (None, None) => Vec::new(),
        };
        let mut any = false;
        for place in places {
            let look = self.ledger.look(&place).await?;
            any |= look.claimed;
            if look.claimed && !self.ledger.is_overtaken(&look, self.issued) {
                self.ledger.give_up(&place).await?;
            }
        }
        Ok(any)
    }

    fn place(&self, subject: &Subject) -> Place {
        match &subject.image {
            ManifestId::Tag(tag) => Place::of_tag(tag),
            ManifestId::Digest(image) => {
                let source =
                    self.properties.as_ref().and_then(|properties| properties.source.digest.as_ref());
                Place::of_untagged(source.unwrap_or(image), image)
            }
        }
    }

    async fn undo(&self, place: &Place, look: &Look) -> Result<Deleted, Error> {
        let claims = self.ledger.claims_of_others(&place.tag).await?;
        if !claims.is_empty() {
            self.give_back(place, look).await?;
            return Ok(Deleted::Claimed);
        }
        let deleted = match look.names() {
            None => Deleted::Nothing,
            Some(_) if !self.delete_images => Deleted::Kept,
            Some(digest) if self.is_foreign(place, look, digest) => Deleted::Foreign,
            Some(_) => self.delete(place, look).await?,
        };
        if let Err(error) = self.ledger.tidy(place).await {
            tracing::warn!(%error, "a record is left over");
        }
        Ok(deleted)
    }

    /// Whether somebody else has pushed under the tag since: of what we pushed, there is a line.
    fn is_foreign(&self, place: &Place, look: &Look, digest: &Digest) -> bool {
        place.tag == place.about
            && !look.record.lines.is_empty()
            && look.record.lines.iter().all(|line| line.digest().as_ref() != Some(digest))
    }

    async fn delete(&self, place: &Place, before: &Look) -> Result<Deleted, Error> {
        let wanted_again = async |manifest: &Manifest| {
            let claims = self.ledger.claims_of_others(&place.tag).await?;
            if claims.is_empty() {
                return Ok(false);
            }
            // Whoever claimed it before the tag went may have seen it name what they want.
            let look = self.ledger.look(place).await?;
            let latest = others(place, &look, &claims).into_iter().next();
            let sees_it = match latest {
                Some(digest) => digest == manifest.digest,
                // Without a line, they have yet to look; but some repositories take no records.
                None => before.record.lines.is_empty(),
            };
            if look.tag.is_none() && sees_it {
                self.ledger.images.put_tag_unless_there(manifest, &place.tag).await?;
            }
            Ok(true)
        };
        let images = &self.ledger.images;
        let orphans = match self.properties.as_ref().is_some_and(|properties| properties.include_referrers) {
            true => Orphans::of(&place.tag, images).await,
            false => Orphans::default(),
        };
        let deleted = deletion::delete(&place.tag, images, wanted_again).await?;
        if deleted == Deleted::Image {
            orphans.delete(images).await;
        }
        Ok(deleted)
    }

    /// Lets the tag name again what the others last had, if it names what this resource put there.
    async fn give_back(&self, place: &Place, look: &Look) -> Result<(), Error> {
        let Some(names) = look.names() else { return Ok(()) };
        if !self.ledger.own(look).any(|line| line.digest().as_ref() == Some(names)) {
            return Ok(());
        }
        let mut look = look.clone();
        for _ in 0..ATTEMPTS {
            let claims = self.ledger.claims_of_others(&place.tag).await?;
            let Some(theirs) = self.first_held(&others(place, &look, &claims)).await? else { return Ok(()) };
            if look.names().is_none_or(|names| *names == theirs.digest) {
                return Ok(());
            }
            if let Err(error) = self.ledger.images.put_tag_unless_there(&theirs, &place.tag).await {
                return tolerated(error);
            }
            let (old, new) = (look.names().map(ToString::to_string), theirs.digest.as_str());
            tracing::info!(tag = place.tag.as_str(), old, new, "tag given back");
            // Whoever claims it may be about to move it: their line is there before they do.
            look = self.ledger.look(place).await?;
        }
        Ok(())
    }

    async fn first_held(&self, digests: &[Digest]) -> Result<Option<Manifest>, Error> {
        let ids: Vec<ManifestId> = digests.iter().cloned().map(ManifestId::Digest).collect();
        if ids.is_empty() {
            return Ok(None);
        }
        let found = self.ledger.images.manifests(&ids).await?;
        Ok(found.into_iter().flatten().next())
    }
}

/// What those with these claims had, the latest first.
fn others(place: &Place, look: &Look, claims: &[String]) -> Vec<Digest> {
    let lines = look.record.lines.iter().rev();
    lines.filter(|line| line.is_claimed(&place.tag, claims)).filter_map(Line::digest).collect()
}

/// What cannot be given back stays as it is, and that is a success: a tag that cannot move, an image
/// of which a lifecycle rule took a part.
fn tolerated(error: Error) -> Result<(), Error> {
    const TOLERATED: [&str; 3] =
        ["ImageTagAlreadyExistsException", "LayersNotFoundException", "ReferencedImagesNotFoundException"];
    if TOLERATED.iter().any(|code| error.has(code)) {
        tracing::warn!(%error, "the tag cannot be given back and stays as it is");
        return Ok(());
    }
    Err(error)
}

fn is_absence(error: &Error) -> bool {
    error.has("RepositoryNotFoundException")
}
