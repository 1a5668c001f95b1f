//! Messages of `update`. A message that cru also prints has the same text.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::changes::{Entry, UpdateOutcome};
use super::selection::Selection;
use crate::args::{UpdateArgs, Verbosity};
use crate::display;
use crate::documents::Document;
use crate::log;
use crate::report;
use crate::resolve::Lookup;
use crate::scan::files::SourceFile;
use crate::scan::{DEFAULT_TAG, Evidence, RawReference};

/// Returns the number of references, which is the number of lines of `list`.
pub(super) fn count(documents: &[Document]) -> String {
    let of_file = |document: &Document| document.images().collect::<BTreeSet<_>>().len();
    let lines: usize = documents.iter().map(of_file).sum();
    let distinct = documents.iter().flat_map(Document::images).collect::<BTreeSet<_>>().len();
    match lines - distinct {
        0 => format!("INFO: {lines} image references found"),
        _ => format!("INFO: {lines} image references found, {distinct} distinct"),
    }
}

/// Prints warnings about arguments that can be mistakes.
pub(super) fn warn_about_arguments(
    args: &UpdateArgs,
    verbosity: Verbosity,
    selection: &Selection,
    documents: &[Document],
) {
    if verbosity == Verbosity::Quiet {
        return;
    }
    if selection.is_to_latest() && documents.iter().flat_map(Document::images).any(is_about_to_move) {
        report::warning(&format!(
            "--all without --matching-tag moves every image to the tag {DEFAULT_TAG}. Add --matching-tag to keep each tag, or --latest for the newest version"
        ));
    }
    if args.all && args.matching_tag && !args.resolve_digest {
        let is_pinned = |image: &&RawReference| image.tag.is_some() && image.digest.is_some();
        let pinned = documents.iter().flat_map(Document::images).filter(is_pinned).count();
        if pinned > 0 {
            report::warning(&format!(
                "--all --matching-tag without --resolve-digest removes {pinned} digests. Add --resolve-digest to keep the references pinned"
            ));
        }
    }
    for wanted in &args.image_reference {
        if let Some(line) = unmatched(args, wanted, documents) {
            report::warning(&line);
        }
    }
}

fn is_about_to_move(image: &RawReference) -> bool {
    image.effective_tag().is_some_and(|tag| tag != DEFAULT_TAG)
}

/// Returns a warning if no image matches an `--image-reference`, with the most similar image.
fn unmatched(args: &UpdateArgs, wanted: &RawReference, documents: &[Document]) -> Option<String> {
    let has_tag =
        |image: &RawReference| !args.matching_tag || image.effective_tag() == wanted.effective_tag();
    let mut images = documents.iter().flat_map(Document::images);
    if images.any(|image| image.name == wanted.name && has_tag(image)) {
        return None;
    }
    let find_similar = |is_similar: &dyn Fn(&RawReference) -> bool| {
        documents.iter().find_map(|document| {
            let (index, image) = document.images().enumerate().find(|(_, image)| is_similar(image))?;
            Some((document.location(index), image))
        })
    };
    let repository = wanted.normalized().repository;
    Some(if let Some((line, image)) = find_similar(&|image| image.name == wanted.name) {
        format!(
            "--image-reference {wanted}: no reference has this tag, which --matching-tag requires; {line} has {image}"
        )
    } else if let Some((line, image)) = find_similar(&|image| image.normalized().repository == repository) {
        format!("--image-reference {wanted}: no reference has this spelling; {line} has {image}")
    } else {
        format!("--image-reference {wanted}: no file contains this image")
    })
}

/// Describes a change of an image: the old reference, and the tag and the digest that are new. Digests are short.
pub(super) fn change(from: &RawReference, to: &RawReference) -> String {
    let tag = to.tag.as_deref().filter(|tag| from.tag.as_deref() != Some(tag) || to.digest.is_none());
    let new: Vec<&str> = tag.into_iter().chain(to.digest.as_deref()).collect();
    report::with_short_digests(&format!("{from} -> {}", new.join("@")))
}

/// Returns a note if a patch has a file outside of the current folder: `git apply` and `patch` reject such paths.
pub(super) fn outside_patch(files: &[&SourceFile]) -> Option<String> {
    let is_inside = |path: &Path| path.components().all(|part| matches!(part, Component::Normal(_)));
    let outside = files.iter().find(|file| !is_inside(&file.relative_path))?;
    let contains_all = |folder: &&Path| files.iter().all(|file| file.real_path.starts_with(folder));
    let common = outside.real_path.parent()?.ancestors().find(contains_all)?;
    let work_tree = common.ancestors().find(|folder| folder.join(".git").exists());
    Some(format!(
        "{}: git apply and patch reject this path. To apply the patch, run both commands in the folder {}",
        outside.display_name,
        display::path(work_tree.unwrap_or(common))
    ))
}

/// Returns the note about a guess that would change without a query.
pub(super) fn unconfirmed(target: &RawReference, locations: &[String]) -> Entry {
    let name = &target.name;
    let message = format!(
        "{}: {name} may not be an image, and was not changed without a query. Add --resolve-digest, or name it in --image-reference.",
        locations.join(" and ")
    );
    Entry { reference: Some(target.to_string()), evidence: Some(Evidence::Guess), message }
}

/// Describes a resolved reference.
pub(super) fn resolved(target: &RawReference, result: &RawReference, lookup: &Lookup) -> String {
    let (name, old, new) = (
        &target.name,
        target.effective_tag().unwrap_or_default(),
        result.effective_tag().unwrap_or_default(),
    );
    match lookup {
        Lookup::SpecificTag => format!("resolving repository {name} tag '{old}' to '{new}'"),
        _ => {
            let digest = result.digest.as_deref().unwrap_or_default();
            format!("resolving repository {name} Tag {new} to Digest {digest}")
        }
    }
}

/// Describes a reference that no tag can replace.
pub(super) fn unchanged(target: &RawReference, lookup: &Lookup) -> String {
    match lookup {
        Lookup::NewestTag(Some(range)) => {
            format!("INFO: {target} was not changed: no tag of the same kind is within {range}")
        }
        _ => format!("INFO: {target} was not changed: no more specific tag has the same image"),
    }
}

/// Prints the number of changed files.
pub(super) fn print_summary(
    args: &UpdateArgs,
    verbosity: Verbosity,
    is_clone: bool,
    outcome: &UpdateOutcome,
) {
    let files = outcome.would_change.max(outcome.written);
    // A clone without a commit is deleted.
    let is_dry_run = args.output.dry_run || args.output.check || (is_clone && args.commit.message.is_none());
    let text = match files {
        0 if !outcome.failed.is_empty() => return,
        0 => "INFO: no files were updated".to_owned(),
        files if is_dry_run => format!("INFO: would update a total of {files} files"),
        files => format!("INFO: updated a total of {files} files"),
    };
    log::print(verbosity, &text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_has_the_new_parts_only() {
        let (old, new) = ("1".repeat(64), "2".repeat(64));
        let reference = |text: &str| -> RawReference {
            text.replace('#', &format!("@sha256:{old}"))
                .replace('%', &format!("@sha256:{new}"))
                .parse()
                .unwrap()
        };
        for (from, to, expected) in [
            ("a.io/b:1", "a.io/b:1%", "a.io/b:1 -> sha256:222222222222"),
            ("a.io/b:1#", "a.io/b:1%", "a.io/b:1@sha256:111111111111 -> sha256:222222222222"),
            ("b", "b:latest%", "b -> latest@sha256:222222222222"),
            ("b:1-slim#", "b:2-slim%", "b:1-slim@sha256:111111111111 -> 2-slim@sha256:222222222222"),
            ("b:1#", "b:1", "b:1@sha256:111111111111 -> 1"),
            ("b:1", "b:latest", "b:1 -> latest"),
            ("b#", "b%", "b@sha256:111111111111 -> sha256:222222222222"),
        ] {
            assert_eq!(change(&reference(from), &reference(to)), expected);
        }
    }
}
