//! The response to an event: its document, its text, and its delivery. The error of a direct event.

pub(crate) mod delivery;
pub(crate) mod function_error;
pub(crate) mod reason;
pub(crate) mod response;
pub(crate) mod success;
