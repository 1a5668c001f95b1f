//! Create and Update: the copy, and the line and claim that go with it.
//!
//! Claims are put before anything is written, the line before the tag moves. Right before that, all
//! is looked at once more, so that whoever was overtaken stops.

use std::time::{SystemTime, UNIX_EPOCH};

use image_copy::copy::{self, Destination, Known, Limits, Outcome, Plan, Request, Side};
use image_copy::oci::{Reference, Tag};
use image_copy::registry;
use tokio::time::Instant;

use crate::handler::Trail;
use crate::ledger::{Claimant, Ledger, Line, Look, Place, UNKNOWN, untagged};
use crate::properties::{InvalidProperty, Properties};
use crate::reason::Failure;

/// How often a line is written again that somebody else's line displaced.
const ATTEMPTS: usize = 3;

/// What an event wants.
pub(crate) struct Wish {
    pub(crate) properties: Properties,
    /// The hash of all properties.
    pub(crate) fingerprint: String,
    /// What is wrong with it, unless the resource had exactly these properties before: a roll-back
    /// brings back what the provider before ours ignored.
    pub(crate) objection: Option<InvalidProperty>,
    /// Whether the tag was the resource's own before.
    pub(crate) keeps_tag: bool,
    /// What an Update had before, where that can be read.
    pub(crate) previous: Option<(Properties, String)>,
    /// When the event was issued, in seconds since 1970.
    pub(crate) issued: Option<u64>,
    /// Whether an earlier invocation began this and put the claim.
    pub(crate) is_continued: bool,
}

/// The two ends of a copy, the limits, and the ledger unless it is to do without.
pub(crate) struct Ends<'a> {
    pub(crate) source: &'a registry::Repository,
    pub(crate) destination: Destination,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) limits: Limits,
}

/// A claim that was put for this event, to be withdrawn when the event fails.
pub(crate) struct Claimed(Ledger, Place);

impl Wish {
    fn seconds(&self) -> u64 {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.issued.unwrap_or_else(now)
    }

    /// What the record of this copy is about; for an image without any name, nothing.
    fn about(&self) -> Option<Tag> {
        let Properties { tag, source, .. } = &self.properties;
        tag.clone().or_else(|| source.digest.as_ref().map(untagged))
    }

    /// Whether the tag may be somebody else's. One that follows from a digest always is ours.
    fn takes_over(&self) -> bool {
        !self.keeps_tag && self.properties.tag.is_some()
    }

    fn place(&self, plan: &Plan) -> Place {
        match &self.properties.tag {
            Some(tag) => Place::of_tag(tag),
            None => Place::of_untagged(&plan.source_digest, &plan.root.digest),
        }
    }

    /// Whether a later event of the same resource was carried out already.
    fn is_overtaken(&self, look: &Look, claimant: &Claimant) -> bool {
        let Some(issued) = self.issued else { return false };
        look.record.of(&claimant.stack_id, &claimant.logical_id).any(|line| line.time > issued)
    }

    fn may_go_on(&self, seen: Option<(&Ledger, &Look)>) -> Result<(), Failure> {
        if seen.is_some_and(|(ledger, look)| self.is_overtaken(look, &ledger.claimant)) {
            return Err(Failure::Overtaken);
        }
        let had = seen.is_some_and(|(Ledger { claimant, .. }, look)| {
            let mut own = look.record.of(&claimant.stack_id, &claimant.logical_id);
            own.any(|line| line.properties == self.fingerprint)
        });
        match &self.objection {
            Some(objection) if !had => Err(Failure::Property(objection.clone())),
            _ => Ok(()),
        }
    }

    /// A line of the resource with exactly these properties.
    fn same_properties<'a>(&self, look: &'a Look, claimant: &Claimant) -> Option<&'a Line> {
        let selection = self.properties.platforms.to_string();
        let mut own = look.record.lines.iter().rev();
        own.find(|line| {
            line.is_of(&claimant.stack_id, &claimant.logical_id)
                && line.properties == self.fingerprint
                && line.selection == selection
        })
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
    let claim = match ends.limits.deadline {
        Some(deadline) => {
            let share = deadline.saturating_duration_since(Instant::now()) / 4;
            tokio::time::timeout(share, claiming).await.unwrap_or_else(|_| {
                tracing::warn!(
                    "putting the claim took too long: Delete will keep the image if there is none"
                );
                unclaimed
            })
        }
        None => claiming.await,
    };
    let progress = copy::transfer_content(
        &tagged,
        ends.source,
        &ends.destination,
        &ends.limits,
        trail.tally.of(&tagged),
    );
    let progress = progress.await.map_err(Failure::Copy)?;
    let plan = last_look(wish, ledger, &place, tagged, &claim).await?;
    copy::publish(&plan, &ends.destination, &ends.limits, progress).await.map_err(Failure::Copy)
}

/// Whether ECR lacks a part of what is to be put.
fn has_vanished(failure: &Failure) -> bool {
    let Failure::Copy(failure) = failure else { return false };
    let copy::Failure::Registry { side: Side::Destination, cause, .. } = failure.as_ref() else {
        return false;
    };
    match cause {
        registry::Error::Service { code, .. } => {
            matches!(code.as_str(), "LayersNotFoundException" | "ReferencedImagesNotFoundException")
        }
        registry::Error::Refused(refusal) => {
            ["BLOB_UNKNOWN", "MANIFEST_UNKNOWN", "MANIFEST_BLOB_UNKNOWN"].iter().any(|code| refusal.has(code))
        }
        _ => false,
    }
}

/// Undoes what a failed event claimed.
pub(crate) async fn give_up(Claimed(ledger, place): &Claimed) {
    let withdrawn = async {
        ledger.withdraw(&place.tag).await?;
        let claims = ledger.claims(&place.tag).await?;
        let look = ledger.look_at_record(&place.about).await?;
        ledger.tidy(&place.about, &look.record, &claims).await
    };
    if let Err(error) = withdrawn.await {
        tracing::warn!(%error, tag = place.tag.as_str(), "the claim of a failed event is left over");
    }
}

async fn first_look(wish: &Wish, ledger: &Ledger, about: &Tag) -> Look {
    let look = match &wish.properties.tag {
        Some(tag) => ledger.look(&Place::of_tag(tag)).await,
        None => ledger.look_at_record(about).await,
    };
    look.unwrap_or_else(|error| {
        tracing::warn!(%error, "the record cannot be read, so nothing is known");
        Look::default()
    })
}

/// `1 of 8`, where the source's index was read.
fn share(plan: &Plan) -> String {
    match plan.platforms_offered {
        Some(offered) => format!("{} of {offered}", plan.platforms.len()),
        None => plan.platforms.len().to_string(),
    }
}

async fn transfer(plan: &Plan, ends: &Ends<'_>, trail: &Trail) -> Result<Outcome, Failure> {
    let outcome = copy::transfer(plan, ends.source, &ends.destination, &ends.limits, trail.tally.of(plan));
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
        let (operation, subject) = (copy::Operation::ReadManifest, plan.request.destination_name());
        Failure::Copy(Box::new(copy::Failure::Registry {
            side: Side::Destination,
            operation,
            subject,
            cause,
        }))
    })?;
    Ok(found.into_iter().flatten().next().map(|manifest| manifest.digest))
}

/// Plans by what is known. An Update with exactly the properties of a line is a roll-back: when the
/// source cannot be asked, what was copied then is put back.
async fn plan(wish: &Wish, ends: &Ends<'_>, look: Option<&Look>, trail: &Trail) -> Result<Plan, Failure> {
    let mut request = wish.properties.request();
    request.known = look.map(|look| look.known(&request.platforms)).unwrap_or_default();
    let request = trail.request.get_or_init(|| request);
    let planning = copy::plan(request, ends.source, &ends.destination);
    let line = ends.ledger.as_ref().zip(look).filter(|_| wish.previous.is_some() || wish.keeps_tag);
    let line = line.and_then(|(ledger, look)| wish.same_properties(look, &ledger.claimant));
    let Some((line, Some(back))) = line.map(|line| (line, back(request, line))) else {
        return planning.await.map_err(Failure::Copy);
    };
    // A source that hangs must not use up the time for putting back what is here.
    let until = ends.limits.deadline.map_or_else(
        || Instant::now() + std::time::Duration::from_secs(300),
        |end| Instant::now() + end.saturating_duration_since(Instant::now()) / 2,
    );
    let failure = match tokio::time::timeout_at(until, planning).await {
        Ok(Ok(plan)) => return Ok(plan),
        Ok(Err(failure)) if failure.side() != Side::Source => return Err(Failure::Copy(failure)),
        Ok(Err(failure)) => failure,
        Err(_) => Box::new(copy::Failure::Deadline {
            subject: request.source.to_string(),
            progress: copy::Progress::default(),
            elapsed: Instant::now().saturating_duration_since(until),
        }),
    };
    let plan = copy::plan(&back, ends.source, &ends.destination).await;
    match plan {
        Ok(plan) if plan.root_held && plan.blobs.is_empty() => {
            tracing::warn!(%failure, digest = line.digest, "the source cannot be asked: what it named then is put back");
            Ok(Plan { request: request.clone(), ..plan })
        }
        _ => Err(Failure::Copy(failure)),
    }
}

/// The request that brings a line's copy back without the source.
fn back(request: &Request, line: &Line) -> Option<Request> {
    let digest = line.digest()?;
    // Of a tag that an older provider copied, the source's digest may not be known.
    let source_digest = line.source_digest.as_ref().map_or(Some(digest.clone()), |text| text.parse().ok())?;
    let source = Reference { digest: Some(source_digest.clone()), ..request.source.clone() };
    let platforms = line.platforms.iter().filter_map(|name| name.parse().ok()).collect();
    let known = vec![Known { source_digest, selection: request.platforms.clone(), digest, platforms }];
    Some(Request { source, known, ..request.clone() })
}

/// What is known of the own claim when the tag is about to move.
struct Claim {
    /// Whether there is one that has to be there still.
    holds: bool,
    /// What the tag named when it was put.
    names: Option<image_copy::oci::Digest>,
}

/// Puts the claim if it is missing, and before that one for whoever put a tag there that nobody
/// claims. What cannot be claimed is copied all the same.
async fn claim(wish: &Wish, ledger: &Ledger, place: &Place, trail: &Trail) -> Claim {
    let look = match ledger.look(place).await {
        Ok(look) => look,
        Err(error) => {
            tracing::warn!(%error, "the claim cannot be read: Delete will keep the image if there is none");
            return Claim { holds: false, names: None };
        }
    };
    let names = look.names().cloned();
    // What an earlier invocation put and is gone, a Delete took: the last look will say so.
    if look.claimed || wish.is_continued {
        return Claim { holds: true, names };
    }
    let put = async {
        if wish.takes_over() && names.is_some() {
            claim_for_unknown(ledger, place, &look).await?;
        }
        ledger.claim(&place.tag).await
    };
    match put.await {
        Ok(()) => {
            let _ = trail.claimed.set(Claimed(ledger.clone(), place.clone()));
            Claim { holds: true, names }
        }
        Err(error) => {
            tracing::warn!(%error, "the repository takes no claim: Delete will keep the image");
            Claim { holds: false, names }
        }
    }
}

async fn claim_for_unknown(ledger: &Ledger, place: &Place, look: &Look) -> Result<(), registry::Error> {
    let Some(digest) = look.names() else { return Ok(()) };
    // What a line names, one of us put there, who may be deleting it right now.
    if look.record.lines.iter().any(|line| line.digest().as_ref() == Some(digest)) {
        return Ok(());
    }
    if !ledger.claims_of_others(&place.tag).await?.is_empty() {
        return Ok(());
    }
    let Claimant { stack_id, logical_id } = Claimant::unknown();
    let line = Line {
        time: 0,
        stack_id,
        logical_id,
        source: UNKNOWN.into(),
        source_digest: None,
        selection: UNKNOWN.into(),
        platforms: Vec::new(),
        digest: digest.to_string(),
        properties: String::new(),
    };
    // The line first: a claim without one could not be given back what it had.
    ledger.add(&place.about, look, &[line]).await?;
    ledger.claim_for_unknown(&place.tag).await
}

/// Writes the line, and looks once more: when the claim is gone or a later event's line is there,
/// this one was overtaken.
async fn last_look(
    wish: &Wish,
    ledger: &Ledger,
    place: &Place,
    plan: Plan,
    claim: &Claim,
) -> Result<Plan, Failure> {
    let mut lines = None;
    let mut last = None;
    for _ in 0..=ATTEMPTS {
        let look = match ledger.look(place).await {
            Ok(look) => look,
            Err(error) => {
                tracing::warn!(%error, "the record cannot be read before the tag moves");
                break;
            }
        };
        if (claim.holds && !look.claimed) || wish.is_overtaken(&look, &ledger.claimant) {
            return Err(Failure::Overtaken);
        }
        if wish.takes_over()
            && claim.names.is_none()
            && look.names().is_some_and(|named| *named != plan.root.digest)
            && let Err(error) = claim_for_unknown(ledger, place, &look).await
        {
            tracing::warn!(%error, "what somebody put there meanwhile cannot be claimed for them");
        }
        let lines = lines.get_or_insert_with(|| [new_line(wish, ledger, &plan)]);
        let is_written = lines.iter().all(|line| look.record.lines.contains(line));
        let written = match is_written {
            true => Ok(()),
            false => ledger.add(&place.about, &look, lines).await,
        };
        last = Some(look);
        match written {
            Ok(()) if !is_written => {}
            Ok(()) => break,
            Err(error) => {
                tracing::warn!(%error, "the repository takes no record: a roll-back will need the source");
                break;
            }
        }
    }
    Ok(match last {
        Some(look) => plan.with_tag_at(look.names().cloned()),
        None => plan,
    })
}

fn new_line(wish: &Wish, ledger: &Ledger, plan: &Plan) -> Line {
    let Claimant { stack_id, logical_id } = ledger.claimant.clone();
    Line {
        time: wish.seconds(),
        stack_id,
        logical_id,
        source: wish.properties.source.to_string(),
        source_digest: Some(plan.source_digest.to_string()),
        selection: wish.properties.platforms.to_string(),
        platforms: plan.platforms.iter().map(ToString::to_string).collect(),
        digest: plan.root.digest.to_string(),
        properties: wish.fingerprint.clone(),
    }
}

/// Records what the tag of a resource without lines names, under its previous properties: an older
/// provider made it, and a roll-back may want it.
async fn record_previous(wish: &Wish, ledger: &Ledger, look: &Look) {
    let Claimant { stack_id, logical_id } = ledger.claimant.clone();
    let has_lines = look.record.of(&stack_id, &logical_id).next().is_some();
    let (Some((previous, fingerprint)), Some(digest), false) = (&wish.previous, look.names(), has_lines)
    else {
        return;
    };
    if !wish.keeps_tag {
        return;
    }
    let source_digest = match previous.platforms {
        // A whole index is its own source; somebody else may have pushed it meanwhile.
        copy::Platforms::All => Some(digest),
        _ => previous.source.digest.as_ref(),
    };
    let line = Line {
        time: 0,
        stack_id,
        logical_id,
        source: previous.source.to_string(),
        source_digest: source_digest.map(ToString::to_string),
        selection: previous.platforms.to_string(),
        platforms: Vec::new(),
        digest: digest.to_string(),
        properties: fingerprint.clone(),
    };
    let Some(about) = wish.about() else { return };
    if let Err(error) = ledger.add(&about, look, &[line]).await {
        tracing::warn!(%error, "what the tag named before cannot be recorded");
    }
}
