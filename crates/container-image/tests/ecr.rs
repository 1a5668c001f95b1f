//! ECR and ECR Public as destination and source.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use aws_emulator::{Authorization, Mutability};
use common::{RunOutput, Sandbox, image};
use serde_json::json;

const COPY: &str =
    "copy docker.io/acme/app:1 --to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python:1";

/// Writes a docker `config.json` with a password of ECR.
fn log_in(sandbox: &Sandbox) {
    let token = sandbox.emulator.ecr().call("eu-west-1", "GetAuthorizationToken", &json!({})).unwrap();
    let auth = &token["authorizationData"][0]["authorizationToken"];
    let config = json!({"auths": {"123456789012.dkr.ecr.eu-west-1.amazonaws.com": {"auth": auth}}});
    sandbox.write_home(".docker/config.json", config.to_string());
}

/// Returns the number of requests to AWS, except those for downloads.
fn aws_calls(sandbox: &Sandbox) -> usize {
    let entries = sandbox.emulator.log().entries();
    entries.iter().filter(|entry| entry.host.ends_with("amazonaws.com")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_read_through_the_api() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    let mark = sandbox.emulator.log().mark();
    let output = sandbox.run(COPY).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(repository.resolve("1").as_deref(), Some(image(1).digest()));
    let counts = sandbox.emulator.log().counts(mark);
    let count = |operation: &str| counts.get(operation).copied().unwrap_or_default();
    assert_eq!(count("ecr:BatchCheckLayerAvailability"), 1, "{counts:?}");
    let reads = sandbox.emulator.log().matching(mark, "*.head");
    assert!(reads.iter().all(|entry| entry.service != "ecr"), "{counts:?}");
    // One call reads the tag, and the image is complete.
    let mark = sandbox.emulator.log().mark();
    let output = sandbox.run(COPY).await;
    assert!(output.stdout.contains("4 present, nothing to do"), "{output:?}");
    assert_eq!(sandbox.emulator.log().count(mark, "manifest.put"), 0);
    assert_eq!(sandbox.emulator.log().count(mark, "blob.*"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immutable_tag_fails_before_a_blob_is_read() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    repository.put_image(Some("1"), &image(2));
    repository.set_mutability(Mutability::Immutable);
    let output = sandbox.run(COPY).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains(" is immutable and names image "), "{output:?}");
    assert!(
        output
            .stderr
            .ends_with("Choose a new tag in DESTINATION, or make the repository's tags mutable. (CI-030)\n")
    );
    let log = sandbox.emulator.log();
    for operation in ["blob.get", "blob.content", "upload.*", "manifest.put", "ecr:PutImage"] {
        assert_eq!(log.count(log.start(), operation), 0, "{operation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_with_a_stored_password_and_without_aws_credentials() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    log_in(&sandbox);
    let output = sandbox.run_without_aws_credentials(COPY).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(repository.resolve("1").as_deref(), Some(image(1).digest()));
    let log = sandbox.emulator.log();
    assert_eq!(log.count(log.start(), "ecr:*"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_missing_aws_credentials() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    let output = sandbox.run_without_aws_credentials(COPY).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(
        output.stderr,
        "error: Credentials for 123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python:1 are not available: no AWS credentials are configured. Sign in to AWS (aws login, or aws sso login), or select a profile with --profile. (CI-009)\n"
    );
}

/// Passwords of ECR expire after 12 hours.
#[tokio::test(flavor = "multi_thread")]
async fn replaces_an_expired_password() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    log_in(&sandbox);
    sandbox.emulator.ecr().expire_tokens();
    let output = sandbox.run_without_aws_credentials(COPY).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let advice = "Remove the old password (docker logout 123456789012.dkr.ecr.eu-west-1.amazonaws.com), and sign in to AWS. (CI-008)\n";
    assert!(output.stderr.ends_with(advice), "{output:?}");
    assert!(
        output.stderr.contains("Your authorization token has expired. Reauthenticate and try again."),
        "{output:?}"
    );
    let output = sandbox.run(COPY).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(repository.resolve("1").as_deref(), Some(image(1).digest()));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_registries_need_no_aws() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/acme/app:1", 1);
    sandbox.emulator.add_upstream(aws_emulator::Profile::without_auth("open.example"));
    let copy = "copy docker.io/acme/app:1 --to open.example/copy --dry-run";
    let output = sandbox.run_without_aws_credentials(copy).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    // A profile that does not exist is not read.
    let output = sandbox.run(&format!("{copy} --profile gone")).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(aws_calls(&sandbox), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ecr_public_is_read_with_credentials_or_anonymously() {
    let sandbox = Sandbox::start().await;
    sandbox.emulator.ecr_public().put_image("docker/library/python", "1", &image(1));
    sandbox.emulator.add_upstream(aws_emulator::Profile::without_auth("open.example"));
    let copy = "copy public.ecr.aws/docker/library/python:1 --dry-run --to open.example/copy";
    let with_password = |entries: Vec<aws_emulator::LogEntry>| {
        entries.iter().any(|entry| entry.authorization == Authorization::Basic)
    };
    let log = sandbox.emulator.log();
    let output = sandbox.run_without_aws_credentials(&format!("{copy}:a")).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!with_password(log.entries()));
    assert_eq!(aws_calls(&sandbox), 0);
    let mark = log.mark();
    let output = sandbox.run(&format!("{copy}:b")).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(with_password(log.since(mark)));
    assert_eq!(log.count(mark, "ecr-public:GetAuthorizationToken"), 1);
    sandbox.emulator.ecr_public_api().deny("ecr-public:GetAuthorizationToken");
    let output = sandbox.run(&format!("{copy}:c")).await;
    assert_eq!(output.code, Some(0), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_the_denied_action() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    sandbox.emulator.ecr().deny("ecr:BatchCheckLayerAvailability", "*");
    let mut command = sandbox.command(&COPY.split(' ').collect::<Vec<_>>());
    command.env("AWS_PROFILE", "unused");
    let output = RunOutput::of(command).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stderr.contains("ecr:BatchCheckLayerAvailability returned AccessDeniedException"),
        "{output:?}"
    );
    let advice = "Allow this for the AWS identity, or pass another --profile. (CI-008)\n";
    assert!(output.stderr.ends_with(advice), "{output:?}");
}
