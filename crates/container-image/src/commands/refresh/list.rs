//! The file of `--list`.

use crate::list_file;

/// A valid list.
pub(super) struct List {
    /// Name in messages.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
    /// Number of entries.
    pub(super) entries: usize,
}

/// Reads and checks a list.
///
/// # Errors
/// One line for each error. A list without an entry is an error, because it would end all refreshes.
pub(super) fn read(argument: &str) -> Result<List, Vec<String>> {
    let (name, content) = list_file::content(argument)?;
    let entries = list_file::entries(&name, &content)?.len();
    if entries == 0 {
        return Err(vec![format!("the list {name} contains no image. Add a reference.")]);
    }
    Ok(List { name, content, entries })
}
