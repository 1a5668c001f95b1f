//! CloudFormation templates, in YAML and in JSON, which is read as the YAML that it nearly is.
//!
//! The structure says where an image is named ([`places`]), so that short names count there and
//! nothing counts anywhere else. What stands there is followed to the text that names the image
//! ([`follow`]): through conditions, maps and the defaults of parameters.

mod follow;
mod places;
mod tree;

use std::path::Path;

use super::Scan;
use tree::{Id, Tree};

pub(super) use tree::Broken;

/// Endings that templates have.
const ENDINGS: [&str; 6] = ["yaml", "yml", "json", "template", "cfn", "cform"];

/// Whether a file of that name may be a template.
pub(super) fn may_be_one(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// Whether it is worth the while to parse the text.
pub(super) fn looks_like_one(text: &str) -> bool {
    text.contains("Resources") && (text.contains("AWS::") || text.contains("Custom::"))
}

/// Finds the images that a template names, or `None` when the text is no template.
pub(super) fn scan(text: &str) -> Result<Option<Scan>, Broken> {
    let tree = Tree::parse(text)?;
    let templates: Vec<Id> = tree.roots().filter(|root| is_template(&tree, *root)).collect();
    if templates.is_empty() {
        return Ok(None);
    }
    let mut scan = Scan::default();
    for root in templates {
        let one = follow::Follow::new(text, &tree, root).images();
        scan.found.extend(one.found);
        scan.notes.extend(one.notes);
    }
    scan.found.sort_by_key(|found| found.range.start);
    scan.found.dedup();
    scan.notes.sort_by_key(|note| note.at);
    scan.notes.dedup();
    Ok(Some(scan))
}

/// A template has resources, of which at least one has a type as CloudFormation writes it.
fn is_template(tree: &Tree, root: Id) -> bool {
    let Some(resources) = tree.get(root, "Resources") else { return false };
    places::resources(tree, resources).iter().any(|resource| {
        tree.get(*resource, "Type").and_then(|kind| tree.text(kind)).is_some_and(|kind| kind.contains("::"))
    })
}

#[cfg(test)]
mod tests;
