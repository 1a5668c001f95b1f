//! The `Reason` of a success: one sentence.

use image_copy::copy::{Progress, ReferrerCounts, TagChange};
use image_copy_aws::format_timestamp;

use crate::copy::{FinishedCopy, WaitingImage};
use crate::delete::lifecycle::DeleteOutcome;
use crate::event_state::StateUse;

/// Describes a copy in one sentence, and missing parts in others.
pub(crate) fn copied(copied: &FinishedCopy, state: StateUse) -> String {
    let FinishedCopy { properties, outcome } = copied;
    let Progress { blobs, copied, skipped, .. } = outcome.blobs;
    let required = blobs - skipped;
    let blobs = match copied {
        0 => format!("All {required} blobs were already in ECR"),
        _ if copied == required => format!("All {required} blobs were copied"),
        _ => format!("{copied} of {required} blobs were copied, the others were already in ECR"),
    };
    let foreign = match skipped {
        0 => String::new(),
        1 => "; 1 non-distributable layer was skipped, because the source does not have it".into(),
        _ => format!(
            "; {skipped} non-distributable layers were skipped, because the source does not have them"
        ),
    };
    let tag = match outcome.tag {
        TagChange::Untagged => "",
        TagChange::Unchanged => "; the tag already named the image",
        TagChange::Moved { .. } => "; the tag now names the image",
    };
    let referrers = outcome.referrers.as_ref().map(referrers).unwrap_or_default();
    let customized = match &properties.customization {
        Some(_) => " The copy has no signatures and attestations, because Customize changed the image.",
        None => "",
    };
    let state = match state {
        StateUse::Unavailable => " The state table could not be used, so a Delete may keep the image.",
        StateUse::Used | StateUse::Off => "",
    };
    format!("{blobs}{foreign}{tag}.{referrers}{customized}{state}")
}

/// Describes the wait for a minimum age in one sentence.
pub(crate) fn waiting(WaitingImage { source_digest, wait, .. }: &WaitingImage) -> String {
    format!(
        "The image was not copied, because its digest {} was first seen at {} and waits until {}.",
        source_digest.short(),
        format_timestamp(wait.first_seen),
        format_timestamp(wait.until)
    )
}

/// ` Referrers: 3 copied, 1 refused: Image … could not be pushed: ECR returned 405 UNSUPPORTED.`
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
            "The image was deleted, except content that another tag or index in the repository uses."
        }
        DeleteOutcome::NotFound => "Nothing to delete: the tag or image does not exist.",
        DeleteOutcome::ReferencedByIndex => {
            "The tag was kept, because an index in the repository refers to the image."
        }
        DeleteOutcome::Restored => "The tag names the same image as before this resource.",
        DeleteOutcome::Overwritten => "The tag was kept, because another image was pushed to it.",
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
