//! Failures of a copy.

use std::time::Duration;

use super::progress::Progress;
use crate::copy::budget::ImageLimit;
use crate::copy::request::Request;
use crate::customize::CustomizationError;
use crate::oci::{Digest, Platform};
use crate::{http, registry};

/// Source or destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The registry that the image is read from.
    Source,
    /// The registry that the image is written to.
    Destination,
}

/// A step of a copy. Steps with different ECR permissions are separate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Creating the destination repository.
    CreateRepository,
    /// Setting a policy of the destination repository after its creation.
    SetRepositoryPolicy,
    /// Reading the repository's settings.
    ReadSettings,
    /// Listing the tags of a repository.
    ListTags,
    /// Reading a manifest or its digest.
    ReadManifest,
    /// Reading a manifest that an index or a tag refers to.
    ReadChildManifest,
    /// Checking the existence of blobs.
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

/// A failed copy. Boxed, so that results stay small.
pub type Error = Box<Failure>;

/// Cause and location of a failed copy.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// A registry or the network failed.
    Registry {
        /// The registry's role.
        side: Side,
        /// The step that failed.
        operation: Operation,
        /// Repository with tag or digest.
        subject: String,
        /// The registry's error.
        cause: registry::Error,
    },
    /// The source has no image for the platform.
    NoPlatform {
        /// The source reference.
        subject: String,
        /// The requested platform.
        wanted: Platform,
        /// The source's platforms.
        available: Vec<Platform>,
    },
    /// The tag names another image and cannot be moved.
    TagImmutable {
        /// The destination reference.
        subject: String,
        /// Digest that the tag names.
        existing: Digest,
        /// Digest that it should name.
        wanted: Digest,
    },
    /// The destination would reject the source's manifest.
    NotStorable {
        /// The source reference with the manifest's digest.
        subject: String,
        /// Reason, in one line.
        reason: String,
    },
    /// The image exceeds a limit.
    ImageLimitExceeded {
        /// The source reference.
        subject: String,
        /// The exceeded limit.
        limit: ImageLimit,
    },
    /// The source lacks a non-distributable layer, and the destination rejects the image without it.
    ForeignLayer {
        /// The destination reference.
        subject: String,
        /// Digest of the layer.
        layer: Digest,
        /// Platform of the image.
        platform: Option<Platform>,
        /// The destination's error.
        cause: registry::Error,
    },
    /// The lines of the customization cannot be applied to the image.
    NotCustomizable {
        /// The source reference.
        subject: String,
        /// Platform of the image, if it is known.
        platform: Option<Platform>,
        /// The line and the problem.
        cause: CustomizationError,
    },
    /// The deadline was reached.
    Deadline {
        /// The source reference.
        subject: String,
        /// Progress at that time.
        progress: Progress,
        /// Time since the start of the copy.
        elapsed: Duration,
        /// The host that the copy was waiting for, and its role, if it had been silent for a long time.
        silent_host: Option<(Side, http::SilentHost)>,
    },
}

/// The class of a [`Failure`]. Front ends match it exhaustively to give advice, so that a new class
/// without advice does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Problem {
    /// The image or repository does not exist.
    Missing,
    /// The registry requires credentials, and none were sent. Many registries also return this for
    /// missing repositories.
    CredentialsRequired,
    /// The credentials were rejected.
    CredentialsRejected,
    /// The credentials are valid, but do not permit this.
    AccessDenied,
    /// The credentials could not be read.
    CredentialsUnavailable,
    /// The pull limit is reached.
    PullLimit,
    /// Throttled until the deadline.
    Throttled,
    /// The host could not be reached.
    Unreachable,
    /// The host could not be reached through the proxy.
    ProxyUnreachable,
    /// The server's certificate was rejected.
    CertificateRejected,
    /// The connection was interrupted or timed out.
    Interrupted,
    /// The server reported an internal error.
    ServerError,
    /// Content does not match its digest.
    Corrupt,
    /// The response cannot be parsed or violates the protocol.
    InvalidResponse,
    /// The registry referred to a forbidden address.
    ForbiddenAddress,
    /// Rejected for another reason.
    Rejected,
    /// The source has no image for the platform.
    NoPlatform,
    /// The tag is immutable.
    TagImmutable,
    /// The destination would reject the manifest.
    NotStorable,
    /// The image exceeds a limit of manifests, depth or size.
    ImageLimitExceeded,
    /// The destination requires a non-distributable layer that the source lacks.
    ForeignLayer,
    /// The lines of the customization cannot be applied to the image.
    NotCustomizable,
    /// The deadline was reached.
    Deadline,
}

impl Failure {
    pub(in crate::copy) fn registry(
        side: Side,
        operation: Operation,
        subject: String,
        mut cause: registry::Error,
    ) -> Error {
        // Blobs can be on a storage host, which does not respond like a registry. The manifest, however, was
        // from a registry.
        if side == Side::Source
            && matches!(operation, Operation::ReadChildManifest | Operation::ReadBlob)
            && let registry::Error::ErrorResponse(response) = &mut cause
        {
            response.is_not_from_registry = false;
        }
        Box::new(Self::Registry { side, operation, subject, cause })
    }

    /// Returns the side that failed.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::Registry { side, .. } => *side,
            Self::TagImmutable { .. } | Self::ForeignLayer { .. } => Side::Destination,
            Self::NoPlatform { .. }
            | Self::NotStorable { .. }
            | Self::ImageLimitExceeded { .. }
            | Self::NotCustomizable { .. }
            | Self::Deadline { silent_host: None, .. } => Side::Source,
            Self::Deadline { silent_host: Some((side, _)), .. } => *side,
        }
    }

    /// Returns the reference that failed, with the digest of a manifest or blob if it concerns one.
    #[must_use]
    pub fn subject(&self) -> &str {
        match self {
            Self::Registry { subject, .. }
            | Self::NoPlatform { subject, .. }
            | Self::TagImmutable { subject, .. }
            | Self::NotStorable { subject, .. }
            | Self::ImageLimitExceeded { subject, .. }
            | Self::ForeignLayer { subject, .. }
            | Self::NotCustomizable { subject, .. }
            | Self::Deadline { subject, .. } => subject,
        }
    }

    /// Returns the step that failed, if a registry failed.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        match self {
            Self::Registry { operation, .. } => Some(*operation),
            _ => None,
        }
    }

    /// Returns the time for which a host sent nothing, if that is the cause.
    pub(crate) fn silence(&self) -> Option<Duration> {
        match self {
            Self::Registry { cause: registry::Error::Http(error), .. } => error.silence(),
            _ => None,
        }
    }

    /// Returns true if the source failed to return a child manifest or a blob of the image. A typo in the
    /// reference cannot cause this.
    #[must_use]
    pub fn concerns_image_content(&self) -> bool {
        self.side() == Side::Source
            && matches!(self.operation(), Some(Operation::ReadChildManifest | Operation::ReadBlob))
    }

    /// Returns the class of the failure.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Registry { cause, .. } => problem_of(cause),
            Self::NoPlatform { .. } => Problem::NoPlatform,
            Self::TagImmutable { .. } => Problem::TagImmutable,
            Self::NotStorable { .. } => Problem::NotStorable,
            Self::ImageLimitExceeded { .. } => Problem::ImageLimitExceeded,
            Self::ForeignLayer { .. } => Problem::ForeignLayer,
            Self::NotCustomizable { .. } => Problem::NotCustomizable,
            Self::Deadline { .. } => Problem::Deadline,
        }
    }
}

impl Request {
    /// Returns the failure for an error of the destination.
    #[must_use]
    pub fn destination_failure(&self, operation: Operation, cause: registry::Error) -> Error {
        Failure::registry(Side::Destination, operation, self.destination_name(), cause)
    }
}

fn problem_of(cause: &registry::Error) -> Problem {
    use registry::Error;
    match cause {
        Error::ErrorResponse(response) | Error::AuthorizationExpired(response) => {
            problem_of_response(response)
        }
        Error::Service { code, .. } => problem_of_aws_code(code),
        Error::Protocol(_) | Error::Manifest(_) => Problem::InvalidResponse,
        Error::DigestMismatch { .. } | Error::SizeMismatch { .. } => Problem::Corrupt,
        Error::Credentials(_) => Problem::CredentialsUnavailable,
        Error::TooFewPulls { .. } => Problem::PullLimit,
        Error::Http(error) => match error.kind {
            http::ErrorKind::Dns | http::ErrorKind::Connect(_) | http::ErrorKind::ConnectTimeout => {
                Problem::Unreachable
            }
            http::ErrorKind::Proxy { .. } => Problem::ProxyUnreachable,
            http::ErrorKind::Tls(_) => Problem::CertificateRejected,
            http::ErrorKind::Silent { .. } | http::ErrorKind::Slow { .. } | http::ErrorKind::Interrupted => {
                Problem::Interrupted
            }
            http::ErrorKind::TooLarge { .. } => Problem::InvalidResponse,
            http::ErrorKind::ForbiddenAddress(_) => Problem::ForbiddenAddress,
        },
    }
}

fn problem_of_response(response: &registry::ErrorResponse) -> Problem {
    match response.status {
        _ if response.is_pull_limit() => Problem::PullLimit,
        // Registries also return this code for invalid tags.
        400..=499 if response.has_code("TAG_INVALID") && response.mentions("immutable") => {
            Problem::TagImmutable
        }
        401 if response.credentials == registry::CredentialsSent::No => Problem::CredentialsRequired,
        // The token service accepted the credentials, but the token does not permit this. Docker Hub, Quay
        // and GitLab also return this for missing repositories.
        401 if response.credentials == registry::CredentialsSent::ExchangedForToken => Problem::AccessDenied,
        401 => Problem::CredentialsRejected,
        // GHCR and others return 403 without credentials.
        403 if response.credentials == registry::CredentialsSent::No => Problem::CredentialsRequired,
        403 => Problem::AccessDenied,
        404 => Problem::Missing,
        429 => Problem::Throttled,
        500..=599 => Problem::ServerError,
        _ => Problem::Rejected,
    }
}

/// Classifies AWS error codes
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/CommonErrors.html>).
fn problem_of_aws_code(code: &str) -> Problem {
    match code {
        "AccessDeniedException" | "AccessDenied" => Problem::AccessDenied,
        "UnrecognizedClientException"
        | "ExpiredTokenException"
        | "ExpiredToken"
        | "RequestExpired"
        | "InvalidAccessKeyId"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => Problem::CredentialsRejected,
        "RepositoryNotFoundException" | "ImageNotFoundException" => Problem::Missing,
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottledException"
        | "SlowDown" => Problem::Throttled,
        "ServerException" | "InternalFailure" | "InternalError" | "ServiceUnavailable" | "RequestTimeout" => {
            Problem::ServerError
        }
        "ImageTagAlreadyExistsException" => Problem::TagImmutable,
        "ImageDigestDoesNotMatchException" => Problem::Corrupt,
        _ => Problem::Rejected,
    }
}
