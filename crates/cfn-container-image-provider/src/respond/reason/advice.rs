//! One thing to change after a failure.

use image_copy::copy::{self, Operation, Problem, Side};
use image_copy::registry;
use image_copy_aws::{InvokeError, SecretReadErrorKind};

use crate::clients::credentials::{SecretProblem, SecretSetting};
use crate::deadline::MoreTime;
use crate::input::continuation::StopReason;
use crate::input::failed_invocation::FailureCause;

pub(super) const REPORT_IF_REPEATED: &str =
    "Run the operation again. If it fails again, report it with the log lines of this request.";
const CHECK_ROLE: &str =
    "Run the operation again. If it fails again, check that the function's role exists and was not replaced.";
const CHECK_NETWORK: &str =
    "Run the operation again. If it fails again, check the network between the function and ECR.";
const COPY_MISSING_BLOBS: &str = "Run the operation again, which copies only the missing blobs.";
const ENDPOINTS: &str = "Not every Region has FIPS and dual-stack endpoints: check the provider's parameters UseFipsEndpoints and UseDualStackEndpoints.";
const LONGER_SERVICE_TIMEOUT: &str = "Increase ServiceTimeout (maximum 3600 s).";
const LONGER_FUNCTION_TIMEOUT: &str =
    "Set the function's Timeout back to 900 s, as in the provider's template.";
const REPEAT_EVENT: &str =
    "Invoke the function with the same event again, which copies only the missing blobs.";
/// Action for the tags of a source in ECR. Only a refresh stack allows it.
const LIST_TAGS: &str = "ecr:ListImages";
const OTHER_TAG: &str = "Choose another tag or digest in ImageReference.";
const OTHER_IMAGE: &str = "Choose another tag or digest in ImageReference, or another Platform.";

/// Returns the advice for a failed copy. The match is exhaustive, so that a new problem needs advice.
pub(super) fn copy(failure: &copy::Failure, more_time: MoreTime) -> String {
    let text = match (failure.problem(), failure.side()) {
        (Problem::Missing | Problem::ServerError, _) if failure.is_not_from_registry() => {
            "Check the host in ImageReference."
        }
        (Problem::Missing | Problem::CredentialsRequired, Side::Source)
            if failure.operation() == Some(Operation::ListTags) =>
        {
            "Check source in the list. If the repository is private, set credentials."
        }
        (Problem::Missing, Side::Source) if failure.concerns_image_content() => {
            "Choose another tag or digest in ImageReference, or push the image to the source again."
        }
        (Problem::Missing, Side::Source) => "Check the name in ImageReference.",
        (Problem::Missing, Side::Destination) if failure.is_missing_repository() => {
            "Create the repository, or correct RepositoryArn."
        }
        (Problem::Missing, Side::Destination) => "Run the operation again.",
        (Problem::CredentialsRequired, Side::Source) => {
            "Check the name in ImageReference, because registries return the same for missing images. If the image is private, set CredentialArn."
        }
        (Problem::CredentialsRequired, Side::Destination) => {
            "Allow ecr:GetAuthorizationToken on * in the function's role."
        }
        (Problem::CredentialsRejected, _) if failure.is_ecr() => CHECK_ROLE,
        (Problem::CredentialsRejected, Side::Source | Side::Destination) => {
            "Correct the credentials in the secret of CredentialArn or of the provider's parameter RegistryCredentials."
        }
        (Problem::AccessDenied, side) => return permission(failure, side),
        (Problem::CredentialsUnavailable, Side::Source | Side::Destination) => CHECK_ROLE,
        (Problem::PullLimit | Problem::Throttled, _) if failure.is_ecr() => {
            "Run the operation again, or raise the quota of ECR for this account and Region."
        }
        (Problem::PullLimit, _) if failure.subject().starts_with("docker.io/library/") => {
            "If the provider's parameter UseEcrPublicMirror is false, set it to auto. Otherwise, set CredentialArn to credentials with a higher limit."
        }
        (Problem::PullLimit, Side::Source | Side::Destination) => {
            "Set CredentialArn to credentials with a higher limit, or add a mirror in the provider's parameter SourceMirrors."
        }
        (Problem::Throttled, Side::Source | Side::Destination) => "Run the operation again later.",
        (Problem::ProxyUnreachable, Side::Source | Side::Destination) => {
            "Check the proxy in the provider's parameter HttpsProxy, or add the host to NoProxy."
        }
        (Problem::Unreachable, _) if failure.is_fips() => ENDPOINTS,
        (Problem::Unreachable, Side::Source) if failure.is_ecr() => {
            "Check the Region in ImageReference. In a VPC, the subnets need a route to ECR (NAT gateway, or endpoints for ecr.api and ecr.dkr)."
        }
        (Problem::Unreachable, Side::Source) => {
            "Check the host in ImageReference. In a VPC, the subnets need a route to it."
        }
        (Problem::Unreachable, Side::Destination) => {
            "Check the Region in RepositoryArn. In a VPC, the subnets need a route to ECR (NAT gateway, or endpoints for ecr.api and ecr.dkr)."
        }
        (Problem::CertificateRejected, Side::Source) => {
            "If the certificate has expired or names another host, correct it on the host. Otherwise, add its CA certificate to the provider's parameter CaBundle."
        }
        (Problem::CertificateRejected, Side::Destination) => {
            "If a proxy terminates TLS, add its CA certificate to the provider's parameter CaBundle."
        }
        (Problem::Interrupted | Problem::Deadline, Side::Source) if failure.is_silence() => {
            "Run the operation again when that host responds, or use another registry in ImageReference."
        }
        (Problem::Interrupted | Problem::Deadline, Side::Destination) if failure.is_silence() => {
            CHECK_NETWORK
        }
        (Problem::Interrupted, Side::Source | Side::Destination) => COPY_MISSING_BLOBS,
        (Problem::ServerError, Side::Source | Side::Destination) => "Run the operation again later.",
        (Problem::Corrupt, Side::Source) => {
            "Run the operation again. If it fails again, the source is damaged: choose another tag or digest in ImageReference."
        }
        (Problem::Corrupt | Problem::InvalidResponse, Side::Destination) => CHECK_NETWORK,
        (Problem::InvalidResponse, Side::Source) if failure.is_invalid_manifest() => OTHER_TAG,
        (Problem::InvalidResponse, Side::Source) => {
            "Run the operation again. If it fails again, check the host in ImageReference and any proxy."
        }
        (Problem::ForbiddenAddress, Side::Source | Side::Destination) => {
            "If the registry redirects to this address, correct the redirect. Otherwise, use another host in ImageReference."
        }
        (Problem::Rejected, Side::Source) => OTHER_TAG,
        (Problem::Rejected, Side::Destination) => rejected_by_ecr(failure),
        (Problem::NoPlatform, Side::Source | Side::Destination) => {
            "Change Platform, or choose another tag in ImageReference."
        }
        (Problem::TagImmutable, Side::Source | Side::Destination) => {
            "Choose a new Tag, or make the repository's tags mutable."
        }
        (Problem::NotStorable, Side::Source | Side::Destination) => OTHER_IMAGE,
        (Problem::ImageLimitExceeded, Side::Source | Side::Destination) => {
            "Choose one platform in Platform, or another tag in ImageReference."
        }
        (Problem::ForeignLayer, Side::Source | Side::Destination) => {
            "Choose platforms without Windows in Platform, or a tag built since 2023 in ImageReference."
        }
        (Problem::NotCustomizable, Side::Source | Side::Destination) => {
            "Correct Customize, or choose other platforms in Platform."
        }
        (Problem::Deadline, Side::Source | Side::Destination) => match more_time {
            MoreTime::FunctionTimeout => LONGER_FUNCTION_TIMEOUT,
            MoreTime::ServiceTimeout => LONGER_SERVICE_TIMEOUT,
            MoreTime::RepeatedEvent => REPEAT_EVENT,
            MoreTime::None => "Run the operation again.",
        },
    };
    text.into()
}

fn rejected_by_ecr(failure: &copy::Failure) -> &'static str {
    let copy::Failure::Registry { cause, .. } = failure else { return "Check RepositoryArn." };
    if cause.has_code("TAG_INVALID") {
        "Choose another Tag."
    } else if cause.has_code("LimitExceededException") {
        "Delete images from the repository, or raise its quota."
    } else if cause.has_code("KmsException") || cause.has_code("KmsError") {
        "Check the KMS key of the repository."
    } else if cause.has_code(registry::NOT_SENT) {
        ENDPOINTS
    } else if cause.has_code("UNSUPPORTED") {
        OTHER_IMAGE
    } else {
        "Check the repository in RepositoryArn."
    }
}

/// Returns the advice for a secret, or for the setting that names it.
pub(super) fn secret(problem: &SecretProblem) -> String {
    let (setting, cause) = match problem {
        SecretProblem::Unusable { cause, .. } => return cause.remedy(),
        SecretProblem::ReadFailed { setting, cause } => (setting, cause),
    };
    let setting = match setting {
        SecretSetting::CredentialArn => "CredentialArn",
        SecretSetting::RegistryCredentials => "the provider's parameter RegistryCredentials",
    };
    match &cause.kind {
        SecretReadErrorKind::NotFound => format!("Check the ARN in {setting}."),
        SecretReadErrorKind::VersionNotFound => {
            format!("Check the version at the end of the ARN in {setting}.")
        }
        SecretReadErrorKind::PendingDeletion => format!("Restore it, or use another ARN in {setting}."),
        SecretReadErrorKind::AccessDenied { action, is_other_account: false } => {
            let parameter = arns_parameter(action);
            format!("Add its ARN to the provider's parameter {parameter}. If a customer managed key encrypts it, also add the key to KmsKeyArns.")
        }
        SecretReadErrorKind::AccessDenied { action, is_other_account: true } => format!(
            "Allow the action in its policy, kms:Decrypt in its key policy, and add both ARNs to the provider's {} and KmsKeyArns.",
            arns_parameter(action)
        ),
        SecretReadErrorKind::KmsKey { is_other_account: false } => {
            "Add its KMS key to the provider's parameter KmsKeyArns, and check that the key is enabled."
                .into()
        }
        SecretReadErrorKind::KmsKey { is_other_account: true } => {
            "Use a customer managed key, allow kms:Decrypt in its policy, and add it to the provider's parameter KmsKeyArns."
                .into()
        }
        SecretReadErrorKind::UnsupportedType => {
            "Store the credentials in a text secret or a SecureString.".into()
        }
        SecretReadErrorKind::Unreachable { service } => format!(
            "Check the Region in the ARN. In a VPC, the subnets need an endpoint for {service}, or a NAT gateway."
        ),
        SecretReadErrorKind::Other => format!("Run the operation again. If it fails again, check {setting}."),
    }
}

/// Returns the provider's parameter for the resources of an action.
fn arns_parameter(action: &str) -> &'static str {
    if action.starts_with("ssm:") { "ParameterArns" } else { "SecretArns" }
}

/// Returns the advice for a copy that ran out of time and does not continue.
pub(super) fn stop(reason: &StopReason, more_time: MoreTime) -> &'static str {
    match (reason, more_time) {
        (StopReason::BlobTooLarge { .. } | StopReason::NoProgress, MoreTime::FunctionTimeout) => {
            LONGER_FUNCTION_TIMEOUT
        }
        (StopReason::BlobTooLarge { .. } | StopReason::NoProgress, _) => {
            "Increase the provider's MemorySize (maximum 10240 MB), or copy the image once with container-image copy."
        }
        (StopReason::ServiceTimeout { .. }, MoreTime::ServiceTimeout) => LONGER_SERVICE_TIMEOUT,
        (StopReason::ServiceTimeout { .. } | StopReason::InvocationLimit(_), _) => COPY_MISSING_BLOBS,
        (StopReason::InvokeFailed(InvokeError::AccessDenied { .. }), _) => {
            "Allow lambda:InvokeFunction on the function in its own role."
        }
        (StopReason::InvokeFailed(InvokeError::Failed(_)), _) => {
            "Run the operation again. In a VPC, the subnets need a route to Lambda."
        }
    }
}

/// Returns the advice for invocations that sent no response.
pub(super) fn invocation(cause: &FailureCause) -> &'static str {
    match cause {
        FailureCause::TimedOut(_) => REPORT_IF_REPEATED,
        FailureCause::Killed => "Increase the provider's parameter MemorySize.",
        FailureCause::Exited(_) | FailureCause::Error(_) => "See the log lines of this request.",
        // With a status, the route exists.
        FailureCause::ResponseNotSent(problem) if problem.contains(" failed: HTTP ") => REPORT_IF_REPEATED,
        FailureCause::ResponseNotSent(_) => {
            "In a VPC, the subnets need a route to S3 (gateway endpoint, or NAT gateway)."
        }
        FailureCause::EventAgeExceeded => {
            "Raise the provider's parameter ReservedConcurrency, or, if it is empty, the account's concurrency quota of Lambda."
        }
    }
}

/// Returns the advice for an image that was not deleted.
pub(super) fn deletion(cause: &registry::Error) -> String {
    if is_denied(cause) {
        let action = denied_action(cause).unwrap_or_else(|| "ecr:BatchDeleteImage".into());
        return allow(&action, Side::Destination);
    }
    "Run the operation again, or set the provider's parameter DeleteImages to false, which keeps images."
        .into()
}

/// Returns true if the role or a policy does not allow the call.
pub(super) fn is_denied(cause: &registry::Error) -> bool {
    matches!(cause, registry::Error::Service { code, .. } if code.starts_with("AccessDenied"))
}

fn permission(failure: &copy::Failure, side: Side) -> String {
    if !failure.is_ecr() {
        return "Check ImageReference, and use credentials that can read the image in CredentialArn or the provider's parameter RegistryCredentials.".into();
    }
    let copy::Failure::Registry { operation, cause, .. } = failure else { return String::new() };
    let action = denied_action(cause).unwrap_or_else(|| action(*operation).into());
    allow(&action, side)
}

fn allow(action: &str, side: Side) -> String {
    if action == "ecr:GetAuthorizationToken" {
        return "Allow ecr:GetAuthorizationToken on * in the function's role.".into();
    }
    if action == LIST_TAGS {
        return format!("Allow {LIST_TAGS} with the parameter SourceRepositoryArns of the refresh stack.");
    }
    let parameter = match side {
        Side::Source => "SourceRepositoryArns",
        Side::Destination => "RepositoryArns, the tag of RepositoryTagValue if it is set,",
    };
    format!(
        "Allow {action} with the provider's parameter {parameter} and, in another account, a repository policy."
    )
}

/// Returns the action that the error message names, or else the denied call.
fn denied_action(cause: &registry::Error) -> Option<String> {
    let message = match cause {
        registry::Error::Service { message, .. } => message,
        registry::Error::ErrorResponse(refusal) => &refusal.errors.first()?.message,
        _ => return None,
    };
    let named = message.split_once("perform: ").map(|(_, rest)| rest);
    let named = named.and_then(|rest| rest.split(|c: char| c != ':' && !c.is_ascii_alphanumeric()).next());
    match (named.filter(|action| action.starts_with("ecr:")), cause) {
        (Some(action), _) => Some(action.into()),
        (None, registry::Error::Service { service, .. }) => Some(service.clone()),
        (None, _) => None,
    }
}

/// Returns the IAM action of each request
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>).
fn action(operation: Operation) -> &'static str {
    match operation {
        Operation::ReadSettings => "ecr:DescribeRepositories",
        Operation::ReadManifest | Operation::ReadChildManifest => "ecr:BatchGetImage",
        Operation::CheckBlobs => "ecr:BatchCheckLayerAvailability",
        Operation::ReadBlob => "ecr:GetDownloadUrlForLayer",
        Operation::StartUpload => "ecr:InitiateLayerUpload",
        Operation::SendBlob => "ecr:UploadLayerPart and ecr:CompleteLayerUpload",
        Operation::WriteManifest | Operation::WriteTag => "ecr:PutImage",
        Operation::ListTags => LIST_TAGS,
        // Only the command line creates repositories.
        Operation::CreateRepository | Operation::SetRepositoryPolicy => "the action",
    }
}
