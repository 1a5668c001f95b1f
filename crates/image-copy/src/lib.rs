//! Copies container images between registries, byte for byte, without a container runtime and without using
//! the disk.
//!
//! - [`text`]: sanitizes text from outside. [`yaml`]: parses YAML with the positions of its nodes.
//! - [`oci`]: references, digests, platforms and manifests. No I/O.
//! - [`customize`]: changes images by Dockerfile lines. No I/O.
//! - [`http`]: sends one request, with retries and without redirects.
//! - [`registry`]: client of one registry, by the OCI distribution specification.
//! - [`copy`]: [`copy::read_current_state`] and [`copy::plan`] read both registries, [`copy::transfer`]
//!   writes.
//! - [`list`]: parses lists of images to copy. No I/O.
//!
//! Each module uses only the modules above it. The crate contains no code for a specific cloud. Its HTTP
//! client reads the environment variables for proxies and certificates. No other environment variables are
//! read.

#![deny(missing_docs)]

pub mod copy;
pub mod customize;
pub mod http;
pub mod list;
pub mod oci;
pub mod registry;
pub mod text;
pub mod yaml;
