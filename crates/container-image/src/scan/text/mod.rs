//! Finds references in text of any syntax.
//!
//! A reference needs evidence. The host of a registry is evidence, and so is a [key](assignment) or a
//! [command] that takes an image. A tag or a digest is required, except after a few keys. URLs, ARNs,
//! texts that an expression continues, and names of images that a command writes are skipped.
//! docs/references.md has the tables for users.

mod assignment;
mod boundary;
mod command;
mod options;
mod programs;
mod tokens;
mod word;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{Evidence, ImageMatch, RawReference, Spelling};
use word::Word;

/// Returns the references of a text, in order.
pub(super) fn find(bytes: &[u8]) -> Vec<ImageMatch> {
    find_in(bytes, 0..bytes.len())
}

/// Returns the references in a part of a file, in file order. Ranges are those of the file, and bytes outside
/// of the part are not read.
pub(super) fn find_in(bytes: &[u8], part: Range<usize>) -> Vec<ImageMatch> {
    let shifted = |range: Range<usize>| part.start + range.start..part.start + range.end;
    let found = |(word, evidence): (Word, Evidence)| ImageMatch {
        image: word.image,
        evidence,
        spelling: Spelling::Whole(shifted(word.range)),
    };
    words(&bytes[part.clone()]).into_iter().map(found).collect()
}

/// Returns the reference that is the complete value of an image field, and its range: `nginx`,
/// `docker://nginx:1` or `${IMAGE:-nginx:1}`. A value with a variable has none.
pub(super) fn value(text: &str) -> Option<(RawReference, Range<usize>)> {
    let found = word::value(text.as_bytes(), 0)?;
    let (before, after) = (&text[..found.range.start], &text[found.range.end..]);
    let is_default = before.starts_with("${") && after == "}";
    let is_complete = before.is_empty() || (before == "docker://" && found.has_scheme);
    (is_default || (is_complete && after.is_empty())).then_some((found.image, found.range))
}

/// Returns the names of the images that commands of a text write.
pub(super) fn written(bytes: &[u8]) -> HashSet<Vec<u8>> {
    Written::new(bytes, named(bytes).written).names
}

/// Returns the images of keys and commands.
fn named(bytes: &[u8]) -> Named {
    let mut named = Named::default();
    let mut read = 0;
    for trigger in TRIGGERS.find_iter(bytes) {
        if trigger.pattern().as_usize() < FIRST_PROGRAM {
            named.written.extend(assignment::destination(bytes, trigger.range()));
            named.images.extend(assignment::value_at(bytes, trigger.start()));
            named.images.extend(command::set_image(bytes, trigger.range()));
        } else if trigger.start() >= read
            && let Some(found) = command::read(bytes, trigger.range())
        {
            read = found.end;
            named.images.extend(found.read);
            named.written.extend(found.written);
        }
    }
    named
}

/// Returns the references with their evidence, in order and without overlap.
fn words(bytes: &[u8]) -> Vec<(Word, Evidence)> {
    let named = named(bytes);
    let mut all = with_hosts(bytes);
    // A key or a command is stronger evidence than a host.
    all.extend(named.images.into_iter().map(|word| (word.range.start, (word, Evidence::Field))));
    let written = Written::new(bytes, named.written);
    let is_read = |word: &Word| !written.contains(bytes, word);
    let mut end = 0;
    let mut found = Vec::new();
    for (start, (word, evidence)) in all {
        if start >= end && is_read(&word) {
            end = word.range.end;
            found.push((word, evidence));
        }
    }
    found
}

/// Number of [`TRIGGER_WORDS`] that are parts of keys, calls and instructions.
const FIRST_PROGRAM: usize = 5;

/// Parts of keys, then programs.
const TRIGGER_WORDS: [&str; 21] = [
    "image",
    "container",
    "from",
    "pull(",
    "--destination",
    "docker",
    "podman",
    "nerdctl",
    "finch",
    "buildah",
    "crane",
    "gcrane",
    "skopeo",
    "oras",
    "regctl",
    "crictl",
    "ctr",
    "trivy",
    "cosign",
    "grype",
    "syft",
];

static TRIGGERS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let mut builder = AhoCorasick::builder();
    builder.ascii_case_insensitive(true).kind(Some(aho_corasick::AhoCorasickKind::DFA));
    builder.build(TRIGGER_WORDS).expect("the words are short")
});

/// Images of keys and commands.
#[derive(Default)]
struct Named {
    images: Vec<Word>,
    /// Names of images that commands write.
    written: Vec<Range<usize>>,
}

/// Returns the references with a host or a scheme by their start. Each has a slash, and searching slashes is fast.
fn with_hosts(bytes: &[u8]) -> BTreeMap<usize, (Word, Evidence)> {
    let mut found = BTreeMap::new();
    let mut scanned = 0;
    for slash in memchr::memchr_iter(b'/', bytes) {
        if slash < scanned {
            continue;
        }
        let before = bytes[scanned..slash].iter().rposition(|byte| !word::is_word(*byte));
        let start = before.map_or(scanned, |at| scanned + at + 1);
        let end = word::run_end(bytes, slash);
        scanned = end;
        // Skips most runs early.
        if memchr::memchr2(b':', b'@', &bytes[start..end]).is_none() {
            continue;
        }
        let Some(word) = word::read(bytes, start..end).filter(Word::has_version) else { continue };
        let evidence = if word.has_scheme { Some(Evidence::Field) } else { Evidence::of_host(&word.image) };
        if let Some(evidence) = evidence {
            found.insert(word.range.start, (word, evidence));
        }
    }
    found
}

/// Names of images that commands of the text write.
struct Written {
    /// In file order.
    ranges: Vec<Range<usize>>,
    names: HashSet<Vec<u8>>,
}

impl Written {
    fn new(bytes: &[u8], mut ranges: Vec<Range<usize>>) -> Self {
        ranges.sort_by_key(|range| range.start);
        let name = |range: &Range<usize>| {
            let text = &bytes[range.clone()];
            text.strip_prefix(b"docker://").unwrap_or(text).to_vec()
        };
        let mut names: HashSet<Vec<u8>> = ranges.iter().map(name).collect();
        // IMAGE = a/b:1, and later docker build -t $(IMAGE)
        let variables: HashSet<Vec<u8>> =
            names.iter().filter_map(|name| variable(name)).map(<[u8]>::to_vec).collect();
        names.extend(variables);
        Self { ranges, names }
    }

    /// Returns true if the image is one that a command writes.
    fn contains(&self, bytes: &[u8], word: &Word) -> bool {
        if self.ranges.is_empty() {
            return false;
        }
        let before = self.ranges.partition_point(|range| range.start <= word.range.start);
        let is_inside = before > 0 && self.ranges[before - 1].end >= word.range.end;
        is_inside
            || self.names.contains(&bytes[word.range.clone()])
            || assigned_name(&bytes[..word.range.start]).is_some_and(|name| self.names.contains(name))
    }
}

/// Returns the name in `$NAME`, `${NAME}` and `$(NAME)`.
fn variable(text: &[u8]) -> Option<&[u8]> {
    let rest = text.strip_prefix(b"$")?;
    let name = match rest {
        [b'{', name @ .., b'}'] | [b'(', name @ .., b')'] => name,
        name => name,
    };
    (!name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'))
        .then_some(name)
}

/// Returns the name of the variable whose value starts after `before`: `NAME=`, `NAME ?= `.
fn assigned_name(before: &[u8]) -> Option<&[u8]> {
    let before = &before[before.len().saturating_sub(128)..];
    let before = before.strip_suffix(b"\"").or_else(|| before.strip_suffix(b"'")).unwrap_or(before);
    let before = before.trim_ascii_end().strip_suffix(b"=")?;
    let before = before.trim_ascii_end();
    let before = before.strip_suffix(b"?").or_else(|| before.strip_suffix(b":")).unwrap_or(before);
    let before = before.trim_ascii_end();
    let start = before.iter().rposition(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    Some(&before[start.map_or(0, |at| at + 1)..])
}

#[cfg(test)]
mod tests;
