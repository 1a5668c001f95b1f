//! Finds the manifests and blobs that the destination lacks. Only reads.

mod create;
mod current_state;
mod customized;
mod earlier_copy;
mod inspection;
mod manifest_reader;
mod missing_blobs;
mod plan;
mod platforms;
mod select;

pub use create::plan;
pub use current_state::{CurrentState, read_current_state};
pub use customized::{ConfigChange, CustomizedContent};
pub use inspection::{read_children, read_config, read_root};
pub(super) use manifest_reader::{LocatedManifest, ManifestReader};
pub(super) use missing_blobs::missing_blobs;
pub use plan::Plan;
pub(super) use plan::{TargetImage, tag_change};
pub use platforms::{MAX_CONFIG_BYTES, config_of, platform_from_config};
pub use select::{image_children, image_for_platform};
