//! A document with the place of every part of it. Aliases are kept as what they are, so that no
//! document is larger here than it is on disk.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScanError, Tag};
use image_copy::text::SanitizedText;

/// A node of a [`Tree`].
pub(super) type Id = usize;

/// Deepest nesting that is read. CloudFormation's own limit is not known; no template comes near.
const MAX_NESTING: usize = 100;

/// A text that is not YAML.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::scan) struct SyntaxError {
    /// Where, in bytes.
    pub(in crate::scan) at: usize,
    pub(in crate::scan) reason: SanitizedText,
}

/// The documents of a file.
pub(super) struct Tree {
    nodes: Vec<Node>,
    roots: Vec<Id>,
}

struct Node {
    kind: Kind,
    /// A local tag without its exclamation mark, such as `Sub`.
    tag: Option<Box<str>>,
    range: Range<usize>,
}

enum Kind {
    Scalar(Box<str>),
    Sequence(Vec<Id>),
    /// Keys and values in turn.
    Mapping(Vec<Id>),
    Alias(Id),
}

/// How many aliases are followed to one node: chains of them have no use.
const MAX_ALIAS_CHAIN: usize = 8;

impl Tree {
    pub(super) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut builder = TreeBuilder::default();
        let limits: Options =
            granit_parser::options! { flow_nesting_limit: MAX_NESTING, block_nesting_limit: MAX_NESTING };
        for next in Parser::new_from_str_with_options(text, limits) {
            let (event, span) = next.map_err(|error| syntax_error(&error))?;
            builder.add(event, span.byte_range().unwrap_or_default());
        }
        Ok(builder.build())
    }

    /// The top of each document.
    pub(super) fn roots(&self) -> impl Iterator<Item = Id> {
        self.roots.iter().copied()
    }

    /// The node itself, behind aliases.
    pub(super) fn resolve(&self, mut id: Id) -> Id {
        for _ in 0..MAX_ALIAS_CHAIN {
            match self.nodes[id].kind {
                Kind::Alias(target) => id = target,
                _ => break,
            }
        }
        id
    }

    /// The text of a scalar.
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// The items of a sequence.
    pub(super) fn items(&self, id: Id) -> Option<&[Id]> {
        match &self.nodes[self.resolve(id)].kind {
            Kind::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Keys and values of a mapping; nothing for what is none.
    pub(super) fn entries(&self, id: Id) -> impl Iterator<Item = (&str, Id)> {
        let pairs = match &self.nodes[self.resolve(id)].kind {
            Kind::Mapping(pairs) => pairs.as_slice(),
            _ => &[],
        };
        pairs.chunks_exact(2).filter_map(|pair| Some((self.text(pair[0])?, pair[1])))
    }

    /// The value of a key, also when it is merged in from elsewhere
    /// (<https://yaml.org/type/merge.html>).
    pub(super) fn get(&self, id: Id, key: &str) -> Option<Id> {
        let own = self.entries(id).find(|(name, _)| *name == key);
        let merged = || {
            let (_, from) = self.entries(id).find(|(name, _)| *name == "<<")?;
            let sources = self.items(from).map_or_else(|| vec![from], <[Id]>::to_vec);
            sources.into_iter().find_map(|from| self.entries(from).find(|(name, _)| *name == key))
        };
        own.or_else(merged).map(|(_, value)| value)
    }

    /// The local tag, such as `Sub`.
    pub(super) fn tag(&self, id: Id) -> Option<&str> {
        self.nodes[self.resolve(id)].tag.as_deref()
    }

    /// The bytes of a scalar with its quotes, or the start of anything else.
    pub(super) fn range(&self, id: Id) -> Range<usize> {
        self.nodes[self.resolve(id)].range.clone()
    }
}

fn syntax_error(error: &ScanError) -> SyntaxError {
    let mark = error.marker();
    SyntaxError { at: mark.byte_offset().unwrap_or_default(), reason: error.info().into() }
}

#[derive(Default)]
struct TreeBuilder {
    nodes: Vec<Node>,
    roots: Vec<Id>,
    /// Sequences and mappings that are not ended yet.
    open: Vec<Id>,
    anchors: HashMap<usize, Id>,
}

impl TreeBuilder {
    fn add(&mut self, event: Event<'_>, range: Range<usize>) {
        let (kind, anchor, tag) = match event {
            Event::Scalar(text, _, anchor, tag) => (Kind::Scalar(text.into()), anchor, tag),
            Event::SequenceStart(_, anchor, tag) => (Kind::Sequence(Vec::new()), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Kind::Mapping(Vec::new()), anchor, tag),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(target) => (Kind::Alias(*target), 0, None),
                None => (Kind::Scalar("".into()), 0, None),
            },
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                return;
            }
            _ => return,
        };
        let id = self.nodes.len();
        match self.open.last().map(|parent| &mut self.nodes[*parent].kind) {
            Some(Kind::Sequence(children) | Kind::Mapping(children)) => children.push(id),
            _ => self.roots.push(id),
        }
        if matches!(kind, Kind::Sequence(_) | Kind::Mapping(_)) {
            self.open.push(id);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        let tag = tag.as_deref().and_then(local_tag);
        self.nodes.push(Node { kind, tag, range });
    }

    fn build(self) -> Tree {
        Tree { nodes: self.nodes, roots: self.roots }
    }
}

fn local_tag(tag: &Tag) -> Option<Box<str>> {
    (tag.handle() == "!" && !tag.suffix().is_empty()).then(|| tag.suffix().into())
}
