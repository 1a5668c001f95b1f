//! The commit of what changed, which holds nothing else.

use std::path::{Path, PathBuf};

use image_copy::oci::Digest;

use crate::args::{Update, Verbosity};
use crate::edit::Current;
use crate::git::Checkout;
use crate::log::say;

/// Most files that a line names.
const MOST_NAMED: usize = 5;

/// A file that was written.
#[derive(Debug)]
pub(super) struct Rewritten {
    /// As people know it.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) before: Vec<u8>,
    pub(super) after: Digest,
}

/// Refuses files that git does not hold as they are: a commit would take in what somebody else
/// changed, or fail.
pub(super) async fn refuse_differing(checkout: &Checkout, files: &[&Path]) -> Result<(), String> {
    if checkout.is_clone() || files.is_empty() {
        return Ok(());
    }
    let differing = checkout.differing(files).await?;
    if differing.is_empty() {
        return Ok(());
    }
    let adding = match differing.iter().any(|one| one.ends_with("(untracked)")) {
        true => ", after git add for those that are untracked",
        false => "",
    };
    Err(format!(
        "--commit takes files whole, and these have changes of their own: {}. Commit or stash them first{adding}, or leave out --commit. Nothing was changed.",
        listed(&differing)
    ))
}

/// Commits the files, or tells that nobody asked for it. Where git refuses, the files are put back, so
/// that the same command can be given again.
pub(super) async fn commit(
    checkout: &Checkout,
    args: &Update,
    verbosity: Verbosity,
    files: &[Rewritten],
) -> Result<(), String> {
    let Some(message) = &args.commit else {
        say(verbosity, "INFO: no commit message, skipping commit and push");
        return Ok(());
    };
    let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    match checkout.commit(&paths, message).await {
        Ok(done) => {
            say(verbosity, &format!("INFO: {done}"));
            Ok(())
        }
        Err(line) if checkout.is_clone() => Err(format!("{line} Nothing was pushed.")),
        Err(line) => Err(format!("{line} {}", put_back(files))),
    }
}

/// Gives files the content that they had, unless something else wrote them too, such as a hook. Tells
/// the state of them.
fn put_back(files: &[Rewritten]) -> String {
    let restored = |file: &Rewritten| Current::read(&file.path, &file.after)?.replace(&file.before);
    let changed = |file| restored(file).err().map(|why| format!("{} ({why})", file.name));
    let changed: Vec<String> = files.iter().filter_map(changed).collect();
    if changed.is_empty() {
        return "All files are as they were before.".into();
    }
    format!(
        "Still changed: {}. See git diff, then commit it or take it back with git checkout.",
        listed(&changed)
    )
}

fn listed(names: &[String]) -> String {
    let named = names.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
