//! What callers get to see of a copy: its progress, and its outcome or failure.

mod amounts;
mod error;
mod outcome;
mod progress;
mod referrers;
mod summary;

pub use error::{Error, Failure, Operation, Problem, Side};
pub use outcome::{Outcome, TagMove};
pub use progress::{NoReport, Progress, Reporter};
pub use referrers::Referrers;
