//! What refers to an image goes along: signatures, SBOMs, attestations, and what refers to those.
//!
//! It is looked for upstream under the digests that upstream knows, and is at the destination before
//! the tag is. Nothing of it makes a copy fail: what cannot be had, or is refused, is counted and told.

mod candidate;
mod copy;
mod find;
mod job;
mod place;

pub(super) use copy::copy;
