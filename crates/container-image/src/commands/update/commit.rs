//! Commits the changed files, and nothing else.

use std::path::{Path, PathBuf};

use image_copy::oci::Digest;

use crate::args::{UpdateArgs, Verbosity};
use crate::edit::FileSnapshot;
use crate::git::Checkout;
use crate::log;

/// Maximum number of file names in a message.
const MAX_NAMES: usize = 5;

/// A file that was written.
#[derive(Debug)]
pub(super) struct WrittenFile {
    /// Name for messages.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Without symbolic links.
    pub(super) real_path: PathBuf,
    pub(super) before: Vec<u8>,
    pub(super) after: Digest,
}

/// Rejects files with uncommitted changes, because the commit would include them or fail.
pub(super) async fn reject_uncommitted(checkout: &Checkout, files: &[&Path]) -> Result<(), String> {
    if checkout.is_clone() || files.is_empty() {
        return Ok(());
    }
    let uncommitted = checkout.uncommitted(files).await?;
    if uncommitted.is_empty() {
        return Ok(());
    }
    let git_add_hint = match uncommitted.iter().any(|one| one.ends_with("(untracked)")) {
        true => ", with git add for untracked files",
        false => "",
    };
    Err(format!(
        "these files have uncommitted changes, which --commit would include: {}. Commit or stash them first{git_add_hint}, or remove --commit. Nothing was changed.",
        join_names(&uncommitted)
    ))
}

/// Commits the files if `--commit` is set. If git fails, the files are restored, so that the same command
/// can be repeated.
pub(super) async fn commit(
    checkout: &Checkout,
    args: &UpdateArgs,
    verbosity: Verbosity,
    files: &[WrittenFile],
) -> Result<(), String> {
    let Some(message) = &args.commit.message else {
        log::print(verbosity, "INFO: no commit message, skipping commit and push");
        return Ok(());
    };
    let paths: Vec<&Path> = files.iter().map(|file| file.path.as_path()).collect();
    match checkout.commit(&paths, message).await {
        Ok(done) => {
            log::print(verbosity, &format!("INFO: {done}"));
            Ok(())
        }
        Err(line) if checkout.is_clone() => Err(format!("{line} Nothing was pushed.")),
        Err(line) => Err(format!("{line} {}", restore(files).await)),
    }
}

/// Restores the old content of the files, except of those that another program such as a hook changed.
/// Returns the resulting state.
async fn restore(files: &[WrittenFile]) -> String {
    let mut changed = Vec::new();
    for file in files {
        let restored = match FileSnapshot::read(&file.real_path, &file.after) {
            Ok(current) => current.replace(file.before.clone()).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = restored {
            changed.push(format!("{} ({reason})", file.name));
        }
    }
    if changed.is_empty() {
        return "All files were restored.".into();
    }
    format!(
        "Not restored: {}. Inspect them with git diff, then commit or restore them.",
        join_names(&changed)
    )
}

fn join_names(names: &[String]) -> String {
    let named = names.iter().take(MAX_NAMES).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MAX_NAMES) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
