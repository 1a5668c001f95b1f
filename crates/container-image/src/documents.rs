//! Files with what they name.

use std::path::Path;

use image_copy::oci::Digest;

use crate::args::Search;
use crate::report;
use crate::scan::files::{self, Place};
use crate::scan::{self, Scan, lines};

/// A file that names images.
pub(crate) struct Document {
    pub(crate) place: Place,
    pub(crate) scan: Scan,
    /// Digest of the content that was read, by which a later change shows.
    pub(crate) digest: Digest,
    /// Line and column of each image, then of each note.
    positions: Vec<(usize, usize)>,
}

impl Document {
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
        let positions = self.positions[self.scan.found.len()..].iter();
        let notes = self.scan.notes.iter().zip(positions);
        notes.map(|(note, (line, _))| format!("{}:{line}: {}", self.place.shown, note.text))
    }
}

/// Documents, and a line for each file that could not be read.
pub(crate) struct Documents {
    pub(crate) all: Vec<Document>,
    pub(crate) unread: Vec<String>,
}

/// Reads what `search` names below `base`. Files that cannot be read are told of and left out.
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
            Ok(Some(bytes)) => all.extend(document(place, &bytes)),
            Ok(None) => {}
            Err(line) => trouble(line),
        }
    }
    Ok(Documents { all, unread })
}

fn document(place: Place, bytes: &[u8]) -> Option<Document> {
    let scan = scan::scan(&place.path, bytes);
    if scan.found.is_empty() && scan.notes.is_empty() {
        return None;
    }
    let images = scan.found.iter().map(|found| found.range.start);
    let places = images.chain(scan.notes.iter().map(|note| note.at));
    let positions = lines::positions(bytes, places);
    Some(Document { place, digest: Digest::of(bytes), positions, scan })
}
