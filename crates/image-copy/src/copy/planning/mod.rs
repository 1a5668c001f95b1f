//! Planning: finds the manifests and blobs that the destination lacks. Only reads.

mod create;
mod known;
mod missing;
mod plan;
mod platforms;
mod select;
mod survey;
mod walk;

pub use create::plan;
pub(super) use missing::missing_blobs;
pub use plan::Plan;
pub(super) use plan::{TargetImage, tag_move};
pub use platforms::{MAX_CONFIG_BYTES, config_of, platform_in};
pub use select::{image_for, images};
pub use survey::{Survey, survey};
pub(super) use walk::{Found, Walk};
