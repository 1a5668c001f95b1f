//! Stands in for AWS and the upstream registries on one machine, for tests and demonstrations.
//!
//! An HTTPS proxy ends TLS for the real host names with its own authority, so that the program
//! under test needs `HTTPS_PROXY` and `SSL_CERT_FILE` and no switch of its own. Behind the proxy
//! stand [`Service`]s: registries with Docker Hub's manners, and ECR. Every request is logged, and
//! faults are data. What is not implemented is refused loudly, naming the call.
//!
//! The crate shares no code with the copy engine, so that one mistake cannot hide the other.

mod blob;
mod body;
mod ca;
mod distribution;
mod ecr;
mod emulator;
mod fault;
mod image;
mod inject;
mod log;
mod proxy;
mod service;
mod upstream;
mod wire;

pub use blob::{Blob, Library, digest};
pub use body::{Body, BoxError, empty, full, read};
pub use ecr::{Ecr, Mutability, Repository};
pub use emulator::{Emulator, Settings};
pub use fault::{Direction, Effect, Fault, Faults, Match};
pub use image::{Image, Manifest, Recipe};
pub use log::{Authorization, Entry, Exchange, Log, Mark};
pub use service::{Operation, Request, Response, Service, answer, hang_up, json};
pub use upstream::{Profile, RangeManner, RateHeaders, RateLimit, Registry, Switch};
