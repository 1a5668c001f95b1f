//! Access to YAML mappings.

use image_copy::text::SanitizedText;
use image_copy::yaml::{Id, Tree};

use super::quoted;

/// Maximum length of a key in messages that is not quoted, in bytes.
const MAX_KEY_BYTES: usize = 50;

/// Returns the entries of a mapping, with those of merge keys that no own key replaces.
pub(super) fn entries(tree: &Tree, id: Id) -> Vec<(&str, Id)> {
    let own: Vec<(&str, Id)> = tree.entries(id).filter(|(key, _)| *key != "<<").collect();
    let Some((_, merged)) = tree.entries(id).find(|(key, _)| *key == "<<") else { return own };
    let sources = tree.items(merged).map_or_else(|| vec![merged], <[Id]>::to_vec);
    let inherited = sources.into_iter().flat_map(|source| tree.entries(source));
    let is_new = |key: &str| key != "<<" && own.iter().all(|(mine, _)| *mine != key);
    let inherited: Vec<(&str, Id)> = inherited.filter(|(key, _)| is_new(key)).collect();
    own.into_iter().chain(inherited).collect()
}

/// Returns the value of a key, unless it is empty or null.
pub(super) fn get(tree: &Tree, id: Id, key: &str) -> Option<Id> {
    tree.get(id, key).filter(|value| !is_null(tree, *value))
}

/// Returns the text of a key, unless it is empty or null.
pub(super) fn text<'a>(tree: &'a Tree, id: Id, key: &str) -> Option<&'a str> {
    tree.text(get(tree, id, key)?)
}

/// Returns the items of a key's sequence.
pub(super) fn items<'a>(tree: &'a Tree, id: Id, key: &str) -> &'a [Id] {
    tree.get(id, key).and_then(|value| tree.items(value)).unwrap_or_default()
}

/// Returns a text, or the texts of a sequence, each with its line.
pub(super) fn texts(tree: &Tree, id: Id) -> Vec<(&str, usize)> {
    let own = [id];
    let items = tree.items(id).unwrap_or(&own);
    items.iter().filter_map(|item| Some((tree.text(*item)?, tree.line(*item)))).collect()
}

/// Returns true for an empty value.
pub(super) fn is_null(tree: &Tree, id: Id) -> bool {
    matches!(tree.text(id), Some("" | "~" | "null"))
}

/// Returns true if a mapping has no keys and is no other value.
pub(super) fn is_mapping(tree: &Tree, id: Id) -> bool {
    tree.text(id).is_none() && tree.items(id).is_none()
}

/// Returns a key for a message. Unusual keys are quoted.
pub(super) fn key(key: &str) -> String {
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b':');
    if (1..MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(is_plain) {
        SanitizedText::from(key).as_str().into()
    } else {
        quoted(key)
    }
}
