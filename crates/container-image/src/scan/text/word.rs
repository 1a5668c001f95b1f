//! Reads references from runs of characters.

use std::ops::Range;

use super::boundary;
use crate::scan::{Evidence, RawReference, evidence};

/// Maximum length of a run in bytes. A name has at most 255, a tag 128 and a SHA-512 digest 135. Longer runs are
/// minified code or base64.
const MAX_RUN_BYTES: usize = 1024;

/// A reference in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) image: RawReference,
    pub(super) range: Range<usize>,
    /// The reference has the scheme of an image, such as `docker://`.
    pub(super) has_scheme: bool,
}

impl Word {
    /// Returns true if the reference has a tag or a digest.
    pub(super) fn has_version(&self) -> bool {
        self.image.tag.is_some() || self.image.digest.is_some()
    }
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'@')
}

/// Returns the end of the run that starts at `start`.
pub(super) fn run_end(bytes: &[u8], start: usize) -> usize {
    bytes[start..].iter().position(|byte| !is_word(*byte)).map_or(bytes.len(), |length| start + length)
}

/// Returns the reference of a value that starts at `start`. `${NAME:-…}` has its default.
pub(super) fn value(bytes: &[u8], start: usize) -> Option<Word> {
    let start = if bytes.get(start..)?.starts_with(b"${") { start + 2 } else { start };
    read(bytes, start..run_end(bytes, start))
}

/// Returns the reference in a run. Nothing before or after the run continues it.
pub(super) fn read(bytes: &[u8], run: Range<usize>) -> Option<Word> {
    let (mut start, mut end) = (run.start, run.end);
    if end - start > MAX_RUN_BYTES || start == end {
        return None;
    }
    let text = |start: usize, end: usize| std::str::from_utf8(&bytes[start..end]).ok();
    let is_default = bytes[..start].ends_with(b"${");
    if is_default {
        start += default_at(text(start, end)?)?;
        end += usize::from(bytes.get(end) == Some(&b'}'));
        if end == run.end || !boundary::is_end(bytes, end) || !is_default_start(bytes, run.start - 2) {
            return None;
        }
        end = run.end;
    } else if start > 0 && bytes[start - 1] == b'\\' {
        // The letter belongs to an escape sequence, as in "\ngcr.io/…".
        start += usize::from(matches!(bytes[start], b'n' | b'r' | b't'));
        if start == run.start {
            return None;
        }
    } else if !boundary::is_start(bytes, start) {
        return None;
    }
    let mut has_scheme = false;
    if let Some((scheme, rest)) = text(start, end)?.split_once("://") {
        has_scheme = ["docker", "docker-image"]
            .iter()
            .any(|known| scheme.strip_suffix(known).is_some_and(|key| key.is_empty() || key.ends_with(':')));
        start = end - rest.len();
        if !has_scheme {
            return None;
        }
    }
    start += key_length(text(start, end)?)?;
    // The end of a sentence or of a clause.
    let is_trimmed = text(start, end)?.ends_with(['.', ':']);
    end -= usize::from(is_trimmed);
    let candidate = text(start, end)?;
    if candidate.ends_with(['.', ':', '-', '_', '@', '/'])
        || !is_complete(bytes, start..end, run.end, is_default)
    {
        return None;
    }
    let image: RawReference = candidate.parse().ok()?;
    (!is_other_syntax(&image)).then_some(Word { image, range: start..end, has_scheme })
}

/// Returns the offset of the default value in the text after `${`.
fn default_at(text: &str) -> Option<usize> {
    let name = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let operator =
        if text[name..].starts_with(":-") { 2 } else { usize::from(text[name..].starts_with('-')) };
    (name > 0 && operator > 0).then_some(name + operator)
}

/// Returns true if the variable at `at` is a complete value, or the default of another one.
fn is_default_start(bytes: &[u8], at: usize) -> bool {
    boundary::is_start(bytes, at) || matches!(bytes[at - 1], b'-' | b':')
}

/// Returns true if nothing after the text continues it. The run can have one more byte of punctuation.
fn is_complete(bytes: &[u8], text: Range<usize>, run_end: usize, is_default: bool) -> bool {
    if is_default {
        return text.end == run_end;
    }
    if text.end == run_end {
        return boundary::is_end(bytes, run_end);
    }
    // A quoted text with a dot or a colon at its end is the first part of a longer one.
    let is_quoted = text.start > 0
        && bytes.get(run_end) == Some(&bytes[text.start - 1])
        && matches!(bytes[text.start - 1], b'"' | b'\'' | b'`');
    !is_quoted && boundary::is_end(bytes, run_end) && !boundary::is_plain_key(bytes, text.start, text.end)
}

/// Places of images that are not registries
/// (<https://github.com/containers/image/blob/main/docs/containers-transports.5.md>).
const LOCAL_TRANSPORTS: [&str; 8] =
    ["containers-storage", "dir", "docker-archive", "docker-daemon", "oci", "oci-archive", "ostree", "sif"];

/// Returns the length of a key before the host, as in `image:gcr.io/a/b:1`.
fn key_length(word: &str) -> Option<usize> {
    let Some((host, _)) = word.split_once('/') else { return Some(0) };
    match host.split_once(':') {
        // A user or a password.
        _ if host.contains('@') => None,
        None => Some(0),
        Some((_, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => Some(0),
        // An ARN, or a part of one.
        Some((_, rest)) if rest.contains(':') && !is_host_with_port(rest) => None,
        Some((key, _)) if LOCAL_TRANSPORTS.contains(&key) => None,
        Some((key, _)) => Some(key.len() + 1),
    }
}

fn is_host_with_port(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Extensions of source files, which messages name with a line number.
const SOURCE_EXTENSIONS: [&str; 22] = [
    "c", "cc", "cpp", "cs", "css", "go", "h", "html", "java", "js", "json", "md", "php", "py", "rb", "rs",
    "sh", "tf", "ts", "tsx", "yaml", "yml",
];

/// Extensions of pictures. A scale such as `2x` can follow their names.
const PICTURE_EXTENSIONS: [&str; 8] = ["avif", "gif", "ico", "jpeg", "jpg", "png", "svg", "webp"];

/// Parts of selectors in CSS
/// (<https://developer.mozilla.org/en-US/docs/Web/CSS/Pseudo-classes>), except words that can be tags.
const PSEUDO_CLASSES: [&str; 14] = [
    "active",
    "checked",
    "disabled",
    "empty",
    "first-child",
    "first-of-type",
    "focus",
    "focus-visible",
    "focus-within",
    "hover",
    "last-child",
    "last-of-type",
    "only-child",
    "visited",
];

/// Tags in documentation, and the start of a tag in an expression.
const PLACEHOLDERS: [&str; 5] = ["tag", "v", "version", "x.y", "x.y.z"];

/// Algorithms of digests, as in `sha256:…`.
const DIGEST_ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

/// Effects of taints (<https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/>).
const TAINT_EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "PreferNoSchedule"];

fn is_other_syntax(image: &RawReference) -> bool {
    let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || b"/.:".contains(&byte));
    // A number, a ratio, a range of addresses, or the digest of an image's configuration.
    if image.is_codebuild_image()
        || only_digits(&image.name)
        || DIGEST_ALGORITHMS.contains(&image.name.as_str())
    {
        return true;
    }
    if image
        .name
        .split_once('/')
        .is_some_and(|(host, _)| host.contains('.') && evidence::is_placeholder(host))
    {
        return true;
    }
    let Some(tag) = image.tag.as_deref() else { return false };
    let last = image.name.rsplit('/').next().unwrap_or_default();
    let is_source = image.digest.is_none()
        && only_digits(tag)
        && Evidence::of_host(image) != Some(Evidence::Registry)
        && last.rsplit_once('.').is_some_and(|(_, extension)| SOURCE_EXTENSIONS.contains(&extension));
    let is_file = image.digest.is_none()
        && Evidence::of_host(image) != Some(Evidence::Registry)
        && last.rsplit_once('.').is_some_and(|(_, extension)| PICTURE_EXTENSIONS.contains(&extension));
    // A selector of CSS, such as div:hover.
    let is_selector = image.digest.is_none() && last == image.name && PSEUDO_CLASSES.contains(&tag);
    is_source
        || is_file
        || is_selector
        || TAINT_EFFECTS.contains(&tag)
        || PLACEHOLDERS.iter().any(|placeholder| tag.eq_ignore_ascii_case(placeholder))
}
