//! Computes and writes the changes of each file.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use image_copy::oci::Digest;
use serde_json::{Value, json};

use super::commit::WrittenFile;
use super::messages;
use super::selection::{self, Selection};
use super::version_notes;
use crate::args::{UpdateArgs, Verbosity};
use crate::documents::Document;
use crate::edit::{self, Change, FileSnapshot, PatchStyle};
use crate::log;
use crate::report;
use crate::scan::files::SourceFile;
use crate::scan::{Evidence, RawReference};
use crate::signals::blocking;

/// Changes of all files.
pub(super) struct Changes<'a> {
    files: Vec<FileChange<'a>>,
}

struct FileChange<'a> {
    document: &'a Document,
    /// Index of the image in the document, and its new reference.
    images: Vec<(usize, RawReference)>,
    /// Indexes of the images that are up to date.
    current: Vec<usize>,
}

/// Result of an update.
#[derive(Debug, Default)]
pub(super) struct UpdateOutcome {
    /// Number of written files.
    pub(super) written: usize,
    /// Written files, if git must commit them.
    pub(super) to_commit: Vec<WrittenFile>,
    /// Files that were not written: name and error line.
    pub(super) failed: BTreeMap<String, String>,
    /// Number of files that a dry run or a check would change.
    pub(super) would_change: usize,
    /// False if printing failed.
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
        let change_of_file = |document: &'a Document| {
            let mut file = FileChange { document, images: Vec::new(), current: Vec::new() };
            for (index, found) in document.scan.images.iter().enumerate() {
                let target = selection.target(&found.image);
                let Some(wanted) = target.and_then(|target| wanted.get(&target)) else { continue };
                if selection::is_change(&found.image, wanted) {
                    file.images.push((index, wanted.clone()));
                } else {
                    file.current.push(index);
                }
            }
            file
        };
        Self { files: documents.iter().map(change_of_file).collect() }
    }

    /// Returns the files that change.
    pub(super) fn paths(&self) -> Vec<&Path> {
        let changing = self.files.iter().filter(|file| !file.images.is_empty());
        changing.map(|file| file.document.file.path.as_path()).collect()
    }

    /// Writes the files, or prints the changes. If a file cannot be written, the others still are.
    pub(super) async fn apply(
        &self,
        args: &UpdateArgs,
        verbosity: Verbosity,
        written: &AtomicUsize,
    ) -> UpdateOutcome {
        let mut outcome = UpdateOutcome { is_printed: true, ..UpdateOutcome::default() };
        for file in &self.files {
            if verbosity == Verbosity::Verbose {
                file.log(verbosity);
            }
            if file.images.is_empty() {
                continue;
            }
            if args.output.check {
                outcome.would_change += 1;
                outcome.is_printed &= args.output.json || file.list();
                continue;
            }
            if args.output.dry_run {
                match file.show(args).await {
                    Ok(is_printed) => {
                        outcome.would_change += 1;
                        outcome.is_printed &= is_printed;
                    }
                    Err(reason) => outcome.record_failure(file, &reason),
                }
                continue;
            }
            match file.write(args).await {
                Ok(written_file) => {
                    outcome.written += 1;
                    outcome.to_commit.extend(written_file);
                    written.fetch_add(1, Ordering::Relaxed);
                }
                Err(reason) => outcome.record_failure(file, &reason),
            }
        }
        if args.output.dry_run && !args.output.json && verbosity != Verbosity::Quiet {
            self.print_patch_note();
        }
        outcome
    }

    /// Prints a note if the printed patch can only be applied in another folder.
    fn print_patch_note(&self) {
        let changing = self.files.iter().filter(|file| !file.images.is_empty());
        let files: Vec<&SourceFile> = changing.map(|file| &file.document.file).collect();
        if report::patch_style() == PatchStyle::Plain
            && let Some(note) = messages::outside_patch(&files)
        {
            report::note(&note);
        }
    }

    /// Returns changes, failures and notes as JSON.
    pub(super) fn document(&self, outcome: &UpdateOutcome, failures: &[Entry], notes: &[Entry]) -> Value {
        let is_written = |file: &&FileChange<'_>| !outcome.failed.contains_key(&file.document.file.name);
        let changes: Vec<Value> = self.files.iter().filter(is_written).flat_map(FileChange::values).collect();
        let values = |entries: &[Entry]| entries.iter().map(Entry::value).collect::<Vec<_>>();
        json!({"changes": changes, "failures": values(failures), "notes": values(notes)})
    }
}

/// A failure or a note in the JSON document.
pub(super) struct Entry {
    /// `None` for a file.
    pub(super) reference: Option<String>,
    pub(super) evidence: Option<Evidence>,
    /// One line.
    pub(super) message: String,
}

impl Entry {
    pub(super) fn of_file(message: &str) -> Self {
        Self { reference: None, evidence: None, message: message.into() }
    }

    fn value(&self) -> Value {
        json!({
            "reference": self.reference,
            "evidence": self.evidence.map(Evidence::name),
            "message": self.message,
        })
    }
}

impl FileChange<'_> {
    /// Logs each image, for `--verbose`.
    fn log(&self, verbosity: Verbosity) {
        let name = &self.document.file.display_name;
        for index in &self.current {
            let image = &self.document.scan.images[*index].image;
            log::print(verbosity, &format!("INFO: {image} already up-to-date in {name}"));
        }
        for (index, wanted) in &self.images {
            let image = &self.document.scan.images[*index].image;
            log::print(verbosity, &format!("INFO: updating reference {image} to {wanted} in {name}"));
        }
    }

    /// Prints a line for each change. Returns true on success.
    fn list(&self) -> bool {
        let lines: Vec<String> = self
            .images
            .iter()
            .map(|(index, wanted)| {
                let image = &self.document.scan.images[*index].image;
                format!("{}: {}", self.document.location(*index), messages::change(image, wanted))
            })
            .collect();
        report::print(&lines.join("\n"), "") == ExitCode::SUCCESS
    }

    /// Reads the file again, and returns the result of `edit`.
    ///
    /// # Errors
    /// Reason as a clause.
    async fn edit<T: Send + 'static>(
        &self,
        edit: impl FnOnce(FileSnapshot, Vec<Change>) -> T + Send + 'static,
    ) -> Result<T, String> {
        let changes =
            |(index, wanted): &(usize, RawReference)| self.document.scan.images[*index].changes(wanted);
        let changes = edit::in_order(self.images.iter().flat_map(changes).collect())?;
        let (path, digest) = (self.document.file.real_path.clone(), self.document.digest.clone());
        blocking(move || Ok(edit(FileSnapshot::read(&path, &digest)?, changes))).await
    }

    /// Writes the file. The old content is kept only for a commit, which can fail.
    async fn write(&self, args: &UpdateArgs) -> Result<Option<WrittenFile>, String> {
        let new_content = |current: FileSnapshot, changes: Vec<Change>| {
            let new = edit::apply(&current.content, &changes);
            (Digest::of(&new), new, current)
        };
        let (after, new, current) = self.edit(new_content).await?;
        current.replace(new).await?;
        let file = &self.document.file;
        Ok(args.commit.message.is_some().then(|| WrittenFile {
            name: file.display_name.clone(),
            path: file.path.clone(),
            real_path: file.real_path.clone(),
            before: current.content,
            after,
        }))
    }

    /// Prints the patch. Returns true on success.
    async fn show(&self, args: &UpdateArgs) -> Result<bool, String> {
        let name = self.document.file.relative_path.clone();
        let patch = move |current: FileSnapshot, changes: Vec<Change>| {
            let name = name.as_os_str().as_encoded_bytes();
            edit::diff_of_changes(name, &current.content, &changes, report::patch_style())
        };
        let patch = self.edit(patch).await?;
        Ok(args.output.json || report::print_bytes(&patch) == ExitCode::SUCCESS)
    }

    fn values(&self) -> impl Iterator<Item = Value> {
        self.images.iter().map(|(index, wanted)| {
            let (line, column) = self.document.position(*index);
            let image = &self.document.scan.images[*index].image;
            json!({
                "path": self.document.file.name,
                "line": line,
                "column": column,
                "from": image.to_string(),
                "to": wanted.to_string(),
                "evidence": self.document.scan.images[*index].evidence.name(),
                "new_major": version_notes::is_new_major(image, wanted),
            })
        })
    }
}
