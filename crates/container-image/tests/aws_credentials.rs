//! Sources of AWS credentials for ECR.

#![cfg(unix)]

mod common;

use std::time::{Duration, SystemTime};

use aws_emulator::Repository;
use common::{RunOutput, Sandbox, image};

const ROLE: &str = "arn:aws:iam::123456789012:role/images";
const DESTINATION: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python:1";
const COPY: &str =
    "copy docker.io/acme/app:1 --to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/python:1";

/// Copies without AWS credentials in the environment.
async fn copy(sandbox: &Sandbox, options: &str, variables: &[(&str, &str)]) -> RunOutput {
    let mut command = sandbox.command_without_aws_credentials(&format!("{COPY} {options}"));
    command.envs(variables.iter().copied());
    RunOutput::of(command).await
}

#[track_caller]
fn assert_copied(output: &RunOutput, repository: &Repository) {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(repository.resolve("1").as_deref(), Some(image(1).digest()));
    assert!(repository.integrity_errors("1").is_empty());
}

#[track_caller]
fn assert_unavailable(output: &RunOutput, reason: &str, advice: &str) {
    let expected = format!(
        "error: Credentials for {DESTINATION} are not available: AWS credentials cannot be loaded (\"{reason}\"). {advice} (CI-009)\n"
    );
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), expected.as_str()));
}

/// Writes a profile `base` with the emulator's keys, and more profiles.
fn write_profiles(sandbox: &Sandbox, more: &str) {
    let environment = sandbox.emulator.environment();
    let value = |name: &str| environment.iter().find(|(key, _)| key == name).expect("it is set").1.clone();
    let keys = format!(
        "[base]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
        value("AWS_ACCESS_KEY_ID"),
        value("AWS_SECRET_ACCESS_KEY"),
        value("AWS_SESSION_TOKEN")
    );
    sandbox.write_home(".aws/credentials", keys);
    sandbox.write_home(".aws/config", more);
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_the_environment() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    assert_copied(&sandbox.run(COPY).await, &repository);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_assumes_a_role_once() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    sandbox.emulator.sts().add_role_with_external_id(ROLE, "acme");
    let profile = format!("[profile images]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = acme\n");
    write_profiles(&sandbox, &profile);
    let mark = sandbox.emulator.log().mark();
    assert_copied(&copy(&sandbox, "--profile images", &[]).await, &repository);
    let calls = sandbox.emulator.log().matching(mark, "sts:*");
    let hosts: Vec<_> = calls.iter().map(|call| (call.operation.as_str(), call.host.as_str())).collect();
    // Nothing sets a Region, so it is the Region of the destination.
    assert_eq!(hosts, [("sts:AssumeRole", "sts.eu-west-1.amazonaws.com")]);
    let mark = sandbox.emulator.log().mark();
    assert_copied(&copy(&sandbox, "--region us-west-2", &[("AWS_PROFILE", "images")]).await, &repository);
    assert_eq!(sandbox.emulator.log().matching(mark, "sts:*")[0].host, "sts.us-west-2.amazonaws.com");
    // `--profile` overrides credentials in the environment, and the variable does not.
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN"), ("AWS_SECRET_ACCESS_KEY", "x")];
    assert_copied(&copy(&sandbox, "--profile images", &keys).await, &repository);
    let output = copy(&sandbox, "", &[keys[0], keys[1], ("AWS_PROFILE", "images")]).await;
    let err = output.stderr;
    assert!(err.contains("UnrecognizedClientException") && err.contains("(CI-007)"), "{err}");
    assert!(err.contains("Sign in to AWS again: aws sso login --profile images."), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_a_role_that_cannot_be_assumed() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    write_profiles(&sandbox, &format!("[profile images]\nrole_arn = {ROLE}\nsource_profile = base\n"));
    let caller = "arn:aws:sts::123456789012:assumed-role/emulated-role/emulated-session";
    let reason = format!(
        "AccessDenied User: {caller} is not authorized to perform: sts:AssumeRole on resource: {ROLE}"
    );
    let output = copy(&sandbox, "--profile images", &[]).await;
    let err = output.stderr;
    assert!(err.starts_with(&format!("error: Credentials for {DESTINATION} are not available: ")), "{err}");
    assert!(err.contains(&reason[..60]) && err.chars().count() <= 408, "{err}");
    assert!(
        err.ends_with(" Correct these credentials, or select another profile with --profile. (CI-009)\n"),
        "{err}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_the_cached_token_of_a_sign_in() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    sandbox.emulator.sso().add_role("123456789012", "Images");
    write_profiles(
        &sandbox,
        "[profile dev]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Images\n\
         [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://corp.awsapps.com/start\n",
    );
    let advice = "Sign in to AWS again: aws sso login --profile dev.";
    let output = copy(&sandbox, "--profile dev", &[]).await;
    assert!(output.stderr.contains("SSO token") && output.stderr.contains(advice), "{output:?}");
    // The name is the SHA-1 hash of the session's name.
    let file = ".aws/sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";
    let cache =
        |token: &str, expiry: &str| format!(r#"{{"accessToken": "{token}", "expiresAt": "{expiry}"}}"#);
    let token = sandbox.emulator.sso().sign_in(Duration::from_secs(3600));
    sandbox.write_home(file, cache(&token, "2020-01-01T00:00:00Z"));
    let output = copy(&sandbox, "--profile dev", &[]).await;
    assert_unavailable(&output, "the SSO token has expired and cannot be refreshed", advice);
    sandbox.write_home(file, cache(&token, "2199-01-01T00:00:00Z"));
    let mark = sandbox.emulator.log().mark();
    assert_copied(&copy(&sandbox, "--profile dev", &[]).await, &repository);
    let calls = sandbox.emulator.log().matching(mark, "sso:*");
    assert_eq!(
        calls.iter().map(|call| call.host.as_str()).collect::<Vec<_>>(),
        ["portal.sso.us-east-1.amazonaws.com"]
    );
    sandbox.emulator.sso().sign_out();
    let output = copy(&sandbox, "", &[("AWS_PROFILE", "dev")]).await;
    assert_unavailable(&output, "UnauthorizedException: Session token not found or invalid", advice);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_the_process_of_a_profile() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    let environment = sandbox.emulator.environment();
    let key = &environment.iter().find(|(name, _)| name == "AWS_ACCESS_KEY_ID").unwrap().1;
    let script = |script: &str| {
        sandbox.write("credentials.sh", script);
        let file = sandbox.path("credentials.sh").display().to_string();
        write_profiles(&sandbox, &format!("[default]\ncredential_process = sh {file}\n"));
    };
    script(&format!(
        r#"echo x >>calls; printf '{{"Version": 1, "AccessKeyId": "{key}", "SecretAccessKey": "s", "SessionToken": "t"}}'"#
    ));
    assert_copied(&copy(&sandbox, "", &[]).await, &repository);
    assert_eq!(sandbox.read("calls"), "x\n");
    script("echo planted-secret; echo 'the vault is locked' >&2; exit 3");
    let output = copy(&sandbox, "", &[]).await;
    let err = output.stderr;
    assert!(err.contains("the vault is locked") && err.ends_with("(CI-009)\n"), "{err}");
    assert!(err.lines().count() == 1 && !err.contains("planted-secret"), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_the_endpoint_of_a_container() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    let container = sandbox.emulator.container_credentials().await.unwrap();
    let uri = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url.as_str());
    let output = copy(&sandbox, "", &[uri, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong")]).await;
    assert!(output.stderr.contains("AWS credentials cannot be loaded (\""), "{output:?}");
    assert!(output.stderr.contains("StatusCode(401)"), "{output:?}");
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", container.token.as_str());
    assert_copied(&copy(&sandbox, "", &[uri, token]).await, &repository);
}

/// Machines without the metadata service would wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn only_private_ecr_contacts_the_instance_metadata_service() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    let endpoint = sandbox.emulator.instance_metadata().await.unwrap();
    let variables =
        [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str())];
    sandbox.emulator.ecr_public().put_image("acme/app", "1", &image(1));
    sandbox.emulator.add_upstream(aws_emulator::Profile::without_auth("open.example"));
    let log = sandbox.emulator.log();
    for source in ["docker.io/acme/app:1", "public.ecr.aws/acme/app:1"] {
        let copy = format!("copy {source} --to open.example/copy --dry-run");
        let mut command = sandbox.command_without_aws_credentials(&copy);
        command.envs(variables);
        let output = RunOutput::of(command).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    }
    assert_eq!(log.count(log.start(), "instance:*"), 0);
    assert_copied(&copy(&sandbox, "", &variables).await, &repository);
    // One token, the name of the role and its credentials.
    assert_eq!(log.count(log.start(), "instance:*"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_a_web_identity() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    let file = sandbox.path("token").display().to_string();
    let variables = [("AWS_WEB_IDENTITY_TOKEN_FILE", file.as_str()), ("AWS_ROLE_ARN", ROLE)];
    let sts = sandbox.emulator.sts();
    sts.add_role(ROLE);
    sandbox.write("token", sts.issue_web_identity(SystemTime::now() - Duration::from_secs(60)));
    let output = copy(&sandbox, "", &variables).await;
    assert!(output.stderr.contains("ExpiredTokenException: Token expired: current date/time"), "{output:?}");
    sandbox.write("token", sts.issue_web_identity(SystemTime::now() + Duration::from_secs(60)));
    let mark = sandbox.emulator.log().mark();
    assert_copied(&copy(&sandbox, "", &variables).await, &repository);
    assert_eq!(sandbox.emulator.log().count(mark, "sts:AssumeRoleWithWebIdentity"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_must_exist() {
    let (sandbox, _) = Sandbox::with_ecr_repository().await;
    write_profiles(&sandbox, "[default]\nregion = eu-west-1\n");
    // Other sources must not replace the credentials of a profile with a typo.
    let container = sandbox.emulator.container_credentials().await.unwrap();
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", container.token.as_str()),
    ];
    assert_unavailable(
        &copy(&sandbox, "--profile prod", &variables).await,
        "profile `prod` was not defined, or contains no credentials",
        "Correct --profile, or configure the profile: aws configure --profile prod.",
    );
    let [uri, token] = variables;
    let output = copy(&sandbox, "", &[uri, token, ("AWS_PROFILE", "prod")]).await;
    assert!(output.stderr.contains("profile `prod` was not defined"), "{output:?}");
    assert!(output.stderr.contains("Correct AWS_PROFILE, "), "{output:?}");
    let output = copy(&sandbox, "--profile=", &[]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let output = copy(&sandbox, "--region evil.example/", &[]).await;
    assert!(output.code == Some(2) && output.stderr.contains("--region"), "{output:?}");
}

/// The CA certificate of the emulator is only in the option.
#[tokio::test(flavor = "multi_thread")]
async fn trusts_the_certificate_authority_of_the_option() {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    sandbox.write("ca.pem", sandbox.emulator.ca_pem());
    let mut command = sandbox.command(&COPY.split(' ').chain(["--ca-file", "ca.pem"]).collect::<Vec<_>>());
    command.env_remove("SSL_CERT_FILE");
    assert_copied(&RunOutput::of(command).await, &repository);
}
