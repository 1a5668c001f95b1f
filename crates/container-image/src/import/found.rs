//! The images, omissions and notes of one file.

use std::collections::HashMap;

use image_copy::list::Entry;
use image_copy::oci::Reference;

use super::customization::UnsupportedLines;
use super::text::{self, Text};

/// An image of a file.
#[derive(Debug, Clone)]
pub(super) struct Image {
    /// Source, destination and platforms.
    pub(super) entry: Entry,
    /// Name of the file.
    pub(super) file: String,
    /// Lines that the entry does not have.
    pub(super) unsupported: Option<UnsupportedLines>,
}

/// An image or a rule that a list cannot express.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Omission {
    /// Name of the image as far as it is known. The list is sorted by it.
    pub(super) subject: String,
    /// Place, key and problem, without a period at the end.
    pub(super) text: String,
}

/// Collects the images, omissions and notes of one file.
pub(super) struct Found {
    file: String,
    pub(super) images: Vec<Image>,
    pub(super) omissions: Vec<Omission>,
    notes: Vec<Note>,
    /// Positions of notes that can be repeated, by the name and the problem of the key.
    positions: HashMap<(String, String), usize>,
}

struct Note {
    text: String,
    /// Number of similar notes.
    more: usize,
}

impl Found {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.into(),
            images: Vec::new(),
            omissions: Vec::new(),
            notes: Vec::new(),
            positions: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.images.is_empty() && self.omissions.is_empty()
    }

    /// Adds an image.
    pub(super) fn image(&mut self, entry: Entry) {
        self.image_with_comment(entry, None);
    }

    /// Adds an image that the other tool changes by unsupported lines.
    pub(super) fn image_with_comment(&mut self, mut entry: Entry, unsupported: Option<UnsupportedLines>) {
        if entry.credentials.take().is_some() {
            self.note(
                entry.line,
                "credentials",
                "are only for the provider's function. Log in to the registry",
            );
        }
        if entry.rules.as_ref().is_some_and(|rules| rules.has_expressions()) {
            let problem = "has regular expressions. Write patterns with *";
            return self.omit(entry.line, "the image", &entry.source.to_string(), problem);
        }
        if let Some(id) = text::image_id(&entry.source) {
            return self.omit(entry.line, "the image", &id, text::IS_IMAGE_ID);
        }
        if entry.tag != entry.source.tag {
            // With a digest, the tag of a source only names the copy.
            if entry.source.digest.is_none() {
                let tag = entry.tag.as_ref().map(ToString::to_string).unwrap_or_default();
                let problem =
                    format!("is copied to tag {tag}, which only plain lines with --alias can express");
                return self.omit(entry.line, "the image", &entry.source.to_string(), &problem);
            }
            entry.source.tag = entry.tag.clone();
        }
        self.images.push(Image { entry, file: self.file.clone(), unsupported });
    }

    /// Parses the reference of an image. If it is invalid or has a variable without a default, the image is
    /// omitted. `key` is the path of its key.
    pub(super) fn reference(&mut self, line: usize, key: &str, written: &str) -> Option<Reference> {
        match text::parse(written) {
            Ok(Text { value, variables }) => {
                if !variables.is_empty() {
                    let problem =
                        format!("has variables. Their defaults are used: {}", super::quoted(&value));
                    self.note(line, key, &problem);
                }
                match text::reference(&value) {
                    Ok(reference) => return Some(reference),
                    Err(problem) => self.omit(line, key, written, &problem),
                }
            }
            Err(problem) => self.omit(line, key, written, &problem),
        }
        None
    }

    /// Adds a note. `problem` continues the sentence after the path of the key, without a period at the end.
    /// Similar notes about other entries of the file are only counted.
    pub(super) fn note(&mut self, line: usize, key: &str, problem: &str) {
        let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
        let next = self.notes.len();
        let position = *self.positions.entry((name.into(), problem.into())).or_insert(next);
        match self.notes.get_mut(position) {
            Some(note) => note.more += 1,
            None => self.notes.push(Note { text: format!("{}:{line}: {key} {problem}", self.file), more: 0 }),
        }
    }

    /// Adds a note about the whole file.
    pub(super) fn note_file(&mut self, problem: &str) {
        self.notes.push(Note { text: format!("{} {problem}", self.file), more: 0 });
    }

    /// Leaves an image or a rule out. The note is also a comment in the list.
    pub(super) fn omit(&mut self, line: usize, key: &str, subject: &str, problem: &str) {
        let text = format!("{}:{line}: {key} was omitted: {} {problem}", self.file, super::quoted(subject));
        self.notes.push(Note { text: text.clone(), more: 0 });
        let subject = text::sort_key(subject);
        self.omissions.push(Omission { subject, text });
    }

    /// Returns all notes.
    pub(super) fn into_notes(self) -> Vec<String> {
        let counted = |note: Note| match note.more {
            0 => note.text,
            1 => format!("{} (also in 1 other place)", note.text),
            more => format!("{} (also in {more} other places)", note.text),
        };
        self.notes.into_iter().map(counted).collect()
    }
}
