//! Emulates AWS and upstream registries on one machine, for tests and demonstrations.
//!
//! An HTTPS proxy terminates TLS for the real host names with its own CA certificate. The program under
//! test needs only `HTTPS_PROXY` and `SSL_CERT_FILE`. Behind the proxy are [`Service`]s: ECR, DynamoDB,
//! other AWS APIs, and registries that behave like Docker Hub and others. The emulator logs every request
//! and applies faults, which are data. It rejects a call that it does not implement with an error that
//! names the call.
//!
//! ```no_run
//! # async fn example() -> Result<(), aws_emulator::BoxError> {
//! use aws_emulator::{Effect, Emulator, Fault, ImageBuilder, Mutability};
//!
//! let emulator = Emulator::start().await?;
//! let image = ImageBuilder::new(1).attestations().index();
//! emulator.docker_hub().put_image("library/python", "3.13", &image);
//! let arn = emulator.repository_arn("python");
//! let repository = emulator.ecr().create_repository(&arn, Mutability::Mutable);
//! let reset = Effect::Reset { after_bytes: 100, on: None };
//! emulator.faults().add(Fault::on("blob.content", reset).once());
//!
//! let mark = emulator.log().mark();
//! // Run the program under test with `emulator.environment()`, then check:
//! assert_eq!(repository.resolve("3.13").as_deref(), Some(image.digest()));
//! assert!(repository.integrity_errors("3.13").is_empty());
//! assert_eq!(emulator.log().pulls(mark), 5);
//! # Ok(())
//! # }
//! ```
//!
//! The crate shares no code with the copy engine, so that the same mistake cannot be in both.

mod actions_seen;
mod api;
mod blob;
mod body;
pub mod bucket;
mod ca;
mod distribution;
mod ecr;
mod emulator;
mod fault;
mod faulty_body;
mod hostile_host;
mod identity;
mod ids;
mod image;
pub mod lambda;
mod log;
mod objects;
mod proxy;
mod service;
pub mod stack;
mod stream;
mod timestamp;
mod upstream;
pub mod workflows;

pub use api::dynamodb::DynamoDb;
pub use api::ecr_public::EcrPublic;
pub use api::iam::Iam;
pub use api::parameters::Parameters;
pub use api::secrets::{KmsKey, Secrets};
pub use blob::{Blob, GeneratedBlobs, digest};
pub use body::{Body, BoxError, empty, full, read};
pub use ecr::{Ecr, Mutability, PullThroughSettings, PushEvent, Repository};
pub use emulator::{Emulator, STATE_TABLE, Settings};
pub use fault::{Direction, Effect, Fault, Faults, Link, RequestFilter};
pub use hostile_host::HostileHost;
pub use identity::{ContainerCredentials, Sso, Sts};
pub use image::{Image, ImageBuilder, Manifest};
pub use log::{Authorization, Log, LogEntry, LogHandle, LogPosition};
pub use objects::Objects;
pub use service::{Operation, Request, Response, Service, json_response, reset_connection, response};
pub use upstream::{
    AnonymousAccess, AuthScheme, Availability, ErrorResponse, ErrorResponses, Profile, Quirk, RangeSupport,
    RateHeaders, RateLimit, RedirectingHost, ReferrersSupport, Registry, TokenFields,
};
