//! What callers get to see of a copy: its progress, and its outcome or failure.

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
