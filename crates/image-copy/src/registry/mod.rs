//! One conversation with one registry, by the distribution specification.
mod credentials;
mod error;
pub use credentials::{Anonymous, Credentials, Login};
pub use error::{Code, Error, LoginSent, RateLimit, Refusal};
