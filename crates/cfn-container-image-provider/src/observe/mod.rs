//! The log, and the last line of an event, from which metrics are made.

pub(crate) mod logging;
pub(crate) mod summary;
