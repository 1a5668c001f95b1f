//! What comes over the wire: events, their properties, continuations, records of lost invocations.

pub(crate) mod continuation;
pub(crate) mod event;
mod issued;
pub(crate) mod lost;
pub(crate) mod properties;
