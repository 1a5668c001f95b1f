//! Splits a Dockerfile into instructions.
//!
//! The crate `parse-dockerfile` is not used, because it rejects files with an error in one line.

use std::ops::Range;

/// An instruction with its continued lines and here-documents, or a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// First word. It is empty for a comment.
    pub(super) name: Range<usize>,
    /// The other words, without those of here-documents.
    pub(super) words: Vec<Range<usize>>,
    /// Text after the name.
    pub(super) all: Range<usize>,
}

/// Instructions and comments in file order.
pub(super) struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Character at the end of a continued line.
    escape: u8,
    syntax: Option<Range<usize>>,
    /// False after a here-document without an end, so that the time stays linear.
    has_documents: bool,
}

impl<'a> Lines<'a> {
    /// Reads the directives at the start of the file: `# syntax=docker/dockerfile:1`.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let mut lines = Self { bytes, at: 0, escape: b'\\', syntax: None, has_documents: true };
        let mut at = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        lines.at = at;
        while at < bytes.len() {
            let line = lines.physical(at);
            let Some((name, value)) = directive(bytes, line.clone()) else { break };
            match bytes[name].to_ascii_lowercase().as_slice() {
                b"syntax" => lines.syntax = Some(value),
                b"escape" if bytes[value.clone()] == *b"`" => lines.escape = b'`',
                _ => {}
            }
            at = lines.next_line(line.end);
        }
        lines
    }

    /// Returns the value of the syntax directive.
    pub(super) fn syntax(&self) -> Option<Range<usize>> {
        self.syntax.clone()
    }

    /// Returns the line at `at`, without its end.
    fn physical(&self, at: usize) -> Range<usize> {
        let end = memchr::memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |length| at + length);
        at..end
    }

    /// Returns the start of the line after the end of another one.
    fn next_line(&self, end: usize) -> usize {
        (end + 1).min(self.bytes.len())
    }

    fn words(&self, line: Range<usize>, words: &mut Vec<Range<usize>>) {
        let mut at = line.start;
        while at < line.end {
            let blank = self.bytes[at..line.end].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let start = at + blank;
            let end = word_end(self.bytes, start, line.end);
            if end > start {
                words.push(start..end);
            }
            at = end.max(start + 1);
        }
    }

    /// Returns the end of the here-document with this terminator.
    fn document_end(&self, terminator: &[u8]) -> Option<usize> {
        let mut at = self.at;
        while at < self.bytes.len() {
            let line = self.physical(at);
            let text = self.bytes[line.clone()].trim_ascii_end();
            if text.trim_ascii_start() == terminator {
                return Some(line.end);
            }
            at = self.next_line(line.end);
        }
        None
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let bytes = self.bytes;
        loop {
            if self.at >= bytes.len() {
                return None;
            }
            let line = self.physical(self.at);
            let text = bytes[line.clone()].trim_ascii();
            if text.is_empty() {
                self.at = self.next_line(line.end);
            } else if text.starts_with(b"#") {
                self.at = self.next_line(line.end);
                return Some(Line { name: line.start..line.start, words: Vec::new(), all: line });
            } else {
                break;
            }
        }
        let mut words = Vec::new();
        let start = self.at;
        let mut end = start;
        while self.at < bytes.len() {
            let line = self.physical(self.at);
            self.at = self.next_line(line.end);
            let text = bytes[line.clone()].trim_ascii();
            // A comment inside of an instruction does not end it.
            let is_skipped = line.start > start && (text.is_empty() || text.starts_with(b"#"));
            end = line.end;
            if is_skipped {
                continue;
            }
            let continued = text.last() == Some(&self.escape);
            let blank = bytes[line.clone()].len() - bytes[line.clone()].trim_ascii_end().len();
            let text_end = line.end - blank - usize::from(continued);
            self.words(line.start..text_end, &mut words);
            if !continued {
                break;
            }
        }
        for terminator in here_documents(bytes, &words) {
            let document = self.has_documents.then(|| self.document_end(&terminator)).flatten();
            self.has_documents = document.is_some();
            let Some(document) = document else { break };
            end = document;
            self.at = self.next_line(document);
        }
        let name = if words.is_empty() { start..start } else { words.remove(0) };
        let all = name.end..end.max(name.end);
        Some(Line { name, words, all })
    }
}

/// Returns the end of the word at `start`. Quotes and groups such as `${A:-b c}` can contain blanks.
fn word_end(bytes: &[u8], start: usize, end: usize) -> usize {
    let mut quote = None;
    for (at, &byte) in bytes[start..end].iter().enumerate() {
        match quote {
            None if byte.is_ascii_whitespace() => return start + at,
            None if byte == b'"' || byte == b'\'' => quote = Some(byte),
            Some(open) if byte == open => quote = None,
            _ => {}
        }
    }
    // A quote without an end is a part of the text, as in `RUN echo it's`.
    match quote {
        None => end,
        Some(_) => {
            bytes[start..end].iter().position(u8::is_ascii_whitespace).map_or(end, |length| start + length)
        }
    }
}

/// Returns the terminators of the here-documents of `RUN` and `COPY`, in order: `<<EOF`, `<<-"EOF"`.
fn here_documents(bytes: &[u8], words: &[Range<usize>]) -> Vec<Vec<u8>> {
    let name = words.iter().take(2).map(|word| bytes[word.clone()].to_ascii_uppercase());
    if !name.into_iter().any(|name| matches!(name.as_slice(), b"RUN" | b"COPY" | b"ADD")) {
        return Vec::new();
    }
    let terminator = |word: &Range<usize>| {
        let text = &bytes[word.clone()];
        let at = memchr::memmem::find(text, b"<<")?;
        let name = text[at + 2..].strip_prefix(b"-").unwrap_or(&text[at + 2..]);
        let name: Vec<u8> = name.iter().copied().filter(|byte| !matches!(byte, b'"' | b'\'')).collect();
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        (name.first().is_some_and(|byte| !byte.is_ascii_digit()) && name.iter().all(is_name)).then_some(name)
    };
    words.iter().filter_map(terminator).collect()
}

/// Returns name and value of a directive.
fn directive(bytes: &[u8], line: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let trimmed = |range: Range<usize>| {
        let text = &bytes[range.clone()];
        let start = range.start + text.len() - text.trim_ascii_start().len();
        start..start.max(range.end - (text.len() - text.trim_ascii_end().len()))
    };
    let line = trimmed(line);
    if bytes.get(line.start) != Some(&b'#') || line.is_empty() {
        return None;
    }
    let equals = line.start + memchr::memchr(b'=', &bytes[line.clone()])?;
    let name = trimmed(line.start + 1..equals);
    let is_name = !name.is_empty() && bytes[name.clone()].iter().all(u8::is_ascii_alphabetic);
    is_name.then(|| (name, trimmed(equals + 1..line.end)))
}
