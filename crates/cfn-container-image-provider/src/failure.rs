//! Failures of an event. `respond/reason` has their texts.

use image_copy::copy;
use image_copy::list::ListError;
use image_copy::oci::Digest;
use image_copy::registry;
use image_copy_aws::{InvalidProperty, ObjectError, ObjectLocation, Owner, SourceNotAllowed};

use crate::clients::credentials::SecretProblem;
use crate::event_state::StateUse;
use crate::input::continuation::StopReason;
use crate::input::event::InvalidEvent;
use crate::input::failed_invocation::InvocationFailure;

/// Failure of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// The event is invalid.
    Event(InvalidEvent),
    /// A property is invalid.
    Property(InvalidProperty),
    /// A parameter of the provider is invalid.
    Setting(String),
    /// `AllowedSources` does not contain this source.
    SourceNotAllowed(SourceNotAllowed),
    /// The image could not be copied.
    Copy(copy::Error),
    /// The image could not be copied because the credentials in a secret are missing or unusable.
    Secret { failure: copy::Error, problem: Box<SecretProblem> },
    /// Time ran out, and another invocation cannot continue.
    Stopped { failure: copy::Error, reason: StopReason },
    /// A Delete or a later event of the same resource was completed first.
    Superseded,
    /// Another owner has another image under the tag, and one of the two is exclusive.
    OtherOwner { image: String, other: Owner, digest: Digest, owner: Owner },
    /// The age of the image is unknown, because the state table is off or unavailable.
    AgeUnknown { state: StateUse },
    /// Another event was changing the tag until time ran out.
    TagBusy { image: String },
    /// The tag could not be written or deleted before the lease ended.
    LeaseEnded { image: String },
    /// The image could not be deleted.
    NotDeleted(Box<NotDeleted>),
    /// A list could not be expanded, or no report could be made.
    Refresh(Box<RefreshFailure>),
    /// Earlier invocations sent no response. Only the watchdog reports this.
    Invocation(InvocationFailure),
    /// The operation did not stop at its deadline.
    TimeRanOut { seconds: u64 },
    /// Internal error in the provider.
    Panic,
}

/// An image that ECR did not delete.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NotDeleted {
    /// `<registry>/<repository>:<tag>`, or `@<digest>`.
    pub(crate) image: String,
    pub(crate) cause: registry::Error,
}

/// Failure of a refresh workflow.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RefreshFailure {
    /// The list has errors.
    InvalidList(Vec<ListError>),
    /// An object could not be read or written.
    Object { location: ObjectLocation, access: ObjectAccess, error: ObjectError },
    /// An object does not have the expected content. `problem` is the end of a sentence.
    InvalidObject { location: ObjectLocation, problem: &'static str },
    /// Rules select none of the source's tags.
    NothingSelected { repository: String, tags: usize },
    /// The state table could not be read.
    StateUnavailable(registry::Error),
    /// Time ran out after some of the repositories.
    Timeout { seconds: u64, finished: usize, count: usize },
}

/// Use of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ObjectAccess {
    /// The user's list is read.
    ReadList,
    /// An object of the workflow is read.
    ReadRun,
    /// An object of the workflow is written.
    Write,
}
