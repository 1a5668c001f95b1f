//! Plan and transfer.
mod error;
mod inventory;
mod outcome;
mod request;
pub use error::{Error, Failure, Operation, Side};
pub use inventory::{Facts, Inventory};
pub use outcome::{Outcome, Progress, TagMove};
pub use request::{Platforms, Request};
