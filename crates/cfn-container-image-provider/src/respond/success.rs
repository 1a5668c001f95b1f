//! The `Reason` of a success: one sentence.

use image_copy::copy::{Outcome, Progress, ReferrerCounts, TagChange};

use crate::delete::lifecycle::DeleteOutcome;
use crate::event_state::StateUse;

/// Describes a copy in one sentence, and in a second one what is missing.
pub(crate) fn copied(outcome: &Outcome, state: StateUse) -> String {
    let Progress { blobs, copied, skipped, .. } = outcome.blobs;
    let required = blobs - skipped;
    let blobs = match copied {
        0 => format!("All {required} blobs were in ECR already"),
        _ if copied == required => format!("All {required} blobs were copied"),
        _ => format!("{copied} of {required} blobs were copied, the others were in ECR already"),
    };
    let foreign = match skipped {
        0 => String::new(),
        1 => "; 1 layer that may not be distributed was left out, because the source does not have it".into(),
        _ => format!(
            "; {skipped} layers that may not be distributed were left out, because the source does not have them"
        ),
    };
    let tag = match outcome.tag {
        TagChange::Untagged => "",
        TagChange::Unchanged => "; the tag named the image already",
        TagChange::Moved { .. } => "; the tag names the image now",
    };
    let referrers = outcome.referrers.as_ref().map(referrers).unwrap_or_default();
    let state = match state {
        StateUse::Unavailable => " The state table could not be used, so a Delete may keep the image.",
        StateUse::Used | StateUse::Off => "",
    };
    format!("{blobs}{foreign}{tag}.{referrers}{state}")
}

/// ` Referrers: 3 copied, 1 refused: registry says 405 UNSUPPORTED.`
fn referrers(referrers: &ReferrerCounts) -> String {
    match &referrers.first_reason {
        Some(reason) => format!(" Referrers: {referrers}: {}.", reason.trim_end_matches('.')),
        None => format!(" Referrers: {referrers}."),
    }
}

/// Describes a Delete in one sentence.
pub(crate) fn deleted(deleted: DeleteOutcome, state: StateUse) -> &'static str {
    match deleted {
        DeleteOutcome::Deleted => {
            "The image was removed, except what another tag or index in the repository uses."
        }
        DeleteOutcome::NotFound => "There was nothing to delete.",
        DeleteOutcome::ReferencedByIndex => {
            "The tag was kept, because an index in the repository refers to the image."
        }
        DeleteOutcome::Restored => "The tag names again what it named before this resource.",
        DeleteOutcome::Overwritten => {
            "The tag was kept, because somebody else has pushed another image under it."
        }
        DeleteOutcome::DeletionDisabled => {
            "The image was kept, because the provider's parameter DeleteImages is false."
        }
        DeleteOutcome::OtherOwners => "The tag was kept, because another resource uses it.",
        DeleteOutcome::NotOwned => "The image was kept, because this resource does not own it.",
        DeleteOutcome::Superseded => "The image was kept, because a later event of this resource uses it.",
        DeleteOutcome::StateUnknown if state == StateUse::Off => {
            "The image was kept, because the provider has no state table."
        }
        DeleteOutcome::StateUnknown => "The image was kept, because the state table could not be reached.",
    }
}
