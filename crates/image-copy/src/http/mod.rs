//! One request.
mod error;
pub use error::{Error, Kind};
