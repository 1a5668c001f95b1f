//! Files with what they name.

use std::path::Path;

use image_copy::oci::Digest;

use crate::args::Search;
use crate::report;
use crate::scan::files::{self, Place};
use crate::scan::{self, Note, RawReference, Scan, lines};

/// A file that names images.
pub(crate) struct Document {
    pub(crate) place: Place,
    pub(crate) scan: Scan,
    /// Digest of the content that was read, by which a later change shows.
    pub(crate) digest: Digest,
    /// Line and column of each image, then of each note, then of each fault.
    positions: Vec<(usize, usize)>,
}

impl Document {
    /// The images, in their order.
    pub(crate) fn images(&self) -> impl Iterator<Item = &RawReference> {
        self.scan.found.iter().map(|found| &found.image)
    }

    /// Line and column of an image, by its number.
    pub(crate) fn position(&self, image: usize) -> (usize, usize) {
        self.positions[image]
    }

    /// `app.yaml:12`
    pub(crate) fn line(&self, image: usize) -> String {
        format!("{}:{}", self.place.shown, self.position(image).0)
    }

    /// What could not be followed, a line each.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        self.lines(&self.scan.notes, self.scan.found.len())
    }

    /// What has to be corrected, a line each.
    fn faults(&self) -> impl Iterator<Item = String> {
        let before = self.scan.found.len() + self.scan.notes.len();
        self.lines(&self.scan.faults, before).map(|line| line + ".")
    }

    /// Clauses with their places, of which the first is `first`.
    fn lines<'a>(&'a self, clauses: &'a [Note], first: usize) -> impl Iterator<Item = String> + 'a {
        let positions = self.positions[first..].iter();
        let line = |(note, (line, _)): (&Note, &(usize, usize))| {
            format!("{}:{line}: {}", self.place.shown, note.text)
        };
        clauses.iter().zip(positions).map(line)
    }
}

/// Documents, and a line for each failure to read a file, or something in it.
pub(crate) struct Documents {
    pub(crate) all: Vec<Document>,
    pub(crate) unread: Vec<String>,
}

/// Reads what `search` names below `base`. What cannot be read is told of and left out.
///
/// # Errors
/// A line, when a path is not there.
pub(crate) async fn read(base: &Path, search: &Search) -> Result<Documents, String> {
    let mut unread = Vec::new();
    let mut trouble = |line: String| {
        report::fail(&line);
        unread.push(line);
    };
    let places = files::list(base, &search.paths, &search.exclude, &mut trouble)?;
    let mut all = Vec::new();
    for place in places {
        // So that Ctrl-C is noticed between two files.
        tokio::task::yield_now().await;
        match files::read(&place) {
            Ok(Some(bytes)) => {
                let document = document(place, &bytes);
                document.iter().flat_map(Document::faults).for_each(&mut trouble);
                all.extend(document);
            }
            Ok(None) => {}
            Err(line) => trouble(line),
        }
    }
    Ok(Documents { all, unread })
}

fn document(place: Place, bytes: &[u8]) -> Option<Document> {
    let scan = scan::scan(&place.path, bytes);
    if scan.found.is_empty() && scan.notes.is_empty() && scan.faults.is_empty() {
        return None;
    }
    let images = scan.found.iter().map(|found| found.range.start);
    let places = images.chain(scan.notes.iter().chain(&scan.faults).map(|note| note.at));
    let positions = lines::positions(bytes, places);
    Some(Document { place, digest: Digest::of(bytes), positions, scan })
}
