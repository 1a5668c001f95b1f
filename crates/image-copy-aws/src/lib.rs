//! Amazon ECR behind the traits of `image-copy`, and the other services of AWS that a copy needs.
//!
//! | module | holds |
//! |---|---|
//! | [`partition`] | the parts of AWS, with their Regions and accounts |
//! | [`arn`], [`registry_host`] | ARNs of repositories, hosts of registries |
//! | [`credential_arn`] | ARNs of what holds a login |
//! | [`endpoints`] | host names of APIs and registries, FIPS and dual-stack too |
//! | [`clients`] | one SDK client per Region |
//! | [`call`] | the one place that retries a call and turns its error into the engine's |
//! | [`credentials`] | logins for the registry API, from `GetAuthorizationToken` |
//! | [`public`] | logins for ECR Public |
//! | [`token`] | the authorization token that both are made of |
//! | [`secrets`], [`login_secret`] | what a secret or parameter holds, and whose login that is |
//! | [`repository`] | one repository through the control plane: the engine's `Inventory` |
//! | [`functions`] | Lambda's `Invoke`, for a copy that goes on in another invocation |
//! | [`deletion`] | tags and images of a repository, deleted |
//! | [`state_table`] | owners and copies of each tag, in DynamoDB |
//! | [`mutability`], [`storable`] | what a repository allows, as pure functions |

mod arn;
mod call;
mod clients;
mod credential_arn;
mod credentials;
mod deletion;
mod endpoints;
mod functions;
mod images;
mod login_secret;
mod mutability;
mod partition;
mod public;
mod referrers;
mod registry_host;
mod repository;
mod secrets;
mod state_table;
mod storable;
#[cfg(test)]
mod testing;
mod token;

pub use arn::{InvalidArn, RepositoryArn};
pub use call::Patience;
pub use clients::{ClientOptions, EcrClients};
pub use credential_arn::{CredentialArn, InvalidCredentialArn};
pub use credentials::EcrCredentials;
pub use deletion::TagRemoval;
pub use endpoints::{Endpoints, NoEndpoint};
pub use functions::{Functions, NotInvoked};
pub use login_secret::{LoginSecret, Unusable};
pub use partition::Partition;
pub use public::EcrPublicCredentials;
pub use registry_host::RegistryHost;
pub use repository::EcrRepository;
pub use secrets::{NotRead, Obstacle, Secrets};
pub use state_table::{CopyRecord, Lease, Owner, StateTable, TagState, Written};
