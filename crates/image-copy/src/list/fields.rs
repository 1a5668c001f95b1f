//! A YAML mapping of a list. Every key must be known.

use std::fmt::Display;
use std::str::FromStr;

use super::output::{MAX_CUSTOMIZE_BYTES, Output, quoted};
use crate::copy::PlatformSelection;
use crate::customize::{Customization, CustomizationError};
use crate::yaml::{Id, Tree};

/// Maximum number of keys of a mapping.
const MAX_KEYS: usize = 100;

/// Maximum length of a text in bytes, because an alias can repeat it for each image.
const MAX_TEXT_BYTES: usize = 2000;

/// Maximum number of platforms. The largest official images have about 10.
const MAX_PLATFORMS: usize = 32;

/// The lines of an image.
#[derive(Clone)]
pub(super) enum ImageLines {
    Lines(Customization),
    NoLines,
}

/// A mapping, with its path for messages, such as `images[2]`.
pub(super) struct Fields<'a> {
    tree: &'a Tree,
    id: Id,
    path: String,
}

impl<'a> Fields<'a> {
    /// Returns a mapping. `path` is its path for messages.
    pub(super) fn new(tree: &'a Tree, id: Id, path: String, output: &mut Output) -> Option<Self> {
        let error = |problem: &str, output: &mut Output| {
            let subject = if path.is_empty() { "the list" } else { &path };
            output.error(tree.line(id), format!("{subject} {problem}."));
        };
        if tree.text(id).is_some() || tree.items(id).is_some() {
            error("is not a mapping. Write keys with a colon", output);
            return None;
        }
        let fields = Self { tree, id, path: path.clone() };
        if fields.is_large() {
            error(&format!("has more than {MAX_KEYS} keys. Remove some"), output);
            return None;
        }
        Some(fields)
    }

    /// Returns the mapping at a key.
    pub(super) fn mapping(&self, key: &str, output: &mut Output) -> Option<Self> {
        Self::new(self.tree, self.get(key)?, self.path_of(key), output)
    }

    /// Returns the items of the sequence at a key, each with its path.
    pub(super) fn items(
        &self,
        key: &str,
        output: &mut Output,
    ) -> impl Iterator<Item = (Id, String)> + use<'a> {
        let path = self.path_of(key);
        let items = self.get(key).and_then(|id| {
            let items = self.tree.items(id);
            if items.is_none() {
                self.error_at(id, key, "is not a list. Start each item with a dash", output);
            }
            items
        });
        let items = items.unwrap_or_default().iter().enumerate();
        items.map(move |(at, item)| (*item, format!("{path}[{at}]")))
    }

    /// Returns true if lookups would be slow. Each lookup reads all keys, also of merged mappings.
    fn is_large(&self) -> bool {
        let has_many = |id| self.tree.entries(id).nth(MAX_KEYS).is_some();
        let merged = || self.tree.entries(self.id).filter(|(key, _)| *key == "<<");
        has_many(self.id)
            || merged().any(|(_, from)| match self.tree.items(from) {
                Some(sources) => sources.len() > MAX_KEYS || sources.iter().any(|source| has_many(*source)),
                None => has_many(from),
            })
    }

    /// Reports repeated keys, and each key for which `problem` returns the end of a sentence.
    pub(super) fn check_keys(&self, output: &mut Output, problem: impl Fn(&str, Id) -> Option<String>) {
        let mut seen = Vec::new();
        for (key, value) in self.entries() {
            if seen.contains(&key) {
                self.error_at(value, key, "occurs twice. Keep one", output);
            } else if let Some(problem) = problem(key, value) {
                self.error_at(value, key, &problem, output);
            }
            seen.push(key);
        }
    }

    /// Returns own entries, then those of merge keys that no own key replaces.
    fn entries(&self) -> impl Iterator<Item = (&'a str, Id)> {
        let own = |id| self.tree.entries(id).filter(|(key, _)| *key != "<<");
        let merged = self
            .tree
            .entries(self.id)
            .filter(|(key, _)| *key == "<<")
            .flat_map(|(_, from)| self.tree.items(from).map_or_else(|| vec![from], <[Id]>::to_vec));
        let inherited =
            merged.flat_map(own).filter(move |(key, _)| own(self.id).all(|(mine, _)| mine != *key));
        own(self.id).chain(inherited)
    }

    /// Returns the value of a key, unless it is empty or null.
    pub(super) fn get(&self, key: &str) -> Option<Id> {
        let value = self.tree.get(self.id, key)?;
        let is_null = matches!(self.tree.text(value), Some("" | "~" | "null"));
        (!is_null).then_some(value)
    }

    /// Returns true if the value of a key is a mapping.
    pub(super) fn is_mapping(&self, key: &str) -> bool {
        self.get(key).is_some_and(|id| self.tree.text(id).is_none() && self.tree.items(id).is_none())
    }

    /// Returns true if no key has a value.
    pub(super) fn is_empty(&self) -> bool {
        self.entries().all(|(key, _)| self.get(key).is_none())
    }

    pub(super) fn line(&self) -> usize {
        self.tree.line(self.id)
    }

    /// Returns the line of a key's value, or of the mapping without the key.
    pub(super) fn line_of(&self, key: &str) -> usize {
        self.tree.get(self.id, key).map_or_else(|| self.line(), |id| self.tree.line(id))
    }

    /// Returns a text.
    pub(super) fn text(&self, key: &str, output: &mut Output) -> Option<&'a str> {
        let id = self.get(key)?;
        let text = self.tree.text(id).filter(|text| text.len() <= MAX_TEXT_BYTES);
        if text.is_none() {
            self.error_at(id, key, "is not a short text. Write one value", output);
        }
        text
    }

    /// Returns a text that must exist.
    pub(super) fn required_text(&self, key: &str, output: &mut Output) -> Option<&'a str> {
        if self.get(key).is_none() {
            self.error(key, "is missing. Add it", output);
        }
        self.text(key, output)
    }

    /// Returns a text, or the texts of a list, each with its line.
    pub(super) fn texts(&self, key: &str, output: &mut Output) -> Option<Vec<(&'a str, usize)>> {
        let id = self.get(key)?;
        let is_short =
            |texts: &Vec<(&str, usize)>| texts.iter().all(|(text, _)| text.len() <= MAX_TEXT_BYTES);
        let texts = self.texts_of(id).filter(is_short);
        if texts.is_none() {
            self.error_at(id, key, "is not a list of short texts. Write one value on each line", output);
        }
        texts
    }

    fn texts_of(&self, id: Id) -> Option<Vec<(&'a str, usize)>> {
        let own = [id];
        let items = self.tree.items(id).unwrap_or(&own);
        items.iter().map(|item| Some((self.tree.text(*item)?, self.tree.line(*item)))).collect()
    }

    /// Returns Dockerfile lines. Each text of a list has one or more lines. An empty list is `NoLines`, which replaces
    /// the lines of `defaults`.
    pub(super) fn customization(&self, key: &str, output: &mut Output) -> Option<ImageLines> {
        let id = self.get(key)?;
        let Some(texts) = self.texts_of(id) else {
            self.error_at(id, key, "is not a text or a list of texts. Write Dockerfile lines", output);
            return None;
        };
        if texts.iter().map(|(text, _)| text.len() + 1).sum::<usize>() > MAX_CUSTOMIZE_BYTES {
            let limit = MAX_CUSTOMIZE_BYTES >> 10;
            self.error_at(id, key, &format!("has more than {limit} KiB. Shorten the lines"), output);
            return None;
        }
        let lines: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
        let parsed = Customization::parse_texts(&lines);
        let parsed = parsed.map_err(|error| self.customization_error(key, &texts, &error, output)).ok()?;
        Some(parsed.map_or(ImageLines::NoLines, ImageLines::Lines))
    }

    /// Reports an invalid line. In a list of single lines, this is the line of the item.
    fn customization_error(
        &self,
        key: &str,
        texts: &[(&str, usize)],
        error: &CustomizationError,
        output: &mut Output,
    ) {
        let are_single = texts.len() > 1 && texts.iter().all(|(text, _)| text.lines().count() == 1);
        let item = error.line.and_then(|number| texts.get(number - 1)).filter(|_| are_single);
        match item {
            Some((_, line)) => self.error_in(*line, key, &error.problem, output),
            None => self.error_in(self.line_of(key), key, &error.to_string(), output),
        }
    }

    /// Returns the value of a switch.
    pub(super) fn switch(&self, key: &str, output: &mut Output) -> Option<bool> {
        let text = self.text(key, output)?;
        if !matches!(text, "true" | "false") {
            self.error(key, "is not true or false. Correct it", output);
        }
        Some(text == "true")
    }

    /// Returns the platforms of a text or a list.
    pub(super) fn platforms(&self, key: &str, output: &mut Output) -> Option<PlatformSelection> {
        let texts: Vec<&str> = self.texts(key, output)?.into_iter().map(|(text, _)| text).collect();
        let text = texts.join(",");
        if text.matches(',').count() >= MAX_PLATFORMS {
            self.error(key, &format!("has more than {MAX_PLATFORMS} platforms. Remove some"), output);
            return None;
        }
        self.parse(key, self.line_of(key), &text, output)
    }

    /// Parses a text at a key.
    pub(super) fn parse<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        line: usize,
        text: &str,
        output: &mut Output,
    ) -> Option<T> {
        self.parse_by(key, line, text, output, str::parse)
    }

    /// Parses a text at a key by a function.
    pub(super) fn parse_by<T, E: Display>(
        &self,
        key: &str,
        line: usize,
        text: &str,
        output: &mut Output,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let parsed = parse(text);
        parsed.map_err(|error| self.error_in(line, key, &format!("{error}. Correct it"), output)).ok()
    }

    /// Reports an error of a key. `problem` is the end of a sentence without the period.
    pub(super) fn error(&self, key: &str, problem: &str, output: &mut Output) {
        output.error(self.line_of(key), format!("{} {problem}.", self.path_of(key)));
    }

    /// Reports an error of a value on its line. `problem` is a sentence without the period.
    pub(super) fn error_in(&self, line: usize, key: &str, problem: &str, output: &mut Output) {
        output.error(line, format!("{}: {problem}.", self.path_of(key)));
    }

    fn error_at(&self, id: Id, key: &str, problem: &str, output: &mut Output) {
        output.error(self.tree.line(id), format!("{} {problem}.", self.path_of(key)));
    }

    fn path_of(&self, key: &str) -> String {
        let key = if key.len() < 50
            && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        {
            key.into()
        } else {
            quoted(key)
        };
        if self.path.is_empty() { key } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn tree(&self) -> &'a Tree {
        self.tree
    }
}
