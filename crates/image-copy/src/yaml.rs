//! A YAML or JSON document with the position of each node. Aliases are not expanded, so that the tree is never
//! larger than the file.

use std::collections::HashMap;
use std::ops::Range;

use crate::text::SanitizedText;
use granit_parser::{Event, Options, Parser, ScanError, Tag};

/// A node of a [`Tree`].
pub type Id = usize;

/// Maximum nesting. CloudFormation documents no limit, and real templates have far less.
const MAX_NESTING: usize = 100;

/// A YAML syntax error.
#[derive(Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Offset in bytes.
    pub at: usize,
    /// Number of the line, from 1.
    pub line: usize,
    /// Reason of the parser.
    pub reason: SanitizedText,
}

/// The documents of a file.
pub struct Tree {
    nodes: Vec<Node>,
    roots: Vec<Id>,
    /// Positions of the entries of each large mapping, sorted by key. Equal keys keep their order.
    indexes: HashMap<Id, Vec<usize>>,
}

struct Node {
    kind: Kind,
    /// A local tag without its exclamation mark, such as `Sub`.
    tag: Option<Box<str>>,
    range: Range<usize>,
    line: usize,
}

enum Kind {
    Scalar(Box<str>),
    Sequence(Vec<Id>),
    /// Keys and values, alternating.
    Mapping(Vec<Id>),
    Alias(Id),
}

/// Maximum number of aliases in a row. Real templates have no chains.
const MAX_ALIAS_CHAIN: usize = 8;

/// Maximum nesting of all nodes with their alias targets, so that every recursion over a tree ends.
const MAX_EXPANDED_NESTING: usize = 300;

/// Maximum number of entries that a lookup compares one by one. A larger mapping has an index, because a file can
/// contain as many lookups as entries.
const MAX_UNINDEXED_ENTRIES: usize = 32;

/// Maximum length of a key in bytes, as in YAML (<https://yaml.org/spec/1.2.2/#example-single-pair-implicit-entries>).
/// Longer keys are not found, because many aliases can repeat a long one.
const MAX_KEY_BYTES: usize = 1024;

/// Maximum number of merged mappings that a lookup reads. Real files have a few.
const MAX_MERGED_MAPPINGS: usize = 64;

impl Tree {
    /// Parses all documents of a file.
    ///
    /// # Errors
    /// The first syntax error.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut builder = TreeBuilder::default();
        let limits: Options =
            granit_parser::options! { flow_nesting_limit: MAX_NESTING, block_nesting_limit: MAX_NESTING };
        for next in Parser::new_from_str_with_options(text, limits) {
            let (event, span) = next.map_err(|error| syntax_error(&error))?;
            let range = span.byte_range().unwrap_or_default();
            let at = range.start;
            if builder.add(event, range, span.start.line()) > MAX_EXPANDED_NESTING {
                let reason = "the aliases are nested too deeply".into();
                return Err(SyntaxError { at, line: span.start.line(), reason });
            }
        }
        Ok(builder.build())
    }

    /// Returns the root of each document.
    pub fn roots(&self) -> impl Iterator<Item = Id> {
        self.roots.iter().copied()
    }

    /// Returns the node behind aliases.
    #[must_use]
    pub fn resolve(&self, mut id: Id) -> Id {
        for _ in 0..MAX_ALIAS_CHAIN {
            match self.nodes[id].kind {
                Kind::Alias(target) => id = target,
                _ => break,
            }
        }
        id
    }

    /// Returns the text of a scalar.
    #[must_use]
    pub fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the items of a sequence.
    #[must_use]
    pub fn items(&self, id: Id) -> Option<&[Id]> {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the entries of a mapping. Other nodes have none.
    pub fn entries(&self, id: Id) -> impl Iterator<Item = (&str, Id)> {
        self.pairs(id).chunks_exact(2).filter_map(|pair| Some((self.text(pair[0])?, pair[1])))
    }

    /// Returns the keys and values of a mapping, alternating. Other nodes have none.
    #[must_use]
    pub fn pairs(&self, id: Id) -> &[Id] {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Mapping(pairs) => pairs,
            _ => &[],
        }
    }

    /// Returns the value of a key, including merge keys (<https://yaml.org/type/merge.html>).
    #[must_use]
    pub fn get(&self, id: Id, key: &str) -> Option<Id> {
        let merged = || {
            let from = self.own(id, "<<")?;
            let sources = self.items(from).unwrap_or(std::slice::from_ref(&from));
            sources.iter().take(MAX_MERGED_MAPPINGS).find_map(|source| self.own(*source, key))
        };
        self.own(id, key).or_else(merged)
    }

    /// Returns the value of a key, without merge keys. The first of equal keys wins.
    fn own(&self, id: Id, key: &str) -> Option<Id> {
        if key.len() > MAX_KEY_BYTES {
            return None;
        }
        let Some(index) = self.indexes.get(&self.resolve(id)) else {
            return self.entries(id).find(|(name, _)| *name == key).map(|(_, value)| value);
        };
        let pairs = self.pairs(id);
        let text_at = |entry: usize| self.text(pairs[2 * entry]).unwrap_or_default();
        let entry = *index.get(index.partition_point(|entry| text_at(*entry) < key))?;
        (text_at(entry) == key).then(|| pairs[2 * entry + 1])
    }

    fn add_indexes(&mut self) {
        for id in 0..self.nodes.len() {
            let Kind::Mapping(pairs) = &self.nodes[id].kind else { continue };
            if pairs.len() <= 2 * MAX_UNINDEXED_ENTRIES {
                continue;
            }
            let key = |entry: &usize| self.text(pairs[2 * entry]).filter(|key| key.len() <= MAX_KEY_BYTES);
            let mut index: Vec<usize> = (0..pairs.len() / 2).filter(|entry| key(entry).is_some()).collect();
            index.sort_by(|one, other| key(one).cmp(&key(other)));
            self.indexes.insert(id, index);
        }
    }

    /// Returns the local tag, such as `Sub`.
    #[must_use]
    pub fn tag(&self, id: Id) -> Option<&str> {
        self.nodes[self.resolve(id)].tag.as_deref()
    }

    /// Returns the number of the node's first line, from 1. It does not follow aliases.
    #[must_use]
    pub fn line(&self, id: Id) -> usize {
        self.nodes[id].line
    }

    /// Returns the range of a scalar with its quotes, or the start of another node.
    #[must_use]
    pub fn range(&self, id: Id) -> Range<usize> {
        self.nodes[self.resolve(id)].range.clone()
    }
}

fn syntax_error(error: &ScanError) -> SyntaxError {
    let mark = error.marker();
    SyntaxError { at: mark.byte_offset().unwrap_or_default(), line: mark.line(), reason: error.info().into() }
}

#[derive(Default)]
struct TreeBuilder {
    nodes: Vec<Node>,
    roots: Vec<Id>,
    /// Sequences and mappings without an end event, each with the nesting below it.
    open: Vec<(Id, usize)>,
    anchors: HashMap<usize, Id>,
    /// Nesting of each node that has ended. An alias inside of its own node forms a cycle.
    nesting: Vec<usize>,
}

impl TreeBuilder {
    /// Adds an event, and returns the nesting of its node with alias targets.
    fn add(&mut self, event: Event<'_>, range: Range<usize>, line: usize) -> usize {
        let (kind, anchor, tag) = match event {
            Event::Scalar(text, _, anchor, tag) => (Kind::Scalar(text.into()), anchor, tag),
            Event::SequenceStart(_, anchor, tag) => (Kind::Sequence(Vec::new()), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Kind::Mapping(Vec::new()), anchor, tag),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(target) => (Kind::Alias(*target), 0, None),
                None => (Kind::Scalar("".into()), 0, None),
            },
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((id, below)) = self.open.pop() else { return 0 };
                return self.end(id, below + 1);
            }
            _ => return 0,
        };
        let id = self.nodes.len();
        match self.open.last().map(|(parent, _)| &mut self.nodes[*parent].kind) {
            Some(Kind::Sequence(children) | Kind::Mapping(children)) => children.push(id),
            _ => self.roots.push(id),
        }
        let nesting = match &kind {
            Kind::Sequence(_) | Kind::Mapping(_) => None,
            Kind::Alias(target) => Some(self.nesting[*target]),
            Kind::Scalar(_) => Some(1),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        let tag = tag.as_deref().and_then(local_tag);
        self.nodes.push(Node { kind, tag, range, line });
        self.nesting.push(0);
        match nesting {
            Some(nesting) => self.end(id, nesting),
            None => {
                self.open.push((id, 0));
                0
            }
        }
    }

    fn end(&mut self, id: Id, nesting: usize) -> usize {
        self.nesting[id] = nesting;
        if let Some((_, below)) = self.open.last_mut() {
            *below = nesting.max(*below);
        }
        nesting
    }

    fn build(self) -> Tree {
        let mut tree = Tree { nodes: self.nodes, roots: self.roots, indexes: HashMap::new() };
        tree.add_indexes();
        tree
    }
}

fn local_tag(tag: &Tag) -> Option<Box<str>> {
    (tag.handle() == "!" && !tag.suffix().is_empty()).then(|| tag.suffix().into())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn limits_the_nesting_of_aliases() {
        let chain = |length: usize| {
            let mut text = String::from("- &a0 [x]\n");
            for level in 1..length {
                writeln!(text, "- &a{level} {{k: *a{}}}", level - 1).unwrap();
            }
            Tree::parse(&text).map(|_| ()).map_err(|error| (error.line, error.reason.to_string()))
        };
        assert_eq!(chain(290), Ok(()));
        assert_eq!(chain(100_000), Err((300, "the aliases are nested too deeply".to_owned())));
        assert!(Tree::parse("&a [*a, {b: *a}]").is_ok(), "a cycle");
    }

    #[test]
    fn finds_the_keys_of_large_mappings_as_in_small_ones() {
        for entries in [2, MAX_UNINDEXED_ENTRIES, MAX_UNINDEXED_ENTRIES + 1, 1000] {
            let mut text = String::from("a: &a {z: merged, k1: hidden}\nb:\n");
            for entry in 0..entries {
                writeln!(text, "  k{}: {entry}", entry % (entries - 1)).unwrap();
            }
            let long = "k".repeat(MAX_KEY_BYTES + 1);
            let tree = Tree::parse(&format!("{text}  [x]: list\n  ? {long}\n  : 1\n  <<: *a\n")).unwrap();
            let mapping = tree.get(0, "b").unwrap();
            let value = |key: &str| tree.get(mapping, key).and_then(|value| tree.text(value));
            assert_eq!(value("k0"), Some("0"), "the first of equal keys, {entries} entries");
            for entry in 1..entries - 1 {
                assert_eq!(value(&format!("k{entry}")), Some(entry.to_string().as_str()));
            }
            assert_eq!(value("z"), Some("merged"));
            for missing in ["", "k", "x", "zz", &long] {
                assert_eq!(value(missing), None, "{missing}");
            }
        }
    }
}
