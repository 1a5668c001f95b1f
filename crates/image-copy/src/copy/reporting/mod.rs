//! Progress, outcome and failures of a copy.

mod amounts;
mod code;
mod error;
mod outcome;
mod progress;
mod referrers;
mod summary;

pub use error::{Error, Failure, Operation, Problem, Side};
pub use outcome::{Outcome, TagChange};
pub use progress::{NullReporter, Progress, ProgressReporter};
pub use referrers::ReferrerCounts;
