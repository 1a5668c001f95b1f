//! Copies container images from registry to registry.
pub mod copy;
pub mod http;
pub mod oci;
pub mod registry;
