//! The log, and the last log line of an event, from which metrics are made.

pub(crate) mod refresh;
pub(crate) mod subscriber;
pub(crate) mod summary;
