//! What to change about a copy or a deletion that failed.

use image_copy::copy::{self, Operation, Problem, Side};
use image_copy::http;
use image_copy::registry;
use image_copy_aws::EcrRegistryHost;

use super::subject;

/// The one thing to change. Exhaustive, so that a new problem has to get its text.
pub(super) fn advice(failure: &copy::Failure) -> String {
    let text = match (failure.problem(), failure.side()) {
        (Problem::Missing, Side::Source) if failure.concerns_image_content() => {
            "The registry has lost a part of the image: choose another tag or digest in ImageReference, or have the image pushed again."
        }
        (Problem::Missing, Side::Source) => "Check the registry, repository and tag in ImageReference.",
        (Problem::Missing, Side::Destination) => {
            "Check RepositoryArn: the repository has to be there before the image."
        }
        (Problem::CredentialsRequired, Side::Source) if subject(failure).starts_with("docker.io/") => {
            "Check the spelling of ImageReference, or set CredentialArn if the repository is private."
        }
        (Problem::CredentialsRequired, Side::Source) => {
            "Check the spelling of ImageReference, for registries say this also of what does not exist, or set CredentialArn if the repository is private."
        }
        (Problem::CredentialsRejected, Side::Source) if source_account(failure).is_some() => {
            "Run the operation again; if it stays so, check the function's role, whose credentials AWS does not accept."
        }
        (Problem::CredentialsRejected, Side::Source) => {
            "Check user name and password in the secret that CredentialArn or the provider's setting REGISTRY_CREDENTIALS names."
        }
        (Problem::CredentialsRequired, Side::Destination) => {
            "Allow ecr:GetAuthorizationToken on * in the function's role."
        }
        (Problem::CredentialsRejected, Side::Destination) => {
            "Run the operation again; if it stays so, check the function's role, whose credentials AWS does not accept."
        }
        (Problem::AccessDenied, side) => return permission(failure, side),
        (Problem::CredentialsUnavailable, Side::Source | Side::Destination) => {
            "Check the function's role, and that the function can reach ECR."
        }
        (Problem::PullLimit, Side::Source) => {
            "Set CredentialArn to a login with a higher limit, have a mirror set up (the provider's setting SOURCE_MIRRORS), or run the operation again later."
        }
        (Problem::Throttled | Problem::PullLimit, Side::Destination) => {
            "ECR's limits hold for the whole account and Region: run the operation again, or have the quota raised."
        }
        (Problem::Throttled, Side::Source) => {
            "Run the operation again later, or name another registry in ImageReference."
        }
        (Problem::ProxyUnreachable, Side::Source | Side::Destination) => {
            "Check the proxy and whether it reaches that host, or name the host in NO_PROXY in the function's environment."
        }
        (Problem::Unreachable, Side::Source) => {
            "Check the host in ImageReference. If the function runs in a VPC, its subnets need a route to that host (a NAT gateway, or peering)."
        }
        (Problem::Unreachable, Side::Destination) if is_fips(failure) => {
            "Not every Region has FIPS endpoints: unset AWS_USE_FIPS_ENDPOINT for the function, or choose another Region."
        }
        (Problem::Unreachable, Side::Destination) => {
            "If the function runs in a VPC, its subnets need a route to ECR (a NAT gateway, or endpoints for ecr.api and ecr.dkr); else check the Region in RepositoryArn."
        }
        (Problem::CertificateRejected, Side::Source) => {
            "Check the host in ImageReference; the provider's setting CA_BUNDLE adds authorities that the function trusts."
        }
        (Problem::CertificateRejected, Side::Destination) => {
            "A proxy between the function and ECR is not trusted: add its authority to the provider's setting CA_BUNDLE."
        }
        (Problem::Interrupted | Problem::Deadline, Side::Source) if is_silence(failure) => {
            "Run the operation again when that host responds, or name another registry in ImageReference."
        }
        (Problem::Interrupted | Problem::Deadline, Side::Destination) if is_silence(failure) => {
            "Run the operation again; if it stays so, check the network between the function and ECR."
        }
        (Problem::Interrupted, Side::Source | Side::Destination) => {
            "Run the operation again, which skips blobs already present."
        }
        (Problem::ServerError, Side::Source) => {
            "Run the operation again when the registry has recovered, or name another one in ImageReference."
        }
        (Problem::ServerError, Side::Destination) => "Run the operation again when ECR has recovered.",
        (Problem::Corrupt, Side::Source) => {
            "Run the operation again; if it stays so, the registry's content is damaged: choose another tag or digest in ImageReference."
        }
        (Problem::Corrupt | Problem::InvalidResponse, Side::Destination) => {
            "Run the operation again; if it stays so, check the network between the function and ECR."
        }
        (Problem::InvalidResponse | Problem::Rejected, Side::Source) => {
            "Choose another tag or digest in ImageReference."
        }
        (Problem::ForbiddenAddress, Side::Source) => "Choose another registry in ImageReference.",
        (Problem::ForbiddenAddress, Side::Destination) => "Check RepositoryArn.",
        (Problem::Rejected, Side::Destination) => refused_by_ecr(failure),
        (Problem::NoPlatform, Side::Source | Side::Destination) => {
            "Change Platform, or choose a tag that has it in ImageReference."
        }
        (Problem::TagImmutable, Side::Source | Side::Destination) => {
            "Choose a new Tag, or make the repository's tags mutable."
        }
        (Problem::NotStorable, Side::Source | Side::Destination) => {
            "Choose another tag or digest in ImageReference, or another Platform of it."
        }
        (Problem::ImageLimitExceeded, Side::Source | Side::Destination) => {
            "Choose one platform in Platform, or another tag in ImageReference."
        }
        (Problem::ForeignLayer, Side::Source | Side::Destination) => {
            "Choose platforms without Windows in Platform, or a tag built since 2023 in ImageReference."
        }
        (Problem::Deadline, _) if matches!(failure, copy::Failure::Deadline { progress, .. } if progress.blobs == 0) => {
            "Run the operation again, or give the function a longer Timeout."
        }
        (Problem::Deadline, Side::Source | Side::Destination) => {
            "Run the operation again, which skips blobs already present, or name one platform in Platform."
        }
    };
    text.into()
}

/// Returns true if a host was silent or too slow. More time for the function would not help.
fn is_silence(failure: &copy::Failure) -> bool {
    match failure {
        copy::Failure::Registry { cause: registry::Error::Http(error), .. } => {
            matches!(error.kind, http::ErrorKind::Silent { .. } | http::ErrorKind::Slow { .. })
        }
        copy::Failure::Deadline { silent_host, .. } => silent_host.is_some(),
        _ => false,
    }
}

/// ECR's own codes, which say more than that it refused.
fn refused_by_ecr(failure: &copy::Failure) -> &'static str {
    let copy::Failure::Registry { cause, .. } = failure else { return "Check RepositoryArn." };
    if cause.has_code("TAG_INVALID") {
        "Choose another Tag."
    } else if cause.has_code("LimitExceededException") {
        "Delete images from the repository, or have its quota raised."
    } else if cause.has_code("KmsException") || cause.has_code("KmsError") {
        "Check the KMS key with which the repository is encrypted."
    } else if cause.has_code("NotSent") {
        "Check AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT in the function's environment."
    } else if cause.has_code("UNSUPPORTED") {
        "Choose another tag or digest in ImageReference, or another Platform of it."
    } else {
        "Check the repository that RepositoryArn names."
    }
}

/// The account of a source in ECR.
fn source_account(failure: &copy::Failure) -> Option<String> {
    let host = subject(failure).split('/').next().unwrap_or_default();
    EcrRegistryHost::parse(host).map(|host| host.account)
}

/// Whether the host that could not be reached is a FIPS endpoint.
fn is_fips(failure: &copy::Failure) -> bool {
    let copy::Failure::Registry { cause: registry::Error::Http(http::Error { host, .. }), .. } = failure
    else {
        return false;
    };
    host.contains("-fips.")
}

/// Who has to allow what.
fn permission(failure: &copy::Failure, side: Side) -> String {
    if side == Side::Source && source_account(failure).is_none() {
        return "Check ImageReference, and that the login in CredentialArn or the provider's setting REGISTRY_CREDENTIALS is right and may read this image.".into();
    }
    let copy::Failure::Registry { operation, cause, .. } = failure else { return String::new() };
    let action = denied_action(cause).unwrap_or_else(|| action(*operation).into());
    allow(&action)
}

fn allow(action: &str) -> String {
    if action == "ecr:GetAuthorizationToken" {
        return "Allow ecr:GetAuthorizationToken on * in the function's role.".into();
    }
    format!(
        "Allow {action} on the repository in the function's role, or in the repository policy if it belongs to another account."
    )
}

/// The action that the refusal itself names, else the call that was refused.
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

/// The IAM action behind each request
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
    }
}

pub(super) fn deletion_advice(cause: &registry::Error) -> String {
    match cause {
        registry::Error::Service { code, .. } if code.starts_with("AccessDenied") => {
            allow(&denied_action(cause).unwrap_or_else(|| "ecr:BatchDeleteImage".into()))
        }
        _ => {
            "Run the operation again, or set DELETE_IMAGES=false for the function, which keeps images.".into()
        }
    }
}
