//! Images in the provider's state table.

use image_copy::oci::Reference;
use image_copy_aws::{CopyRecord, TableContent};

use super::images::{CopySource, Origin, ReliedCopy, ReliedImages};
use super::notes::Note;

/// Returns the tags with an owner, each with the newest copy of every owner.
pub(super) fn images(content: TableContent, notes: &mut Vec<Note>) -> ReliedImages {
    let mut images = ReliedImages::default();
    let mut unreadable = content.unreadable;
    for state in &content.tags {
        let Ok(name) = state.image.parse::<Reference>() else {
            unreadable += 1;
            continue;
        };
        for owner in state.owners.keys() {
            let origin = Origin::of_owner(owner.name());
            let copy = match state.copies_of(owner).next() {
                Some(record) => copy(origin, record),
                None => ReliedCopy { origin, digest: name.digest.clone(), source: None },
            };
            images.add(name.clone(), copy);
        }
    }
    if unreadable > 0 {
        let items = if unreadable == 1 { "1 item".to_owned() } else { format!("{unreadable} items") };
        notes.push(Note::Text(format!("the state table contains {items} without the state of a tag.")));
    }
    images
}

/// Returns the copy of a record.
pub(super) fn copy(origin: Origin, record: &CopyRecord) -> ReliedCopy {
    let reference: Option<Reference> = record.source.parse().ok();
    let source = reference.map(|reference| CopySource { reference, digest: record.source_digest.clone() });
    ReliedCopy { origin, digest: Some(record.digest.clone()), source }
}
