//! Amazon ECR behind the traits of `image-copy`, and the other services of AWS that a copy needs.
//!
//! | module | holds |
//! |---|---|
//! | [`partition`] | the parts of AWS, with their Regions and accounts |
//! | [`arn`], [`ecr_registry_host`] | ARNs of repositories, hosts of registries |
//! | [`credential_arn`] | ARNs of what holds a login |
//! | [`endpoints`] | host names of APIs and registries, FIPS and dual-stack too |
//! | [`clients`] | one SDK client per Region |
//! | [`retry`] | the one place that retries a call and turns its error into the engine's |
//! | [`credentials`] | logins for the registry API, from `GetAuthorizationToken` |
//! | [`public_credentials`] | logins for ECR Public |
//! | [`token`] | the authorization token that both are made of |
//! | [`secrets`], [`registry_secret`] | what a secret or parameter holds, and whose login that is |
//! | [`repository`] | one repository through the control plane: the engine's `Inventory` |
//! | [`functions`] | Lambda's `Invoke`, for a copy that goes on in another invocation |
//! | [`deletion`] | tags and images of a repository, deleted |
//! | [`state_table`] | owners and copies of each tag, in DynamoDB |
//! | [`mutability`], [`manifest_check`] | what a repository allows, as pure functions |

mod arn;
mod clients;
mod credential_arn;
mod credentials;
mod deletion;
mod ecr_registry_host;
mod endpoints;
mod functions;
mod images;
mod manifest_check;
mod mutability;
mod partition;
mod public_credentials;
mod referrers;
mod registry_secret;
mod repository;
mod retry;
mod secrets;
mod state_table;
#[cfg(test)]
mod testing;
mod token;

pub use arn::{InvalidRepositoryArn, RepositoryArn};
pub use clients::{AwsClients, ClientOptions};
pub use credential_arn::{CredentialArn, InvalidCredentialArn};
pub use credentials::EcrCredentials;
pub use deletion::TagRemoval;
pub use ecr_registry_host::EcrRegistryHost;
pub use endpoints::{EndpointOptions, UnsupportedEndpoint};
pub use functions::{Functions, InvokeError};
pub use partition::Partition;
pub use public_credentials::EcrPublicCredentials;
pub use registry_secret::{RegistrySecret, UnusableSecret};
pub use repository::EcrRepository;
pub use retry::RetryPolicy;
pub use secrets::{SecretReadError, SecretReadErrorKind, Secrets};
pub use state_table::{CopyRecord, Lease, Owner, StateTable, TagState, WriteOutcome};
