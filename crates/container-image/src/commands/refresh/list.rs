//! The file of `--list`.

use image_copy::list::ListError;
use image_copy::oci::Prefix;
use image_copy_aws::ListedImage;

use crate::list_file;

/// A list without errors of its format.
pub(super) struct List {
    /// Name in messages.
    pub(super) name: String,
    pub(super) content: Vec<u8>,
    /// Number of entries.
    pub(super) entries: usize,
}

/// Reads and parses a list.
///
/// # Errors
/// One line for each error. A list without an entry is an error, because it would end all refreshes.
pub(super) fn read(argument: &str) -> Result<List, Vec<String>> {
    let (name, content) = list_file::content(argument)?;
    let entries = list_file::entries(&name, &content)?.len();
    if entries == 0 {
        return Err(vec![list_file::no_image(argument)]);
    }
    Ok(List { name, content, entries })
}

impl List {
    /// Checks all that the function checks before it sends requests, except that `prune` needs a state table.
    ///
    /// # Errors
    /// One line for each error.
    pub(super) fn check(&self, prefix: &Prefix) -> Result<(), Vec<String>> {
        let images = ListedImage::read_list(&self.name, &self.content, prefix, true);
        images.map(drop).map_err(|errors| errors.iter().map(ListError::to_string).collect())
    }
}
