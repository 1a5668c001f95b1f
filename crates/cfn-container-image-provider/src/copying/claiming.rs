//! The claim and the line of a copy: put, looked at once more, and withdrawn.

use image_copy::copy::{self, Plan};
use image_copy::oci::{Digest, Tag};
use image_copy::registry;

use super::Wish;
use crate::job::Trail;
use crate::ledger::{Claimant, Ledger, Line, Look, Place, UNKNOWN};
use crate::reason::Failure;

/// How often a line is written again that somebody else's line displaced.
const ATTEMPTS: usize = 3;

/// A claim that was put for this event, to be withdrawn when the event fails.
pub(crate) struct Claimed(pub(crate) Ledger, pub(crate) Place);

/// Undoes what a failed event claimed.
pub(crate) async fn give_up(Claimed(ledger, place): &Claimed) {
    if let Err(error) = ledger.give_up(place).await {
        tracing::warn!(%error, tag = place.tag.as_str(), "the claim of a failed event is left over");
    }
}

pub(super) async fn first_look(wish: &Wish, ledger: &Ledger, about: &Tag) -> Look {
    let look = match &wish.properties.tag {
        Some(tag) => ledger.look(&Place::of_tag(tag)).await,
        None => ledger.look_at_record(about).await,
    };
    look.unwrap_or_else(|error| {
        tracing::warn!(%error, "the record cannot be read, so nothing is known");
        Look::default()
    })
}

/// What is known of the own claim when the tag is about to move.
pub(super) struct Claim {
    /// Whether there is one that has to be there still.
    pub(super) holds: bool,
    /// What the tag named when it was put.
    pub(super) names: Option<Digest>,
}

/// Puts the claim if it is missing, and before that one for whoever put a tag there that nobody
/// claims. What cannot be claimed is copied all the same.
pub(super) async fn claim(wish: &Wish, ledger: &Ledger, place: &Place, trail: &Trail) -> Claim {
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
pub(super) async fn last_look(
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
        if (claim.holds && !look.claimed) || ledger.is_overtaken(&look, wish.issued) {
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
pub(super) async fn record_previous(wish: &Wish, ledger: &Ledger, look: &Look) {
    let Claimant { stack_id, logical_id } = ledger.claimant.clone();
    let has_lines = ledger.own(look).next().is_some();
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
