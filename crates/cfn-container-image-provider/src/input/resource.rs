//! Resource whose image an event copies or deletes.

use image_copy_aws::Owner;

/// Physical ID of a failed Create, the same as the original provider's.
pub(crate) const CREATE_FAILED: &str = "create-failed";

/// Resource of a stack, or caller of a direct event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Owner of the image in the state table.
    pub(crate) owner: Owner,
    /// Logical ID in the template. Empty for a direct event.
    pub(crate) logical_id: String,
    /// Current physical ID, or [`CREATE_FAILED`].
    pub(crate) physical_id: String,
    /// True if no other owner can put another image under the tag.
    pub(crate) is_exclusive: bool,
}
