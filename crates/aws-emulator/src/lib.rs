//! Stands in for AWS and the upstream registries on one machine, for tests and demonstrations.
//!
//! An HTTPS proxy ends TLS for the real host names with its own authority, so that the program
//! under test needs `HTTPS_PROXY` and `SSL_CERT_FILE` and no switch of its own. Behind the proxy are
//! [`Service`]s: registries with Docker Hub's manners, ECR, DynamoDB and others. Every request is
//! logged, and faults are data. A call that is not implemented is refused by its name.
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
//! let cut = Effect::Reset { after_bytes: 100, on: None };
//! emulator.faults().add(Fault::on("blob.content", cut).once());
//!
//! let mark = emulator.log().mark();
//! // Run the program under test with `emulator.environment()`, then look:
//! assert_eq!(repository.resolve("3.13").as_deref(), Some(image.digest()));
//! assert!(repository.integrity_errors("3.13").is_empty());
//! assert_eq!(emulator.log().pulls(mark), 5);
//! # Ok(())
//! # }
//! ```
//!
//! The crate shares no code with the copy engine, so that one mistake cannot hide the other.

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
mod ids;
mod image;
pub mod lambda;
mod log;
mod proxy;
mod service;
pub mod stack;
mod stream;
mod timestamp;
mod upstream;

pub use api::dynamodb::DynamoDb;
pub use api::ecr_public::EcrPublic;
pub use api::parameters::Parameters;
pub use api::secrets::{KmsKey, Secrets};
pub use blob::{Blob, GeneratedBlobs, digest};
pub use body::{Body, BoxError, empty, full, read};
pub use ecr::{Ecr, Mutability, PullThroughSettings, PushEvent, Repository};
pub use emulator::{Emulator, STATE_TABLE, Settings};
pub use fault::{Direction, Effect, Fault, Faults, Link, RequestFilter};
pub use hostile_host::HostileHost;
pub use image::{Image, ImageBuilder, Manifest};
pub use log::{Authorization, Log, LogEntry, LogHandle, LogPosition};
pub use service::{Operation, Request, Response, Service, json_response, reset_connection, response};
pub use upstream::{
    AnonymousAccess, AuthScheme, Availability, ErrorResponse, ErrorResponses, Profile, Quirk, RangeSupport,
    RateHeaders, RateLimit, RedirectingHost, ReferrersSupport, Registry, TokenFields,
};
