//! Codes of failures, which docs/troubleshooting.md explains.

use super::error::{Failure, Operation, Problem, Side};
use crate::oci::Registry;
use crate::{http, registry};

impl Failure {
    /// Returns the code of the cause, such as `CI-001`. A code keeps its meaning in later versions.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.problem() {
            Problem::Missing | Problem::ServerError if self.is_not_from_registry() => "CI-026",
            Problem::Missing if self.concerns_image_content() => "CI-002",
            Problem::Missing if self.side() == Side::Source => "CI-001",
            Problem::Missing if self.is_missing_repository() => "CI-003",
            Problem::Missing => "CI-025",
            Problem::CredentialsRequired => "CI-004",
            Problem::CredentialsRejected if self.is_ecr() => "CI-007",
            Problem::CredentialsRejected => "CI-005",
            Problem::AccessDenied if self.is_ecr() => "CI-008",
            Problem::AccessDenied => "CI-006",
            Problem::CredentialsUnavailable => "CI-009",
            Problem::PullLimit | Problem::Throttled if self.is_ecr() => "CI-012",
            Problem::PullLimit => "CI-010",
            Problem::Throttled => "CI-011",
            Problem::Unreachable if self.is_fips() => "CI-015",
            Problem::Unreachable if self.is_ecr() => "CI-014",
            Problem::Unreachable => "CI-013",
            Problem::ProxyUnreachable => "CI-016",
            Problem::CertificateRejected => "CI-017",
            Problem::Interrupted | Problem::Deadline if self.is_silence() => "CI-018",
            Problem::Interrupted => "CI-019",
            Problem::ServerError => "CI-020",
            Problem::Corrupt => "CI-021",
            Problem::InvalidResponse if self.is_invalid_manifest() => "CI-023",
            Problem::InvalidResponse => "CI-022",
            Problem::ForbiddenAddress => "CI-024",
            Problem::Rejected => self.rejection_code(),
            Problem::NoPlatform => "CI-029",
            Problem::TagImmutable => "CI-030",
            Problem::NotStorable => "CI-031",
            Problem::ImageLimitExceeded => "CI-032",
            Problem::ForeignLayer => "CI-033",
            Problem::NotCustomizable => "CI-034",
            Problem::Deadline => "CI-301",
        }
    }

    fn rejection_code(&self) -> &'static str {
        let has = |code| self.cause().is_some_and(|cause| cause.has_code(code));
        if has(registry::NOT_SENT) {
            "CI-015"
        } else if has("LimitExceededException") {
            "CI-027"
        } else if has("KmsException") || has("KmsError") {
            "CI-028"
        } else if has("UNSUPPORTED") && self.side() == Side::Destination {
            "CI-031"
        } else {
            "CI-025"
        }
    }

    /// Returns true if the destination has no such repository. Responses to a manifest can also report
    /// missing parts of the image.
    #[must_use]
    pub fn is_missing_repository(&self) -> bool {
        let is_manifest = matches!(self.operation(), Some(Operation::WriteManifest | Operation::WriteTag));
        let has = |code| self.cause().is_some_and(|cause| cause.has_code(code));
        self.side() == Side::Destination
            && self.problem() == Problem::Missing
            && (!is_manifest || has("RepositoryNotFoundException") || has("NAME_UNKNOWN"))
    }

    /// Returns true if the response does not look like one of a registry.
    #[must_use]
    pub fn is_not_from_registry(&self) -> bool {
        matches!(self.cause(), Some(registry::Error::ErrorResponse(response)) if response.is_not_from_registry)
    }

    fn cause(&self) -> Option<&registry::Error> {
        match self {
            Self::Registry { cause, .. } | Self::ForeignLayer { cause, .. } => Some(cause),
            _ => None,
        }
    }

    fn network_error(&self) -> Option<&http::Error> {
        match self.cause() {
            Some(registry::Error::Http(error)) => Some(error),
            _ => None,
        }
    }

    /// Returns true if the registry is private Amazon ECR.
    #[must_use]
    pub fn is_ecr(&self) -> bool {
        let host = self.subject().split('/').next().unwrap_or_default();
        matches!(self.cause(), Some(registry::Error::Service { .. }))
            || host.parse::<Registry>().is_ok_and(|registry| registry.is_ecr())
    }

    /// Returns true if the host that could not be reached is a FIPS endpoint of AWS.
    #[must_use]
    pub fn is_fips(&self) -> bool {
        self.network_error().is_some_and(|error| error.host.contains("-fips."))
    }

    /// Returns true if a host was silent or too slow. More time would not help.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        use http::ErrorKind;
        let is_slow =
            |error: &http::Error| matches!(error.kind, ErrorKind::Silent { .. } | ErrorKind::Slow { .. });
        matches!(self, Self::Deadline { silent_host: Some(_), .. })
            || self.network_error().is_some_and(is_slow)
    }

    /// Returns true if the source returned a manifest that is invalid or not supported.
    #[must_use]
    pub fn is_invalid_manifest(&self) -> bool {
        matches!(self.cause(), Some(registry::Error::Manifest(_)))
    }
}
