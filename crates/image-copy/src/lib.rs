//! Copies container images from registry to registry, byte for byte, without a container runtime
//! and without touching the disk.
//!
//! - [`text`]: text from outside, made safe to print.
//! - [`oci`]: references, digests, platforms, manifests. Pure data.
//! - [`http`]: one request, with retries and without redirects.
//! - [`registry`]: one registry, by the distribution specification.
//! - [`copy`]: [`copy::read_current_state`] and [`copy::plan`] read both sides, [`copy::transfer`] writes.
//!
//! Each module uses only those above it. The crate contains nothing specific to a cloud. It reads no
//! environment variables, except those for proxies and certificates, which its HTTP client reads.

#![deny(missing_docs)]

pub mod copy;
pub mod http;
pub mod oci;
pub mod registry;
pub mod text;
