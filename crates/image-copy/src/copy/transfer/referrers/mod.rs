//! Copies referrers: signatures, SBOMs, attestations, and their own referrers.
//!
//! Referrers are looked up at the source and copied before the tag is written. A referrer that cannot be
//! copied is counted and causes a warning, not a failure.

mod candidate;
mod copy;
mod lookup;
mod state;
mod write;

pub(super) use copy::copy;
