//! Amazon ECR behind the traits of `image-copy`, and the other services of AWS that a copy needs.
//!
//! | module | holds |
//! |---|---|
//! | [`arn`] | repository ARNs and registry hosts, of every partition |
//! | [`clients`] | one SDK client per Region |
//! | [`call`] | the one place that retries a call and turns its error into the engine's |
//! | [`credentials`] | logins for the registry API, from `GetAuthorizationToken` |
//! | [`repository`] | one repository through the control plane: the engine's `Inventory` |
//! | [`functions`] | Lambda's `Invoke`, for a copy that goes on in another invocation |
//! | [`removal`] | tags and images off a repository |
//! | [`mutability`], [`storable`] | what a repository allows, as pure functions |

pub mod arn;
pub mod call;
pub mod clients;
pub mod credentials;
pub mod functions;
mod images;
pub mod mutability;
mod referrers;
mod removal;
pub mod repository;
pub mod storable;
#[cfg(test)]
mod testing;

pub use arn::{InvalidArn, Partition, RegistryHost, RepositoryArn};
pub use call::Patience;
pub use clients::EcrClients;
pub use credentials::EcrCredentials;
pub use functions::{Functions, NotInvoked};
pub use removal::{Removal, StoredImage};
pub use repository::EcrRepository;
