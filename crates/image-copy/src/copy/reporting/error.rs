//! What can go wrong with a copy, told in one line.

use std::time::Duration;

use super::progress::Progress;
use crate::copy::request::Request;
use crate::oci::{Digest, Platform};
use crate::{http, registry};

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
    /// Reading a manifest that an index or a tag has led to.
    ReadPart,
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

/// What kind of trouble a [`Failure`] is, for whoever has to say what to change. Matched
/// exhaustively by those who do, so that a new kind without advice does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Problem {
    /// No such image or repository.
    Missing,
    /// The registry wants a login, and there was none. Many registries say so of what is missing.
    LoginNeeded,
    /// The login was refused.
    LoginRefused,
    /// The login is good, but not for this.
    Denied,
    /// The login could not be had.
    CredentialsUnavailable,
    /// The allowance of pulls is used up.
    PullLimit,
    /// Told to slow down until time ran out.
    Throttled,
    /// No connection came about.
    Unreachable,
    /// No connection came about through the proxy.
    BehindProxy,
    /// The other side's certificate was refused.
    CertificateRefused,
    /// The connection broke or fell silent.
    Interrupted,
    /// The other side failed by its own account.
    ServerTrouble,
    /// Content is not what its digest says.
    Corrupt,
    /// What came cannot be read, or breaks the protocol.
    Unreadable,
    /// The registry named an address that it must not name.
    ForbiddenAddress,
    /// Refused for another reason.
    Refused,
    /// Nothing for the platform.
    NoPlatform,
    /// The tag cannot move.
    TagImmutable,
    /// The destination would not store it.
    NotStorable,
    /// More manifests than an image can have.
    TooManyManifests,
    /// Time ran out.
    Deadline,
}

impl Failure {
    pub(in crate::copy) fn registry(
        side: Side,
        operation: Operation,
        subject: String,
        cause: registry::Error,
    ) -> Error {
        Box::new(Self::Registry { side, operation, subject, cause })
    }

    /// Which end it happened at.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::Registry { side, .. } => *side,
            Self::TagImmutable { .. } => Side::Destination,
            Self::NoPlatform { .. }
            | Self::NotStorable { .. }
            | Self::TooManyManifests { .. }
            | Self::Deadline { .. } => Side::Source,
        }
    }

    /// While doing what, where a registry said no.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Registry { operation, .. } => Some(*operation),
            _ => None,
        }
    }

    /// Whether it was about something that the source itself named, and nobody who can misspell.
    #[must_use]
    pub fn is_about_a_part(&self) -> bool {
        self.side() == Side::Source
            && matches!(self.operation(), Some(Operation::ReadPart | Operation::ReadBlob))
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Registry { cause, .. } => problem_of(cause),
            Self::NoPlatform { .. } => Problem::NoPlatform,
            Self::TagImmutable { .. } => Problem::TagImmutable,
            Self::NotStorable { .. } => Problem::NotStorable,
            Self::TooManyManifests { .. } => Problem::TooManyManifests,
            Self::Deadline { .. } => Problem::Deadline,
        }
    }
}

impl Request {
    /// The destination said no.
    #[must_use]
    pub fn destination_failure(&self, operation: Operation, cause: registry::Error) -> Error {
        Failure::registry(Side::Destination, operation, self.destination_name(), cause)
    }
}

fn problem_of(cause: &registry::Error) -> Problem {
    use registry::Error;
    match cause {
        Error::Refused(refusal) | Error::Expired(refusal) => problem_of_refusal(refusal),
        Error::Service { code, .. } => problem_of_service(code),
        Error::Protocol(_) | Error::Manifest(_) => Problem::Unreadable,
        Error::DigestMismatch { .. } | Error::SizeMismatch { .. } => Problem::Corrupt,
        Error::Credentials(_) => Problem::CredentialsUnavailable,
        Error::TooFewPulls { .. } => Problem::PullLimit,
        Error::Http(error) => match error.kind {
            http::Kind::Dns | http::Kind::Connect(_) | http::Kind::ConnectTimeout => Problem::Unreachable,
            http::Kind::Proxy { .. } => Problem::BehindProxy,
            http::Kind::Tls(_) => Problem::CertificateRefused,
            http::Kind::Timeout | http::Kind::Interrupted => Problem::Interrupted,
            http::Kind::TooLarge { .. } => Problem::Unreadable,
            http::Kind::Forbidden(_) => Problem::ForbiddenAddress,
        },
    }
}

fn problem_of_refusal(refusal: &registry::Refusal) -> Problem {
    match refusal.status {
        _ if refusal.is_pull_limit() => Problem::PullLimit,
        // The code alone may also stand for a tag that is none.
        400..=499 if refusal.has("TAG_INVALID") && refusal.mentions("immutable") => Problem::TagImmutable,
        401 if refusal.login == registry::LoginSent::No => Problem::LoginNeeded,
        // The login was good for a token, and the token is not for this: Docker Hub, Quay and GitLab say
        // so of what does not exist, too.
        401 if refusal.login == registry::LoginSent::Exchanged => Problem::Denied,
        401 => Problem::LoginRefused,
        // GHCR and others answer 403 to whoever is not logged in.
        403 if refusal.login == registry::LoginSent::No => Problem::LoginNeeded,
        403 => Problem::Denied,
        404 => Problem::Missing,
        429 => Problem::Throttled,
        500..=599 => Problem::ServerTrouble,
        _ => Problem::Refused,
    }
}

/// By the names that AWS gives its errors
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html>).
fn problem_of_service(code: &str) -> Problem {
    match code {
        "AccessDeniedException" | "AccessDenied" => Problem::Denied,
        "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => Problem::LoginRefused,
        "RepositoryNotFoundException" | "ImageNotFoundException" => Problem::Missing,
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottledException"
        | "SlowDown" => Problem::Throttled,
        "ServerException" | "InternalFailure" | "ServiceUnavailable" | "RequestTimeout" => {
            Problem::ServerTrouble
        }
        "ImageTagAlreadyExistsException" => Problem::TagImmutable,
        "ImageDigestDoesNotMatchException" => Problem::Corrupt,
        _ => Problem::Refused,
    }
}
