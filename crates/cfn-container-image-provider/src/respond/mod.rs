//! The response to an event: its document, its text, and its delivery.

pub(crate) mod delivery;
pub(crate) mod reason;
pub(crate) mod response;
pub(crate) mod success;
