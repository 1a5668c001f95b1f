//! The response to an event: its document, its text, and its delivery. Results and errors of direct events.

pub(crate) mod delivery;
pub(crate) mod direct_result;
pub(crate) mod function_error;
pub(crate) mod reason;
pub(crate) mod response;
pub(crate) mod success;
