//! Finds images in files, with byte ranges.
//!
//! In a CloudFormation [`template`], in other YAML and JSON files and in a [`dockerfile`], the [`structure`]
//! determines the images. In any other [`text`], a reference needs [`evidence`]. [`files`] selects the files.

mod dockerfile;
mod evidence;
pub(crate) mod files;
mod keys;
mod outputs;
pub(crate) mod positions;
mod raw_reference;
mod scalar;
mod spelling;
mod structure;
mod template;
mod terraform;
mod text;

use std::path::Path;

use crate::edit::Change;

pub(crate) use evidence::Evidence;
pub(crate) use raw_reference::{DEFAULT_TAG, RawReference};
pub(crate) use spelling::Spelling;
use structure::Source;

/// An image in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageMatch {
    pub(crate) image: RawReference,
    pub(crate) evidence: Evidence,
    pub(crate) spelling: Spelling,
}

impl ImageMatch {
    /// Returns the offset of the first byte.
    pub(crate) fn start(&self) -> usize {
        self.spelling.start()
    }

    /// Returns the changes that turn the image into `target`, in file order. The names are equal.
    pub(crate) fn changes(&self, target: &RawReference) -> Vec<Change> {
        self.spelling.changes(&self.image, target)
    }

    /// Returns the range of a complete reference.
    fn whole(&self) -> Option<std::ops::Range<usize>> {
        match &self.spelling {
            Spelling::Whole(range) => Some(range.clone()),
            Spelling::Parts(_) => None,
        }
    }
}

/// A note or an error about a part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// Offset in bytes.
    pub(crate) at: usize,
    /// Description as a clause.
    pub(crate) text: String,
}

/// Result of a scan.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// In file order, without overlap.
    pub(crate) images: Vec<ImageMatch>,
    pub(crate) notes: Vec<Diagnostic>,
    /// Errors to correct before all images of the file can be found.
    pub(crate) errors: Vec<Diagnostic>,
}

/// Maximum size of a file in YAML or JSON in bytes. CloudFormation's limit for templates is 1 MB
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>).
const MAX_STRUCTURE_BYTES: usize = 4 << 20;

/// Finds the images of a file. Only files with the extension of a template, YAML or JSON are parsed.
pub(crate) fn scan(path: &Path, bytes: &[u8]) -> Scan {
    if files::is_utf16(bytes) {
        return scan_utf16(path, bytes);
    }
    let as_text = || {
        let mut images = text::find(bytes);
        terraform::add(path, bytes, &mut images);
        outputs::remove(path, bytes, &mut images);
        Scan { images, ..Scan::default() }
    };
    if dockerfile::is_dockerfile(path) {
        return Scan { images: dockerfile::find(bytes), ..Scan::default() };
    }
    match scan_structure(path, bytes) {
        Ok(Some(scan)) => scan,
        Ok(None) => as_text(),
        Err(Diagnostic { at, text }) if template::is_intended_template(&String::from_utf8_lossy(bytes)) => {
            let text = format!("{text}, which can miss images. Correct it, or exclude it with --exclude");
            Scan { errors: vec![Diagnostic { at, text }], ..as_text() }
        }
        Err(note) => Scan { notes: vec![note], ..as_text() },
    }
}

/// Reports a template in UTF-16 as an error, because its images would be missed.
fn scan_utf16(path: &Path, bytes: &[u8]) -> Scan {
    if !template::has_template_extension(path) || bytes.len() > MAX_STRUCTURE_BYTES {
        return Scan::default();
    }
    let read = if bytes.starts_with(b"\xff") { u16::from_le_bytes } else { u16::from_be_bytes };
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
    if !template::is_intended_template(&String::from_utf16_lossy(&units)) {
        return Scan::default();
    }
    let text = "the template is in UTF-16 and was skipped. Save it as UTF-8, or exclude it with --exclude";
    Scan { errors: vec![Diagnostic { at: 0, text: text.into() }], ..Scan::default() }
}

/// Scans a file in YAML or JSON. Returns `None` for other files, or if it cannot be parsed. A file that
/// looks like a template and cannot be parsed is an error.
fn scan_structure(path: &Path, bytes: &[u8]) -> Result<Option<Scan>, Diagnostic> {
    let has_extension = template::has_template_extension(path);
    let is_structure = structure::has_extension(path);
    if bytes.len() > MAX_STRUCTURE_BYTES || !(has_extension || is_structure) {
        return Ok(None);
    }
    let may_be_template = |text: &str| has_extension && template::may_be_template(text);
    let scanned_as_text =
        |at, reason: &str| Diagnostic { at, text: format!("{reason} and was scanned as plain text") };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if may_be_template(&String::from_utf8_lossy(bytes)) => {
            return Err(scanned_as_text(error.valid_up_to(), "the template is not UTF-8"));
        }
        Err(_) => return Ok(None),
    };
    let may_be_template = may_be_template(text);
    if !may_be_template && !is_structure {
        return Ok(None);
    }
    if !may_be_template && !structure::can_contain_images(path, text) {
        return Ok(Some(Scan::default()));
    }
    match Source::parse(path, text) {
        Ok(source) => {
            let template = if may_be_template { template::scan(text, &source.tree) } else { None };
            let other = || Scan { images: structure::find(path, &source), ..Scan::default() };
            let mut scan = template.unwrap_or_else(other);
            // A command in one string can write the image that another string reads.
            let written = text::written(bytes);
            scan.images.retain(|one| !written.contains(one.image.to_string().as_bytes()));
            Ok(Some(scan))
        }
        Err(error) if may_be_template => {
            Err(scanned_as_text(error.at, &format!("the template is invalid ({})", error.reason)))
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
impl ImageMatch {
    /// Returns the range of a complete reference.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.whole().expect("a complete reference")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_a_file_builds_are_not_listed() {
        let images = |name: &str, text: &str| -> Vec<String> {
            scan(Path::new(name), text.as_bytes()).images.iter().map(|one| one.image.to_string()).collect()
        };
        let steps = "on: push\njobs:\n  a:\n    steps:\n    - run: docker build -t app:1 .\n    - run: docker run app:1\n    \
            - run: docker run alpine:3\n";
        let template = "Resources:\n  A:\n    Type: AWS::CodeBuild::Project\n    Properties:\n      Image: app:1\n      \
            Before: docker build -t app:1 .\n      After: docker run app:1\n      Other: docker run alpine:3\n";
        let json = r#"{"Resources": {"A": {"Type": "Custom::A", "Properties": {
            "A": "docker build -t app:1 .\ndocker push ghcr.io/a/b:1\n", "B": "docker run app:1",
            "C": "ghcr.io/a/b:1", "D": "docker run alpine:3"}}}}"#;
        for (name, text) in [("a.yml", steps), ("a.yaml", template), ("a.json", json)] {
            assert_eq!(images(name, text), ["alpine:3"], "{text}");
        }
    }

    #[test]
    fn scans_invalid_templates_as_text() {
        let images = |name: &str, bytes: &[u8]| {
            let scan = scan(Path::new(name), bytes);
            let found: Vec<String> = scan.images.iter().map(|found| found.image.to_string()).collect();
            (found, (scan.errors.len(), scan.notes.len()))
        };
        let broken = b"Resources:\n  A: {Type: Custom::ContainerImage\n  # docker.io/library/a:1\n";
        assert_eq!(images("a.yaml", broken), (vec!["docker.io/library/a:1".into()], (1, 0)));
        assert_eq!(images("a.md", broken).1, (0, 0), "text about templates");
        let latin = b"Resources: # \xe9\n  A: {Type: Custom::ContainerImage} # quay.io/a/b:1";
        assert_eq!(images("a.yml", latin), (vec!["quay.io/a/b:1".into()], (1, 0)));
        assert_eq!(images("a.sh", b"docker run quay.io/a/b:1 \xe9").1, (0, 0));
        let utf16 =
            |text: &str| [b"\xff\xfe".to_vec(), text.encode_utf16().flat_map(u16::to_le_bytes).collect()];
        let template = utf16("Resources:\n  A: {Type: Custom::ContainerImage").concat();
        assert_eq!(images("a.yml", &template), (vec![], (1, 0)));
        assert_eq!(images("a.txt", &template), (vec![], (0, 0)));
        assert_eq!(images("a.yml", &utf16("a: b").concat()), (vec![], (0, 0)));
        let chart = b"Resources:\n  A: {Type: Custom::ContainerImage\n{{ if .Values.b }}";
        assert_eq!(images("a.yaml", chart).1, (0, 1), "source of a template engine");
    }
}
