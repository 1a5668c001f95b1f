//! Values of `FindInMap`.

use std::collections::{HashMap, HashSet};

use image_copy::yaml::{Id, Tree};

/// The section `Mappings` of a template.
///
/// A key that is not literal selects all entries. Such entries are returned only once, so that the work is
/// linear in the size of the template.
pub(super) struct Maps<'a> {
    tree: &'a Tree,
    section: Option<Id>,
    /// Values of each map by their second key.
    by_second_key: HashMap<Id, HashMap<&'a str, Vec<Id>>>,
    /// Mappings with entries that were returned.
    returned: HashSet<Id>,
}

impl<'a> Maps<'a> {
    pub(super) fn new(tree: &'a Tree, template: Id) -> Self {
        let section = tree.get(template, "Mappings");
        Self { tree, section, by_second_key: HashMap::new(), returned: HashSet::new() }
    }

    /// Returns the possible values of a lookup, and `None` if the map is not in the template.
    pub(super) fn values(&mut self, map: Id, first: Id, second: Id) -> Option<Vec<Id>> {
        let tree = self.tree;
        let map = tree.get(self.section?, self.literal(map)?).map(|map| tree.resolve(map))?;
        Some(match (self.literal(first), self.literal(second)) {
            (Some(first), second) => match (tree.get(map, first), second) {
                (Some(level), Some(second)) => tree.get(level, second).into_iter().collect(),
                (Some(level), None) => self.all(level),
                (None, _) => Vec::new(),
            },
            (None, Some(second)) => {
                let index = self.by_second_key.entry(map).or_insert_with(|| by_second_key(tree, map));
                index.remove(second).unwrap_or_default()
            }
            (None, None) => self.all(map).into_iter().flat_map(|level| self.all(level)).collect(),
        })
    }

    fn literal(&self, node: Id) -> Option<&'a str> {
        self.tree.text(node).filter(|_| self.tree.tag(node).is_none())
    }

    fn all(&mut self, level: Id) -> Vec<Id> {
        if !self.returned.insert(self.tree.resolve(level)) {
            return Vec::new();
        }
        self.tree.entries(level).map(|(_, value)| value).collect()
    }
}

/// Groups the values of a map by their second key. Each mapping is read once, even if aliases repeat it.
fn by_second_key(tree: &Tree, map: Id) -> HashMap<&str, Vec<Id>> {
    let mut values: HashMap<&str, Vec<Id>> = HashMap::new();
    let mut seen = HashSet::new();
    let mut pending: Vec<Id> = tree.entries(map).map(|(_, level)| level).collect();
    while let Some(level) = pending.pop() {
        if !seen.insert(tree.resolve(level)) {
            continue;
        }
        // A list of merged mappings.
        pending.extend(tree.items(level).unwrap_or_default());
        for (key, value) in tree.entries(level) {
            match key {
                "<<" => pending.push(value),
                _ => values.entry(key).or_default().push(value),
            }
        }
    }
    values
}
