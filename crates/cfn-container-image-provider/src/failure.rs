//! Why an event could not be carried out. The text is written where the response is.

use image_copy::copy;
use image_copy::registry;

use crate::clients::credentials::SecretProblem;
use crate::input::continuation::StopReason;
use crate::input::event::InvalidEvent;
use crate::input::failed_invocation::InvocationFailure;
use crate::input::properties::InvalidProperty;
use crate::settings::SourceNotAllowed;

/// Why an event could not be carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// The event cannot be read.
    Event(InvalidEvent),
    /// A property is wrong.
    Property(InvalidProperty),
    /// A setting of the provider is wrong.
    Setting(String),
    /// The installer does not allow this source.
    SourceNotAllowed(SourceNotAllowed),
    /// The image could not be copied.
    Copy(copy::Error),
    /// The image could not be copied because the credentials in a secret are missing or unusable.
    Secret { failure: copy::Error, problem: Box<SecretProblem> },
    /// Time ran out, and another invocation cannot continue.
    Stopped { failure: copy::Error, reason: StopReason },
    /// A Delete or a later event of the same resource was carried out meanwhile.
    Superseded,
    /// Another event was changing the tag until time ran out.
    TagBusy { image: String },
    /// The tag could not be written or deleted in the time of a lease.
    LeaseEnded,
    /// The image could not be deleted.
    NotDeleted(Box<NotDeleted>),
    /// Earlier invocations sent no response. Only the watchdog reports this.
    Invocation(InvocationFailure),
    /// The work did not stop by itself.
    TimeRanOut { seconds: u64 },
    /// A defect of the provider.
    Panic,
}

/// An image that ECR did not delete.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NotDeleted {
    /// `<registry>/<repository>:<tag>`, or `@<digest>`.
    pub(crate) image: String,
    pub(crate) cause: registry::Error,
}
