//! Copies container images from registry to registry, byte for byte, without a container runtime
//! and without touching the disk.
//!
//! - [`oci`]: what there is: references, digests, platforms, manifests. Pure data.
//! - [`http`]: one request: sent, repeated where that helps, never redirected.
//! - [`registry`]: one conversation with one registry, by the distribution specification.
//! - [`copy`]: the product: [`copy::plan`] finds out what has to be done, [`copy::transfer`] does it.
//!
//! Each uses only those above it. The crate knows no cloud, and reads no environment variable but
//! those of proxies and certificates, which its HTTP client reads.

#![deny(missing_docs)]

pub mod copy;
pub mod http;
pub mod oci;
pub mod registry;
