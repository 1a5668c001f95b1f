//! What changes in which file, and the carrying out of it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_copy::oci::Digest;
use serde_json::{Value, json};

use super::commit::WrittenFile;
use super::selection::{self, Selection};
use crate::args::{UpdateArgs, Verbosity};
use crate::documents::Document;
use crate::edit::{self, Change, FileSnapshot};
use crate::log;
use crate::report;
use crate::scan::RawReference;

/// All that changes.
pub(super) struct Changes<'a> {
    files: Vec<FileChange<'a>>,
}

struct FileChange<'a> {
    document: &'a Document,
    /// Number of the image in the document, and what it is to be.
    images: Vec<(usize, RawReference)>,
    /// Images that are what they are to be.
    current: Vec<usize>,
}

/// What was done.
#[derive(Debug, Default)]
pub(super) struct UpdateOutcome {
    /// How many files were written.
    pub(super) written: usize,
    /// These, where git is to commit them.
    pub(super) to_commit: Vec<WrittenFile>,
    /// Files that could not be written, by their names, each with a line that says why.
    pub(super) failed: BTreeMap<String, String>,
    /// Files that would have been written.
    pub(super) would_change: usize,
    /// Whether everything that was to be printed was.
    pub(super) is_printed: bool,
}

impl UpdateOutcome {
    fn record_failure(&mut self, file: &FileChange<'_>, reason: &str) {
        let line = format!("{} was not changed: {reason}.", file.document.file.display_name);
        report::fail(&line);
        self.failed.insert(file.document.file.name.clone(), line);
    }
}

impl<'a> Changes<'a> {
    pub(super) fn of(
        documents: &'a [Document],
        selection: &Selection,
        wanted: &HashMap<RawReference, RawReference>,
    ) -> Self {
        let of_file = |document: &'a Document| {
            let mut file = FileChange { document, images: Vec::new(), current: Vec::new() };
            for (number, found) in document.scan.images.iter().enumerate() {
                let target = selection.target(&found.image);
                let Some(wanted) = target.and_then(|target| wanted.get(&target)) else { continue };
                if selection::is_change(&found.image, wanted) {
                    file.images.push((number, wanted.clone()));
                } else {
                    file.current.push(number);
                }
            }
            file
        };
        Self { files: documents.iter().map(of_file).collect() }
    }

    /// The files that change.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let changing = self.files.iter().filter(|file| !file.images.is_empty());
        changing.map(|file| file.document.file.path.as_path()).collect()
    }

    /// Writes the files, or shows what would be written. Of a file that cannot be written is told, and
    /// the others are.
    pub(super) async fn apply(
        &self,
        args: &UpdateArgs,
        verbosity: Verbosity,
        written: &AtomicUsize,
    ) -> UpdateOutcome {
        let mut outcome = UpdateOutcome { is_printed: true, ..UpdateOutcome::default() };
        for file in &self.files {
            // So that Ctrl-C is noticed between two files.
            tokio::task::yield_now().await;
            if verbosity == Verbosity::Verbose {
                file.log(verbosity);
            }
            if file.images.is_empty() {
                continue;
            }
            if args.check {
                outcome.would_change += 1;
                outcome.is_printed &= args.json || file.list();
                continue;
            }
            if args.dry_run {
                match file.show(args) {
                    Ok(is_printed) => {
                        outcome.would_change += 1;
                        outcome.is_printed &= is_printed;
                    }
                    Err(reason) => outcome.record_failure(file, &reason),
                }
                continue;
            }
            match file.write(args) {
                Ok(written_file) => {
                    outcome.written += 1;
                    outcome.to_commit.extend(written_file);
                    written.fetch_add(1, Ordering::Relaxed);
                }
                Err(reason) => outcome.record_failure(file, &reason),
            }
        }
        outcome
    }

    /// Changes that were or would be made, and failures, for a program. A failure has a reference where it
    /// is one's.
    pub(super) fn document<'f>(
        &self,
        outcome: &UpdateOutcome,
        failures: impl Iterator<Item = (Option<&'f str>, &'f str)>,
    ) -> Value {
        let made = |file: &&FileChange<'_>| !outcome.failed.contains_key(&file.document.file.name);
        let changes: Vec<Value> = self.files.iter().filter(made).flat_map(FileChange::values).collect();
        let failures: Vec<Value> = failures
            .map(|(reference, message)| json!({"reference": reference, "message": message}))
            .collect();
        json!({"changes": changes, "failures": failures})
    }
}

impl FileChange<'_> {
    /// Tells of each image, for those who ask for each step.
    fn log(&self, verbosity: Verbosity) {
        let name = &self.document.file.display_name;
        for number in &self.current {
            let image = &self.document.scan.images[*number].image;
            log::print(verbosity, &format!("INFO: {image} already up-to-date in {name}"));
        }
        for (number, wanted) in &self.images {
            let image = &self.document.scan.images[*number].image;
            log::print(verbosity, &format!("INFO: updating reference {image} to {wanted} in {name}"));
        }
    }

    /// Prints a line for each change, and gives whether that went well.
    fn list(&self) -> bool {
        let lines: Vec<String> = self
            .images
            .iter()
            .map(|(number, wanted)| {
                let image = &self.document.scan.images[*number].image;
                format!("{}: {image} would become {wanted}", self.document.location(*number))
            })
            .collect();
        report::print(&lines.join("\n"), "") == ExitCode::SUCCESS
    }

    /// The file as it is, and as it is to be.
    ///
    /// # Errors
    /// A clause that says why the file is not changed, as with the others.
    fn read_and_edit(&self) -> Result<(FileSnapshot, Vec<u8>), String> {
        let current = FileSnapshot::read(&self.document.file.path, &self.document.digest)?;
        let change = |(number, wanted): &(usize, RawReference)| Change {
            range: self.document.scan.images[*number].range.clone(),
            text: wanted.to_string(),
        };
        let changes: Vec<Change> = self.images.iter().map(change).collect();
        let new = edit::apply(&current.content, &changes);
        Ok((current, new))
    }

    /// Writes the file. What it held is kept only for a commit, which may fail.
    fn write(&self, args: &UpdateArgs) -> Result<Option<WrittenFile>, String> {
        let (current, new) = self.read_and_edit()?;
        current.replace(&new)?;
        let file = &self.document.file;
        Ok(args.commit.is_some().then(|| WrittenFile {
            name: file.display_name.clone(),
            path: file.path.clone(),
            before: current.content,
            after: Digest::of(&new),
        }))
    }

    /// Prints the difference, and gives whether that went well.
    fn show(&self, args: &UpdateArgs) -> Result<bool, String> {
        let (current, new) = self.read_and_edit()?;
        if args.json {
            return Ok(true);
        }
        let patch = edit::diff(&self.document.file.name, &current.content, &new, report::patch_style());
        Ok(report::print(patch.trim_end_matches('\n'), "") == ExitCode::SUCCESS)
    }

    fn values(&self) -> impl Iterator<Item = Value> {
        self.images.iter().map(|(number, wanted)| {
            let (line, column) = self.document.position(*number);
            json!({
                "path": self.document.file.name,
                "line": line,
                "column": column,
                "from": self.document.scan.images[*number].image.to_string(),
                "to": wanted.to_string(),
            })
        })
    }
}
