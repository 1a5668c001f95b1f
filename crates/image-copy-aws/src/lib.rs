//! Amazon ECR as implementations of the traits of `image-copy`, and the other AWS services that a copy needs.
//!
//! | module | content |
//! |---|---|
//! | [`partition`] | AWS partitions, with their Regions and domains |
//! | [`arn`], [`ecr_registry_host`] | ARNs of repositories, hosts of private ECR registries |
//! | [`credential_arn`] | ARNs of secrets and parameters that contain credentials |
//! | [`endpoints`] | host names of APIs and registries, including FIPS and dual-stack |
//! | [`clients`] | SDK clients, one for each Region |
//! | [`shell`], [`unavailable`] | SDK clients with the credentials of a shell, and credentials that cannot be loaded |
//! | [`retry`] | retries of API calls, and their errors as errors of the engine |
//! | [`credentials`] | credentials for the registry API, from `GetAuthorizationToken` |
//! | [`public_credentials`] | credentials for ECR Public |
//! | [`token`] | authorization tokens of both |
//! | [`secrets`], [`registry_secret`] | reading secrets and parameters, and the credentials in them |
//! | [`repository`] | one repository, through the ECR API: the engine's `Inventory` |
//! | [`creation`], [`repository_spec`], [`empty_repository`] | creation of repositories, and repositories that are still missing |
//! | [`tags`] | tags of a repository |
//! | [`image_details`] | state of an image, and the lifecycle policy of its repository |
//! | [`lifecycle_preview`], [`scan_findings`] | images that a lifecycle policy is about to remove, findings of image scans |
//! | [`deployment`], [`repository_policy`] | the account, the provider's function and the permissions of its role, before a deployment |
//! | [`functions`] | Lambda's `Invoke`, for a copy that continues in another invocation |
//! | [`objects`] | objects in S3 |
//! | [`deletion`] | deletion of tags and images |
//! | [`listed_image`] | images of a refresh stack's list, with their destinations |
//! | [`executions`] | executions of Step Functions |
//! | [`stacks`] | CloudFormation stacks, their resources and templates |
//! | [`timestamp`] | the current time, and times as text |
//! | [`state_table`] | owners and copies of each tag, in DynamoDB |
//! | [`properties`], [`copy_settings`] | properties of an image in a template, and settings of the function |
//! | [`mutability`], [`manifest_check`] | tags and manifests that a repository accepts |

mod arn;
mod clients;
mod copy_settings;
mod creation;
mod credential_arn;
mod credentials;
mod deletion;
#[cfg(feature = "command-line")]
mod deployment;
mod ecr_registry_host;
mod empty_repository;
mod endpoints;
#[cfg(feature = "command-line")]
mod executions;
mod functions;
mod image_details;
mod images;
mod lifecycle_preview;
mod listed_image;
mod manifest_check;
mod mutability;
mod objects;
mod partition;
mod properties;
mod public_credentials;
mod referrers;
mod registry_secret;
mod repository;
#[cfg(feature = "command-line")]
mod repository_policy;
mod repository_spec;
mod retry;
mod scan_findings;
mod secrets;
mod shell;
#[cfg(feature = "command-line")]
mod stacks;
mod state_table;
mod tags;
#[cfg(test)]
mod testing;
mod timestamp;
mod token;
mod unavailable;

pub use arn::{InvalidRepositoryArn, RepositoryArn};
pub use clients::{AwsClients, ClientOptions};
pub use copy_settings::{
    AllowedSources, CopySettings, RegistryCredential, SourceNotAllowed, invalid_setting,
};
pub use creation::{Creation, CreationError, Ensured};
pub use credential_arn::{CredentialArn, InvalidCredentialArn};
pub use credentials::EcrCredentials;
pub use deletion::TagDeletion;
#[cfg(feature = "command-line")]
pub use deployment::{DeniedAction, FunctionConfiguration, function_region};
pub use ecr_registry_host::EcrRegistryHost;
pub use empty_repository::{MaybeMissingRepository, NewRepository};
pub use endpoints::{EndpointOptions, UnsupportedEndpoint};
#[cfg(feature = "command-line")]
pub use executions::{Execution, ExecutionStatus, Executions, ItemCounts};
pub use functions::{Functions, InvokeError};
pub use image_details::ImageDetails;
pub use lifecycle_preview::{LifecycleAction, SelectedImage};
pub use listed_image::ListedImage;
pub use objects::{InvalidObjectLocation, ObjectError, ObjectErrorKind, ObjectLocation, Objects};
pub use partition::Partition;
pub use properties::{InvalidProperty, Properties, display_value, fingerprint, parse_bool, platform_names};
pub use public_credentials::EcrPublicCredentials;
pub use registry_secret::{RegistrySecret, UnusableSecret};
pub use repository::EcrRepository;
#[cfg(feature = "command-line")]
pub use repository_policy::{PolicyDenials, RepositoryPolicy};
pub use repository_spec::{Encryption, RepositorySpec, TagMutability};
pub use retry::RetryPolicy;
pub use scan_findings::{ImageScan, Severity};
pub use secrets::{SecretReadError, SecretReadErrorKind, Secrets};
pub use shell::{ShellClients, ShellOptions};
#[cfg(feature = "command-line")]
pub use stacks::{Stack, StackError, StackResource, Stacks};
#[cfg(feature = "command-line")]
pub use state_table::TableContent;
pub use state_table::{CopyRecord, Lease, Owner, SeenDigests, StateTable, TagState, WriteOutcome};
pub use timestamp::{format_timestamp, unix_time};
pub use unavailable::UnavailableCredentials;
