//! Reads files and scans them for images.

use std::path::{Path, PathBuf};

use image_copy::oci::Digest;

use crate::args::SearchArgs;
use crate::report;
use crate::scan::files::{self, FileReader, SourceFile};
use crate::scan::{self, Diagnostic, ImageMatch, RawReference, Scan, positions};
use crate::signals::blocking;

/// A scanned file.
pub(crate) struct Document {
    pub(crate) file: SourceFile,
    pub(crate) scan: Scan,
    /// Digest of the scanned content, to detect a later change.
    pub(crate) digest: Digest,
    /// Line and column of each image, then of each note, then of each error.
    positions: Vec<(usize, usize)>,
}

impl Document {
    /// Returns the images in file order.
    pub(crate) fn images(&self) -> impl Iterator<Item = &RawReference> {
        self.scan.images.iter().map(|found| &found.image)
    }

    /// Returns line and column of an image, by its index.
    pub(crate) fn position(&self, image: usize) -> (usize, usize) {
        self.positions[image]
    }

    /// Returns file and line of an image, such as `app.yaml:12`.
    pub(crate) fn location(&self, image: usize) -> String {
        format!("{}:{}", self.file.display_name, self.position(image).0)
    }

    /// Returns a line for each image that cannot be resolved to a text.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.messages(&self.scan.notes, self.scan.images.len())
    }

    /// Returns a line for each error in the file.
    fn errors(&self) -> impl Iterator<Item = String> {
        let before = self.scan.images.len() + self.scan.notes.len();
        self.messages(&self.scan.errors, before).map(|line| line + ".")
    }

    /// Formats diagnostics with their locations. `first` is the index of the first position.
    fn messages<'a>(
        &'a self,
        diagnostics: &'a [Diagnostic],
        first: usize,
    ) -> impl Iterator<Item = String> + 'a {
        let positions = self.positions[first..].iter();
        let line = |(note, (line, _)): (&Diagnostic, &(usize, usize))| {
            format!("{}:{line}: {}", self.file.display_name, note.text)
        };
        diagnostics.iter().zip(positions).map(line)
    }
}

/// Documents, and a line for each error in or with a file.
pub(crate) struct Documents {
    pub(crate) all: Vec<Document>,
    pub(crate) errors: Vec<String>,
}

/// Reads the files of `search` below `base`. Errors are printed, and the other files are read.
///
/// # Errors
/// Error line if a path does not exist.
pub(crate) async fn read(base: &Path, search: &SearchArgs) -> Result<Documents, String> {
    let (base, paths, exclude) = (base.to_owned(), search.paths.clone(), search.exclude.clone());
    let documents = blocking(move || read_all(&base, &paths, &exclude)).await?;
    documents.errors.iter().for_each(|line| _ = report::fail(line));
    Ok(documents)
}

fn read_all(base: &Path, paths: &[PathBuf], exclude: &[String]) -> Result<Documents, String> {
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    let files = files::list(base, paths, exclude, |line| errors.push(line))?;
    let mut reader = FileReader::default();
    for file in files {
        match reader.read(&file) {
            Ok(Some(bytes)) => {
                let document = document(file, &bytes);
                errors.extend(document.iter().flat_map(Document::errors));
                all.extend(document);
            }
            Ok(None) => {}
            Err(line) => errors.push(line),
        }
    }
    Ok(Documents { all, errors })
}

fn document(file: SourceFile, bytes: &[u8]) -> Option<Document> {
    let scan = scan::scan(&file.path, bytes);
    if scan.images.is_empty() && scan.notes.is_empty() && scan.errors.is_empty() {
        return None;
    }
    let images = scan.images.iter().map(ImageMatch::start);
    let offsets = images.chain(scan.notes.iter().chain(&scan.errors).map(|note| note.at));
    let positions = positions::positions(bytes, offsets);
    Some(Document { file, digest: Digest::of(bytes), positions, scan })
}
