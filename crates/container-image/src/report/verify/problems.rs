//! Lines for the problems of an image.

use image_copy::oci::Digest;
use image_copy_aws::LifecycleAction;

use crate::commands::verify::{ImageResult, Origin, Problem, ProblemKind};
use crate::report::{MAX_LINE_CHARS, shortened};

/// Returns the image with this name, its problem, and one thing to change.
pub(super) fn line(name: &str, result: &ImageResult, problem: &Problem) -> String {
    let ending = advice(problem);
    let room = MAX_LINE_CHARS.saturating_sub(ending.chars().count() + 3);
    let text = format!("{name}: {}.", text(result, &problem.kind));
    format!("{} {ending}", shortened(text, room))
}

pub(super) fn text(result: &ImageResult, kind: &ProblemKind) -> String {
    // A tag can name another image than the damaged one.
    let of = |digest: &Digest| match &result.image.name.digest {
        Some(named) if named == digest => String::new(),
        _ => format!(" of {}", digest.short()),
    };
    match kind {
        ProblemKind::SourceMoved { source, digest } => format!("{source} now names {}", digest.short()),
        ProblemKind::Lifecycle { rule, action, .. } => {
            let verb = match action {
                LifecycleAction::Expire => "expire",
                LifecycleAction::Archive => "archive",
            };
            format!("lifecycle rule {rule} is about to {verb} the image")
        }
        ProblemKind::OtherImage { named, copied } => {
            format!("the tag names {}, but {} was copied", named.short(), copied.short())
        }
        ProblemKind::MissingChildren { digest, count, first, platform } => {
            let platform = platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
            let what = if *count == 1 {
                "child manifest".into()
            } else {
                format!("{count} child manifests, such as")
            };
            format!("{what} {}{platform}{} missing or archived", first.short(), of_is(&of(digest), *count))
        }
        ProblemKind::MissingBlobs { digest, count, first } => {
            let what = if *count == 1 { "blob".into() } else { format!("{count} blobs, such as") };
            format!("{what} {}{} missing or archived", first.short(), of_is(&of(digest), *count))
        }
        ProblemKind::MissingDigest(digest) if result.image.name.digest.as_ref() == Some(digest) => {
            "the image is missing or archived".into()
        }
        ProblemKind::MissingDigest(digest) => format!("image {} is missing or archived", digest.short()),
        ProblemKind::MissingTag => "the tag is missing, or its image is archived".into(),
    }
}

fn of_is(of: &str, count: usize) -> String {
    if count == 1 { format!("{of} is") } else { format!("{of}, are") }
}

/// Returns one thing to change.
pub(super) fn advice(problem: &Problem) -> String {
    if let ProblemKind::Lifecycle { rule, .. } = &problem.kind {
        return format!("Change rule {rule} of the repository's lifecycle policy.");
    }
    if let ProblemKind::SourceMoved { .. } = &problem.kind {
        return match &problem.origin {
            Origin::Report => "Run sync to copy it.".into(),
            Origin::Resource { stack, logical_id } => {
                format!("To copy it, change Refresh of {logical_id} in stack {stack}.")
            }
            Origin::Output { stack, .. } => format!("To copy it, update stack {stack}."),
            Origin::Owner(owner) => format!("To copy it, repeat the copy of owner {owner}."),
        };
    }
    match &problem.origin {
        Origin::Report => "Run sync again.".into(),
        Origin::Resource { stack, logical_id } => format!("Change Refresh of {logical_id} in stack {stack}."),
        Origin::Output { stack, name } => {
            format!("Update stack {stack}, whose output {name} has this digest.")
        }
        Origin::Owner(owner) => format!("Repeat the copy of owner {owner}."),
    }
}

pub(super) fn owner_name(origin: &Origin) -> String {
    match origin {
        Origin::Report => "report".into(),
        Origin::Resource { stack, logical_id } => format!("resource {logical_id} of stack {stack}"),
        Origin::Output { stack, name } => format!("output {name} of stack {stack}"),
        Origin::Owner(owner) => owner.to_string(),
    }
}
