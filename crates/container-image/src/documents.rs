//! Files with what they name.

use std::path::Path;

use image_copy::oci::Digest;

use crate::args::SearchArgs;
use crate::report;
use crate::scan::files::{self, SourceFile};
use crate::scan::{self, Diagnostic, RawReference, Scan, positions};

/// A file that names images.
pub(crate) struct Document {
    pub(crate) file: SourceFile,
    pub(crate) scan: Scan,
    /// Digest of the content that was read, by which a later change shows.
    pub(crate) digest: Digest,
    /// Line and column of each image, then of each note, then of each fault.
    positions: Vec<(usize, usize)>,
}

impl Document {
    /// The images, in their order.
    pub(crate) fn images(&self) -> impl Iterator<Item = &RawReference> {
        self.scan.images.iter().map(|found| &found.image)
    }

    /// Line and column of an image, by its number.
    pub(crate) fn position(&self, image: usize) -> (usize, usize) {
        self.positions[image]
    }

    /// `app.yaml:12`
    pub(crate) fn location(&self, image: usize) -> String {
        format!("{}:{}", self.file.display_name, self.position(image).0)
    }

    /// What could not be followed, a line each.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.messages(&self.scan.notes, self.scan.images.len())
    }

    /// What has to be corrected, a line each.
    fn errors(&self) -> impl Iterator<Item = String> {
        let before = self.scan.images.len() + self.scan.notes.len();
        self.messages(&self.scan.errors, before).map(|line| line + ".")
    }

    /// Clauses with their places, of which the first is `first`.
    fn messages<'a>(&'a self, clauses: &'a [Diagnostic], first: usize) -> impl Iterator<Item = String> + 'a {
        let positions = self.positions[first..].iter();
        let line = |(note, (line, _)): (&Diagnostic, &(usize, usize))| {
            format!("{}:{line}: {}", self.file.display_name, note.text)
        };
        clauses.iter().zip(positions).map(line)
    }
}

/// Documents, and a line for each failure to read a file, or something in it.
pub(crate) struct Documents {
    pub(crate) all: Vec<Document>,
    pub(crate) errors: Vec<String>,
}

/// Reads what `search` names below `base`. What cannot be read is told of and left out.
///
/// # Errors
/// A line, when a path is not there.
pub(crate) async fn read(base: &Path, search: &SearchArgs) -> Result<Documents, String> {
    let mut errors = Vec::new();
    let mut report_error = |line: String| {
        report::fail(&line);
        errors.push(line);
    };
    let files = files::list(base, &search.paths, &search.exclude, &mut report_error)?;
    let mut all = Vec::new();
    for file in files {
        // So that Ctrl-C is noticed between two files.
        tokio::task::yield_now().await;
        match files::read(&file) {
            Ok(Some(bytes)) => {
                let document = document(file, &bytes);
                document.iter().flat_map(Document::errors).for_each(&mut report_error);
                all.extend(document);
            }
            Ok(None) => {}
            Err(line) => report_error(line),
        }
    }
    Ok(Documents { all, errors })
}

fn document(file: SourceFile, bytes: &[u8]) -> Option<Document> {
    let scan = scan::scan(&file.path, bytes);
    if scan.images.is_empty() && scan.notes.is_empty() && scan.errors.is_empty() {
        return None;
    }
    let images = scan.images.iter().map(|found| found.range.start);
    let files = images.chain(scan.notes.iter().chain(&scan.errors).map(|note| note.at));
    let positions = positions::positions(bytes, files);
    Some(Document { file, digest: Digest::of(bytes), positions, scan })
}
