//! Sources of temporary AWS credentials, and the access keys that all APIs accept.

mod container;
mod instance;
mod keys;
mod sso;
mod sts;
mod token;

pub use container::ContainerCredentials;
pub use sso::Sso;
pub use sts::Sts;

pub(crate) use container::Endpoint as ContainerEndpoint;
pub(crate) use instance::InstanceMetadata;
pub(crate) use keys::{AccessKeys, KeyError};
