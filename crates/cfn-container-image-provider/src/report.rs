//! What an operator reads of an event: the sentence of a success, and the last log line.

use std::time::Duration;

use image_copy::copy::{self, Progress, Referrers, Served, TagMove};
use image_copy::registry;

use crate::deadline::Deadline;
use crate::deletion::Deleted;
use crate::event::Envelope;
use crate::job::{Done, Trail};
use crate::reason::Failure;

/// What was done, in one sentence.
pub(crate) fn sentence(done: &Done) -> String {
    match done {
        Done::Copied { outcome, .. } => {
            let Progress { blobs, copied, .. } = outcome.blobs;
            let blobs = match copied {
                0 => format!("All {blobs} blobs were there"),
                _ if copied == blobs => format!("All {blobs} blobs were copied"),
                _ => format!("{copied} of {blobs} blobs were copied, the others were there"),
            };
            let tag = match outcome.tag {
                TagMove::Untagged => "",
                TagMove::Unchanged => "; the tag named the image already",
                TagMove::Moved { .. } => "; the tag names the image now",
            };
            format!("{blobs}{tag}.{}", outcome.referrers.as_ref().map(of_referrers).unwrap_or_default())
        }
        Done::Deleted(Deleted::Nothing) => "The image was gone already.".into(),
        Done::Deleted(Deleted::Tag) => {
            "The tag was removed; the image is kept, for something else uses it.".into()
        }
        Done::Deleted(Deleted::Image) => "The image was deleted.".into(),
        Done::Deleted(Deleted::Kept) => "The setting DELETE_IMAGES keeps every image.".into(),
        Done::Deleted(Deleted::Claimed) => "The tag was left to others that claim it.".into(),
        Done::Deleted(Deleted::Unclaimed) => {
            "The image was kept, for this resource has no claim on it.".into()
        }
        Done::Deleted(Deleted::Foreign) => {
            "The tag was kept, for somebody else has pushed another image under it.".into()
        }
        Done::Nothing(why) => format!("Nothing to do: {why}."),
    }
}

/// ` Referrers: 3 copied, 1 refused: registry says 405 UNSUPPORTED.`
fn of_referrers(referrers: &Referrers) -> String {
    match &referrers.first_reason {
        Some(reason) => format!(" Referrers: {referrers}: {}.", reason.trim_end_matches('.')),
        None => format!(" Referrers: {referrers}."),
    }
}

/// What the last line of an invocation is made of, from which metrics are made.
pub(crate) struct Ending<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) trail: &'a Trail,
    /// Counted from 1.
    pub(crate) round: u64,
    pub(crate) deadline: Deadline,
}

impl Ending<'_> {
    /// The event was answered.
    pub(crate) fn answered(&self, result: &Result<Done, Failure>, reason: &str) {
        let referrers = match result {
            Ok(Done::Copied { outcome, .. }) => outcome.referrers.as_ref(),
            _ => None,
        };
        self.line("answered", outcome(result), Some(reason), self.progress(result), referrers);
    }

    /// Another invocation goes on with the event, and answers.
    pub(crate) fn continued(&self, progress: Progress) {
        self.line("handed over to another invocation", "continued", None, progress, None);
    }

    /// How far the copy came, also where it failed by something else than want of time.
    fn progress(&self, result: &Result<Done, Failure>) -> Progress {
        let failure = match result {
            Ok(Done::Copied { outcome, .. }) => return outcome.blobs,
            Ok(Done::Deleted(_) | Done::Nothing(_)) => return Progress::default(),
            Err(failure) => failure,
        };
        if let Failure::Copy(failure) | Failure::Halted { failure, .. } = failure
            && let copy::Failure::Deadline { progress, .. } = failure.as_ref()
        {
            return *progress;
        }
        self.trail.tally.progress().unwrap_or_default()
    }

    fn line(
        &self,
        message: &str,
        outcome: &str,
        reason: Option<&str>,
        progress: Progress,
        referrers: Option<&Referrers>,
    ) {
        let Self { envelope, trail, .. } = self;
        let request = trail.request.get();
        let usage = |repository: Option<&registry::Repository>| {
            repository.map(registry::Repository::usage).unwrap_or_default()
        };
        let (source, destination) =
            (usage(trail.source.get().map(copy::Source::named)), usage(trail.destination.get()));
        // A Delete knows nothing but the id, which reads the same.
        let deleted = (envelope.request_type == "Delete").then(|| envelope.physical_resource_id.clone());
        let named = request.map(copy::Request::destination_name).or(deleted);
        let served = trail.source.get().map(copy::Source::served).and_then(|served| served_by(&served));
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    message,
                    outcome,
                    reason,
                    round = self.round,
                    source = request.map(|request| request.source.to_string()),
                    destination = named,
                    blobs = progress.blobs,
                    blobs_present = progress.present,
                    blobs_copied = progress.copied,
                    bytes = progress.bytes,
                    bytes_copied = progress.bytes_copied,
                    referrers_copied = referrers.map(|referrers| referrers.copied),
                    referrers_present = referrers.map(|referrers| referrers.present),
                    referrers_refused = referrers.map(|referrers| referrers.refused),
                    referrers_left_out = referrers.map(|referrers| referrers.left_out),
                    referrers_unknown = referrers.map(|referrers| referrers.unknown),
                    seconds = self.deadline.started.elapsed().as_secs_f64(),
                    source_requests = source.requests,
                    destination_requests = destination.requests,
                    source_pulls = source.manifest_gets,
                    source_pulls_left = source.rate_limit.and_then(|limit| limit.remaining),
                    source_served_by = served,
                )
            };
        }
        match outcome {
            "failed" => say!(warn),
            _ => say!(info),
        }
    }
}

/// Where manifests and blobs came from, if any came.
fn served_by(served: &[Served]) -> Option<String> {
    let served = served
        .iter()
        .map(|Served { place, manifests, blobs }| format!("{place} ({manifests} manifests, {blobs} blobs)"));
    Some(served.collect::<Vec<_>>().join(", ")).filter(|places| !places.is_empty())
}

/// The last line of the watchdog, which answered in place of invocations that could not.
pub(crate) fn lost(reason: &str, failed_request_id: &str, elapsed: Duration) {
    tracing::warn!(outcome = "lost", reason, failed_request_id, seconds = elapsed.as_secs_f64(), "answered");
}

fn outcome(result: &Result<Done, Failure>) -> &'static str {
    match result {
        Ok(Done::Copied { outcome, .. }) => match outcome.tag {
            TagMove::Moved { .. } => "copied",
            _ if outcome.blobs.copied > 0 || outcome.manifests_written > 0 => "copied",
            _ if outcome.referrers.as_ref().is_some_and(|referrers| referrers.copied > 0) => "copied",
            TagMove::Unchanged | TagMove::Untagged => "unchanged",
        },
        Ok(Done::Deleted(Deleted::Image | Deleted::Tag)) => "deleted",
        Ok(Done::Deleted(_) | Done::Nothing(_)) => "nothing to do",
        Err(_) => "failed",
    }
}
