//! Finds images in Dockerfiles, by the structure of their instructions
//! (<https://docs.docker.com/reference/dockerfile/>).
//!
//! Images are in `FROM`, `COPY --from`, `RUN --mount=from=`, in defaults of `ARG` that a `FROM` uses, and in the
//! syntax directive. All other text is scanned as plain text. Any file can be read: a line that is not an
//! instruction is plain text.

mod lines;

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use super::{Evidence, ImageMatch, Spelling, text};
use lines::{Line, Lines};

/// Returns true for the names of Dockerfiles, such as `Dockerfile`, `Containerfile.dev` and `app.dockerfile`.
pub(super) fn is_dockerfile(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let name = name.to_ascii_lowercase();
    let is_variant = |rest: &str| rest.is_empty() || rest.starts_with(['.', '-', '_']);
    let has_name =
        ["dockerfile", "containerfile"].iter().any(|base| name.strip_prefix(base).is_some_and(is_variant));
    (has_name && !name.ends_with(".dockerignore"))
        || name.ends_with(".dockerfile")
        || name.ends_with(".containerfile")
}

/// Returns the images in file order.
pub(super) fn find(bytes: &[u8]) -> Vec<ImageMatch> {
    let mut file = Dockerfile {
        bytes,
        found: Vec::new(),
        stages: HashSet::new(),
        arguments: Vec::new(),
        used: HashSet::new(),
        has_stage: false,
    };
    let lines = Lines::new(bytes);
    file.found.extend(lines.syntax().and_then(|range| file.image(range)));
    for line in lines {
        file.read(&line);
    }
    file.add_arguments();
    // Structure is stronger than text. The sort is stable.
    file.found.sort_by_key(|found| (found.start(), found.evidence));
    file.found.dedup_by_key(|found| found.start());
    file.found
}

struct Dockerfile<'a> {
    bytes: &'a [u8],
    found: Vec<ImageMatch>,
    /// Names of stages in lower case.
    stages: HashSet<String>,
    /// Names and defaults of the arguments before the first stage.
    arguments: Vec<(String, Range<usize>)>,
    /// Arguments that are the complete image of a `FROM`.
    used: HashSet<String>,
    has_stage: bool,
}

impl Dockerfile<'_> {
    /// Reads an instruction, or a comment.
    fn read(&mut self, line: &Line) {
        let name = part(self.bytes, &line.name).to_ascii_uppercase();
        let (bytes, words) = (self.bytes, &line.words);
        match name.as_str() {
            "FROM" if self.is_from(words) => self.read_from(words),
            // Docker rejects a chain of ONBUILD.
            "ONBUILD" if words.first().is_some_and(|next| !part(bytes, next).eq_ignore_ascii_case(&name)) => {
                self.read(&Line {
                    name: words[0].clone(),
                    words: words[1..].to_vec(),
                    all: words[0].end..line.all.end,
                });
            }
            "ARG" => {
                for word in words {
                    self.read_argument(word);
                }
                self.read_text(line);
            }
            "COPY" | "ADD" => {
                for flag in words.iter().take_while(|word| part(bytes, word).starts_with("--")) {
                    let Some(source) = part(bytes, flag).strip_prefix("--from=") else { continue };
                    let source = flag.end - source.len()..flag.end;
                    self.found.extend(self.source(source));
                }
                self.read_text(line);
            }
            "RUN" => {
                for flag in words.iter().take_while(|word| part(bytes, word).starts_with("--")) {
                    self.read_mount(flag);
                }
                self.read_text(line);
            }
            _ => self.read_text(line),
        }
    }

    /// Returns true for `[FLAGS] IMAGE [AS NAME]`. A sentence has other words.
    fn is_from(&self, words: &[Range<usize>]) -> bool {
        let words: Vec<&str> = words.iter().map(|word| part(self.bytes, word)).collect();
        let image = words.iter().position(|word| !word.starts_with("--"));
        match image.map(|image| &words[image..]) {
            Some([_]) => true,
            Some([_, second, rest @ ..]) => {
                second.starts_with('#') || (second.eq_ignore_ascii_case("AS") && !rest.is_empty())
            }
            _ => false,
        }
    }

    /// Reads `--platform=… IMAGE AS NAME`.
    fn read_from(&mut self, words: &[Range<usize>]) {
        let bytes = self.bytes;
        self.has_stage = true;
        let mut words = words.iter().skip_while(|word| part(bytes, word).starts_with("--"));
        let Some(image) = words.next() else { return };
        self.used.extend(variable(part(bytes, image)));
        self.found.extend(self.source(image.clone()));
        if let (Some(keyword), Some(name)) = (words.next(), words.next())
            && part(bytes, keyword).eq_ignore_ascii_case("AS")
        {
            self.stages.insert(part(bytes, name).to_ascii_lowercase());
        }
    }

    /// Reads `NAME=DEFAULT`.
    fn read_argument(&mut self, word: &Range<usize>) {
        let text = part(self.bytes, word);
        if let (false, Some((name, value))) = (self.has_stage, text.split_once('=')) {
            self.arguments.push((name.to_owned(), word.end - value.len()..word.end));
        }
    }

    /// Reads the image of `--mount=type=bind,from=IMAGE`.
    fn read_mount(&mut self, flag: &Range<usize>) {
        let Some(options) = part(self.bytes, flag).strip_prefix("--mount=") else { return };
        let mut start = flag.end - options.len();
        let mut sources = Vec::new();
        for option in options.split(',') {
            let end = start + option.len();
            sources.extend(option.strip_prefix("from=").map(|source| end - source.len()..end));
            start = end + 1;
        }
        for source in sources {
            self.found.extend(self.source(source));
        }
    }

    /// Scans an instruction as plain text.
    fn read_text(&mut self, line: &Line) {
        let found = text::find_in(self.bytes, line.all.clone());
        // A line of a script that starts with FROM is not an instruction.
        let is_from = |found: &ImageMatch| self.bytes[..found.start()].trim_ascii_end().ends_with(b"FROM");
        let is_instruction = |found: &ImageMatch| found.evidence != Evidence::Field || !is_from(found);
        self.found.extend(found.into_iter().filter(is_instruction));
    }

    /// Adds the defaults of used arguments, also those that another default uses.
    fn add_arguments(&mut self) {
        for (name, value) in std::mem::take(&mut self.arguments).into_iter().rev() {
            if self.used.contains(&name) {
                self.used.extend(variable(part(self.bytes, &value)));
                self.found.extend(self.source(value));
            }
        }
    }

    /// Returns the image of a source. Stages and `scratch` are not images.
    fn source(&self, range: Range<usize>) -> Option<ImageMatch> {
        let text = unquoted(part(self.bytes, &range)).to_ascii_lowercase();
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number || text == "scratch" || self.stages.contains(&text) {
            return None;
        }
        self.image(range)
    }

    fn image(&self, range: Range<usize>) -> Option<ImageMatch> {
        let all = part(self.bytes, &range);
        let value = unquoted(all);
        let start = range.start + usize::from(value.len() < all.len());
        let (image, found) = text::value(value)?;
        if image.name == "scratch" || self.stages.contains(&image.to_string()) {
            return None;
        }
        let spelling = Spelling::Whole(start + found.start..start + found.end);
        Some(ImageMatch { image, evidence: Evidence::Field, spelling })
    }
}

fn part<'a>(bytes: &'a [u8], range: &Range<usize>) -> &'a str {
    std::str::from_utf8(&bytes[range.clone()]).unwrap_or_default()
}

/// Removes the quotes around a word.
fn unquoted(word: &str) -> &str {
    let inner = |quote| word.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(word)
}

/// Returns the name in `$NAME`, `${NAME}` or `${NAME:-…}`.
fn variable(word: &str) -> Option<String> {
    let rest = unquoted(word).strip_prefix('$')?;
    let (name, rest) = match rest.strip_prefix('{') {
        Some(inner) => {
            let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
            (&inner[..end], &inner[end..])
        }
        None => (rest, "}"),
    };
    let is_complete = rest == "}" || (rest.starts_with([':', '-']) && rest.find('}') == Some(rest.len() - 1));
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (is_complete && is_name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests;
