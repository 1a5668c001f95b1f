//! Create and Update: the copy, and the line and claim that go with it.
//!
//! Claims are put before anything is written, the line before the tag moves. Right before that, all
//! is looked at once more, so that whoever was overtaken stops.

mod claiming;
mod planning;
mod wish;

use image_copy::copy::{self, Destination, Limits, Outcome, Plan, Request, Side};
use image_copy::registry;
use tokio::time::Instant;

pub(crate) use claiming::{Claimed, give_up};
pub(crate) use wish::Wish;

use crate::job::Trail;
use crate::ledger::{Ledger, Look, Place};
use crate::reason::Failure;
use claiming::{Claim, claim, first_look, last_look, record_previous};
use planning::plan;

/// The two ends of a copy, the limits, and the ledger unless it is to do without.
pub(crate) struct Ends<'a> {
    pub(crate) source: &'a copy::Source,
    pub(crate) destination: Destination,
    pub(crate) ledger: Option<Ledger>,
    /// When the work has to be over.
    pub(crate) deadline: Instant,
    /// Blobs in flight at once.
    pub(crate) concurrent_blobs: usize,
}

impl Ends<'_> {
    fn limits(&self) -> Limits {
        Limits { deadline: Some(self.deadline), concurrent_blobs: self.concurrent_blobs }
    }
}

/// Copies what the wish says.
pub(crate) async fn copy(wish: &Wish, ends: &Ends<'_>, trail: &Trail) -> Result<Outcome, Failure> {
    let look = match (&ends.ledger, wish.about()) {
        (Some(ledger), Some(about)) => Some(first_look(wish, ledger, &about).await),
        _ => None,
    };
    let seen = ends.ledger.as_ref().zip(look.as_ref());
    wish.may_go_on(seen)?;
    if let Some((ledger, look)) = seen {
        record_previous(wish, ledger, look).await;
    }
    match carry_out(wish, ends, look.as_ref(), trail).await {
        // A Delete took what was planned with; what is claimed by now stays.
        Err(failure) if has_vanished(&failure) => {
            tracing::info!("what was there is gone: planning once more");
            carry_out(wish, ends, look.as_ref(), trail).await
        }
        other => other,
    }
}

async fn carry_out(
    wish: &Wish,
    ends: &Ends<'_>,
    look: Option<&Look>,
    trail: &Trail,
) -> Result<Outcome, Failure> {
    let plan = plan(wish, ends, look, trail).await?;
    tracing::info!(
        digest = plan.root.digest.as_str(),
        blobs_to_copy = plan.blobs.len(),
        manifests_to_write = plan.manifests_to_write(),
        platforms = share(&plan),
        "planned"
    );
    let place = wish.place(&plan);
    let tagged = Plan { request: Request { tag: Some(place.tag.clone()), ..plan.request.clone() }, ..plan };
    let Some(ledger) = &ends.ledger else {
        let names = names(&tagged, ends, &place).await?;
        let tagged = tagged.with_tag_at(names);
        return transfer(&tagged, ends, trail).await;
    };
    // What hangs here must leave time for the copy, which tells better what is wrong. Without a claim,
    // Delete keeps the image.
    let unclaimed = Claim { holds: false, names: None };
    let claiming = claim(wish, ledger, &place, trail);
    let share = ends.deadline.saturating_duration_since(Instant::now()) / 4;
    let claim = tokio::time::timeout(share, claiming).await.unwrap_or_else(|_| {
        tracing::warn!("putting the claim took too long: Delete will keep the image if there is none");
        unclaimed
    });
    let limits = ends.limits();
    let progress =
        copy::transfer_content(&tagged, ends.source, &ends.destination, &limits, trail.tally.of(&tagged));
    let progress = progress.await.map_err(Failure::Copy)?;
    let plan = last_look(wish, ledger, &place, tagged, &claim).await?;
    let outcome = copy::publish(&plan, ends.source, &ends.destination, &limits, progress).await;
    outcome.map_err(Failure::Copy)
}

/// What ECR says when it lacks a part of what is put, by its own API and by the registry's.
const VANISHED: [&str; 5] = [
    "LayersNotFoundException",
    "ReferencedImagesNotFoundException",
    "BLOB_UNKNOWN",
    "MANIFEST_UNKNOWN",
    "MANIFEST_BLOB_UNKNOWN",
];

/// Whether ECR lacks a part of what is to be put.
fn has_vanished(failure: &Failure) -> bool {
    let Failure::Copy(failure) = failure else { return false };
    let copy::Failure::Registry { side: Side::Destination, cause, .. } = failure.as_ref() else {
        return false;
    };
    VANISHED.iter().any(|code| cause.has(code))
}

/// `1 of 8`, where the source's index was read.
fn share(plan: &Plan) -> String {
    match plan.platforms_offered {
        Some(offered) => format!("{} of {offered}", plan.platforms.len()),
        None => plan.platforms.len().to_string(),
    }
}

async fn transfer(plan: &Plan, ends: &Ends<'_>, trail: &Trail) -> Result<Outcome, Failure> {
    let limits = ends.limits();
    let outcome = copy::transfer(plan, ends.source, &ends.destination, &limits, trail.tally.of(plan));
    outcome.await.map_err(Failure::Copy)
}

/// What a tag names that the plan did not ask about.
async fn names(
    plan: &Plan,
    ends: &Ends<'_>,
    place: &Place,
) -> Result<Option<image_copy::oci::Digest>, Failure> {
    let id = registry::ManifestId::Tag(place.tag.clone());
    let found = ends.destination.inventory.manifests(&[id]).await.map_err(|cause| {
        Failure::Copy(plan.request.destination_failure(copy::Operation::ReadManifest, cause))
    })?;
    Ok(found.into_iter().flatten().next().map(|manifest| manifest.digest))
}
