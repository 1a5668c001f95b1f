//! What can go wrong with a copy, told in one line.

use std::time::Duration;

use super::Progress;
use crate::oci::{Digest, Platform};
use crate::registry;

/// Which end of a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Where the image comes from.
    Source,
    /// Where it goes to.
    Destination,
}

/// A step of a copy, as a permission would name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Looking at the repository itself.
    Inspect,
    /// Reading a manifest, or finding out its digest.
    ReadManifest,
    /// Asking which blobs are there.
    CheckBlobs,
    /// Reading a blob.
    ReadBlob,
    /// Starting an upload session.
    StartUpload,
    /// Sending a blob.
    SendBlob,
    /// Writing a manifest by digest.
    WriteManifest,
    /// Writing the tag.
    WriteTag,
}

/// Why an image was not copied. Boxed, so that results stay small.
pub type Error = Box<Failure>;

/// What went wrong with a copy, and where.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// A registry or the network said no.
    Registry {
        /// Whose registry.
        side: Side,
        /// While doing what.
        operation: Operation,
        /// Repository with tag or digest.
        subject: String,
        /// In the registry's words.
        cause: registry::Error,
    },
    /// The source has nothing for the platform.
    NoPlatform {
        /// The source reference.
        subject: String,
        /// The platform asked for.
        wanted: Platform,
        /// The platforms there are.
        available: Vec<Platform>,
    },
    /// The tag names another image and cannot be moved.
    TagImmutable {
        /// The destination reference.
        subject: String,
        /// What the tag names.
        existing: Digest,
        /// What it should name.
        wanted: Digest,
    },
    /// The destination would not store what the source has.
    NotStorable {
        /// The source reference with the digest of the manifest in question.
        subject: String,
        /// Why, in one line.
        objection: String,
    },
    /// An index of indexes of indexes, or one with more manifests than can be meant.
    TooManyManifests {
        /// The source reference.
        subject: String,
        /// How many are allowed.
        limit: usize,
    },
    /// Time ran out.
    Deadline {
        /// The source reference.
        subject: String,
        /// How far it came.
        progress: Progress,
        /// Time that there was.
        elapsed: Duration,
    },
}
