//! Finds the version in the tokens of a tag.

use super::numbers::{is_full_date, is_year};
use super::tokens::{Kind, Token, tokens};
use super::words::{is_build, is_change, pre_release_rank};
use super::{PreRelease, Shape, TagVersion};

/// First build number of Windows 10 and its successors.
const MIN_WINDOWS_BUILD: u64 = 10_000;

/// Meaning of a token for comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Text that must be the same.
    Text,
    /// The number of a word, such as 3.19 in `alpine3.19`. It must be the same.
    WordNumber,
    /// A number that orders versions.
    Ordering,
    /// A commit, which can differ and does not order versions.
    Commit,
    /// A part of the pre-release, which a release does not have.
    PreRelease,
}

/// Tokens of a tag, with their roles.
pub(super) struct Parser<'a> {
    tag: &'a str,
    tokens: Vec<Token>,
    roles: Vec<Role>,
    /// Index of the next token.
    next: usize,
}

/// Parses a tag. Returns `None` if it has no version. The parser has the shape, which tag rules do not need.
pub(super) fn parse(tag: &str) -> Option<(TagVersion<'_>, Parser<'_>)> {
    let tokens = tokens(tag);
    let roles = vec![Role::Text; tokens.len()];
    let mut parser = Parser { tag, tokens, roles, next: 0 };
    parser.skip_prefix()?;
    let prefix = &tag[..parser.offset()];
    let (numbers, is_date) = parser.numbers()?;
    let pre_release = parser.pre_release();
    let suffix = &tag[parser.offset()..];
    if pre_release.is_none() && !parser.is_separate(&numbers, is_date) {
        return None;
    }
    let (builds, after_builds) = parser.builds()?;
    let variant = &tag[after_builds..];
    let version = TagVersion { prefix, numbers, pre_release, suffix, variant, builds, is_date };
    Some((version, parser))
}

impl<'a> Parser<'a> {
    fn kind(&self, at: usize) -> Option<Kind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| &self.tag[token.range.clone()])
    }

    /// Returns the position of the next token in the tag.
    fn offset(&self) -> usize {
        self.tokens.get(self.next).map_or(self.tag.len(), |token| token.range.start)
    }

    /// Moves to the first number that is not part of a word.
    fn skip_prefix(&mut self) -> Option<()> {
        loop {
            match self.kind(self.next)? {
                Kind::Number if self.starts_version() => return Some(()),
                Kind::Number => self.roles[self.next] = Role::WordNumber,
                Kind::Word if is_change(self.text(self.next)) => return None,
                Kind::Commit => self.roles[self.next] = Role::Commit,
                Kind::Separator if self.next == 0 => return None,
                Kind::Word | Kind::Separator => {}
            }
            self.next += 1;
        }
    }

    /// Returns true if the next number is separate from the words before it, or follows `v` or the name of a build.
    fn starts_version(&self) -> bool {
        let Some(before) = self.next.checked_sub(1) else { return true };
        match self.kind(before) {
            Some(Kind::Word) => {
                let word = self.text(before);
                (matches!(word, "v" | "V") && self.tokens[before].is_first()) || self.is_build_word(before)
            }
            // The number continues that of a word, such as `.19` in `alpine3.19`.
            _ => !(self.text(before) == "." && before > 0 && self.roles[before - 1] == Role::WordNumber),
        }
    }

    /// Returns true if the number after this word counts builds. The name can contain numbers, as in `k3s1`.
    fn is_build_word(&self, word: usize) -> bool {
        let token = &self.tokens[word];
        is_build(self.text(word)) || is_build(&self.tag[token.segment..token.range.end])
    }

    /// Reads a number that orders versions.
    fn take_number(&mut self, at: usize) -> Option<u64> {
        self.roles[at] = Role::Ordering;
        self.next = at + 1;
        self.text(at).parse().ok()
    }

    /// Reads the numbers of the version, and returns true for a date.
    fn numbers(&mut self) -> Option<(Vec<u64>, bool)> {
        let first = self.next;
        let mut numbers = vec![self.take_number(first)?];
        while self.text(self.next) == "." && self.kind(self.next + 1) == Some(Kind::Number) {
            numbers.push(self.take_number(self.next + 1)?);
        }
        let is_date = match numbers[..] {
            [date, ..] if is_full_date(date) => {
                self.time(&mut numbers)?;
                true
            }
            [year] if is_year(year) => self.date(&mut numbers)?,
            [year, month, ..] => is_year(year) && (1..=12).contains(&month),
            _ => false,
        };
        // Containers of one Windows build do not run on another one.
        if matches!(numbers[..], [10, 0, build, _] if build >= MIN_WINDOWS_BUILD) {
            self.roles[first..self.next - 1].fill(Role::Text);
        }
        Some((numbers, is_date))
    }

    /// Reads month, day and time after a year, such as `-10-01`.
    fn date(&mut self, numbers: &mut Vec<u64>) -> Option<bool> {
        let separator = self.text(self.next);
        let is_part = |parser: &Self, maximum: u64| {
            let is_number = parser.text(parser.next) == separator && parser.text(parser.next + 1).len() == 2;
            let number = parser.text(parser.next + 1).parse();
            is_number && number.is_ok_and(|number: u64| (1..=maximum).contains(&number))
        };
        if !matches!(separator, "-" | "_") || !is_part(self, 12) {
            return Some(false);
        }
        numbers.push(self.take_number(self.next + 1)?);
        if is_part(self, 31) {
            numbers.push(self.take_number(self.next + 1)?);
            self.time(numbers)?;
        }
        Some(true)
    }

    /// Reads a time after `T`, such as `T03-04-05` or `T030405`.
    fn time(&mut self, numbers: &mut Vec<u64>) -> Option<()> {
        if self.text(self.next) != "T" || self.kind(self.next + 1) != Some(Kind::Number) {
            return Some(());
        }
        numbers.push(self.take_number(self.next + 1)?);
        for _ in 0..2 {
            if self.kind(self.next) == Some(Kind::Separator) && self.text(self.next + 1).parse::<u8>().is_ok()
            {
                numbers.push(self.take_number(self.next + 1)?);
            }
        }
        Some(())
    }

    /// Reads a pre-release, such as `rc1`, `-rc.1` or `-SNAPSHOT`.
    fn pre_release(&mut self) -> Option<PreRelease> {
        let start = self.next;
        let has_separator = self.kind(start) == Some(Kind::Separator);
        let word = start + usize::from(has_separator);
        if self.kind(word) != Some(Kind::Word) {
            return None;
        }
        let mut numbers = Vec::new();
        let mut end = word + 1;
        loop {
            let is_separator = match numbers.is_empty() {
                true => matches!(self.text(end), "." | "-"),
                false => self.text(end) == ".",
            };
            let number = end + usize::from(is_separator);
            if self.kind(number) != Some(Kind::Number) {
                break;
            }
            numbers.push(self.text(number).parse().ok()?);
            end = number + 1;
        }
        let rank = pre_release_rank(self.text(word), has_separator, !numbers.is_empty())?;
        self.roles[start..end].fill(Role::PreRelease);
        self.next = end;
        if numbers.is_empty() {
            numbers.push(0);
        }
        Some(PreRelease { rank, kind: self.text(word).to_ascii_lowercase(), numbers })
    }

    /// Returns false if letters follow the version without a separator, so that it can be something else: a short
    /// commit, or a letter for a patch such as OpenSSL's 1.1.1b.
    fn is_separate(&self, numbers: &[u64], is_date: bool) -> bool {
        if self.kind(self.next) != Some(Kind::Word) {
            return true;
        }
        let word = self.text(self.next);
        let is_numbered = self.kind(self.next + 1) == Some(Kind::Number);
        (is_build(word) && is_numbered) || (word == "Z" && is_date) || (numbers.len() > 1 && word.len() > 1)
    }

    /// Reads the numbers after the version that order builds. Returns the end of those that directly follow the
    /// version, too.
    fn builds(&mut self) -> Option<(Vec<u64>, usize)> {
        let mut builds = Vec::new();
        let mut after_builds = self.offset();
        let mut is_direct = true;
        for at in self.next..self.tokens.len() {
            match self.kind(at)? {
                Kind::Commit => self.roles[at] = Role::Commit,
                Kind::Number if self.is_build_number(at) => {
                    builds.push(self.take_number(at)?);
                    if is_direct {
                        after_builds = self.offset();
                    }
                }
                Kind::Number => self.roles[at] = Role::WordNumber,
                Kind::Word => is_direct &= self.is_build_word(at),
                Kind::Separator => {}
            }
        }
        Some((builds, after_builds))
    }

    fn is_build_number(&self, at: usize) -> bool {
        if self.text(at).parse().is_ok_and(is_full_date) {
            return true;
        }
        let before = at - 1;
        let word = match self.kind(before) {
            Some(Kind::Separator) => before - 1,
            _ => before,
        };
        match (self.kind(word), self.roles[word]) {
            (Some(Kind::Word), role) => role == Role::PreRelease || self.is_build_word(word),
            (_, Role::WordNumber) => self.text(before) != ".",
            _ => true,
        }
    }

    /// Returns the shape. No tag contains its placeholders.
    pub(super) fn shape(&self) -> Shape {
        let (mut shape, mut family) = (String::new(), String::new());
        for (token, role) in self.tokens.iter().zip(&self.roles) {
            let text = &self.tag[token.range.clone()];
            let (in_shape, in_family) = match role {
                Role::Text => (text, text),
                Role::WordNumber => (text, "#"),
                Role::Ordering => ("#", "#"),
                Role::Commit => ("@", "@"),
                Role::PreRelease => ("", ""),
            };
            shape.push_str(in_shape);
            family.push_str(in_family);
        }
        Shape { text: shape, family }
    }
}
