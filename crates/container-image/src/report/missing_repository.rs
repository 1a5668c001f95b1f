//! Hints about ECR repositories that are missing or cannot be created.

use image_copy::copy::{Failure, Operation, Problem};
use image_copy::oci::Reference;
use image_copy::registry;
use image_copy_aws::EcrRegistryHost;

/// Returns the hint for a missing repository in private ECR, or for one that cannot be created. `None` for other
/// failures, and for those with a general hint. `profile` is an option of the AWS CLI, with a leading space.
pub(super) fn hint(failure: &Failure, profile: &str) -> Option<String> {
    let Failure::Registry { operation, subject, cause, .. } = failure else { return None };
    let service = match cause {
        registry::Error::Service { service, .. } => service.as_str(),
        _ => "",
    };
    match operation {
        Operation::CreateRepository if failure.problem() == Problem::Rejected => {
            Some(rejected_creation(cause).into())
        }
        Operation::SetRepositoryPolicy => {
            let (option, command) = match service {
                "ecr:PutLifecyclePolicy" => ("--lifecycle", "aws ecr put-lifecycle-policy"),
                _ => ("--repository-policy", "aws ecr set-repository-policy"),
            };
            Some(format!(
                "Correct {option}, and set it with `{command}`: a repeated copy leaves the repository unchanged."
            ))
        }
        _ if failure.is_missing_repository() => create_command(subject, profile)
            .map(|command| format!("Create it with `{command}`, or copy with --create-repositories.")),
        _ => None,
    }
}

/// Codes of `CreateRepository`
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html>).
fn rejected_creation(cause: &registry::Error) -> &'static str {
    if cause.has_code("LimitExceededException") {
        "Request a higher ECR quota for repositories, or delete unused ones."
    } else if cause.has_code("KmsException") {
        "Correct the key in --encryption, and allow its use."
    } else if cause.has_code("InvalidTagParameterException") || cause.has_code("TooManyTagsException") {
        "Correct --tags."
    } else {
        "Correct the repository of the destination, or the options after --create-repositories."
    }
}

/// Returns the command that creates the repository of a destination. `None` if it is not in private ECR.
fn create_command(destination: &str, profile: &str) -> Option<String> {
    // A platform can follow the reference.
    let reference: Reference = destination.split(' ').next()?.parse().ok()?;
    let host = EcrRegistryHost::parse(reference.repository.registry().as_str())?;
    let name = reference.repository.path();
    Some(format!("aws ecr create-repository --repository-name {name} --region {}{profile}", host.region))
}
