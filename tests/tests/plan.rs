//! Proof of `container-image plan`: each template with one defect fails in the plan and in a deployment with the
//! function. Sound templates pass both.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use aws_emulator::stack::StackStatus;
use aws_emulator::{Image, ImageBuilder, Manifest, Mutability, Profile, Registry};
use end_to_end::{World, bootstrap, container_image};
use futures_util::StreamExt;
use serde_json::json;
use tokio::process::Command;

/// Result of the deployment of a template with a defect.
#[derive(Clone, Copy)]
enum Deployment {
    /// CloudFormation rejects the template with this message.
    Rejected(&'static str),
    /// A resource fails with this reason, and the stack is rolled back.
    Fails(&'static str),
    /// The deployment succeeds, and one of the images loses its tag.
    LosesTag,
    /// The deployment succeeds. The containers would fail, which the emulator does not run.
    ContainersFail,
}

use Deployment::{ContainersFail, Fails, LosesTag, Rejected};

/// Templates with one defect: file, text in the plan, and result of the deployment.
const DEFECTS: &[(&str, &str, Deployment)] = &[
    // Source
    ("typo-in-name", "docker.io/library/pyhton:3.13 could not be read: ", Fails("(CI-004")),
    ("missing-tag", "python:3.99 was not found: ", Fails("(CI-001")),
    ("missing-digest", "python@sha256:000", Fails("(CI-001")),
    ("url-as-reference", "which is not an image reference", Fails("(CI-102")),
    ("upper-case-reference", "which is not a repository name", Fails("(CI-102")),
    ("missing-platform", "is not available for linux/s390x", Fails("linux/s390x")),
    ("one-missing-platform", "is not available for linux/riscv64", Fails("linux/riscv64")),
    ("schema-1", "schema 1 format", Fails("(CI-023")),
    ("missing-child-manifest", ") is incomplete: Docker Hub returned 404", Fails("(CI-002")),
    ("private-source", "set CredentialArn. (CI-004)", Fails("(CI-004")),
    ("missing-secret", "(CI-201)", Fails("(CI-201")),
    ("wrong-password", "(CI-006)", Fails("(CI-006")),
    // Properties
    ("invalid-platform", "Platform is \"arm\"", Fails("(CI-102")),
    ("unknown-property", "Did you mean Platform? (CI-103)", Fails("(CI-103")),
    ("missing-reference", "ImageReference is missing", Fails("(CI-101")),
    ("missing-repository-arn", "RepositoryArn is missing", Fails("(CI-101")),
    ("name-as-arn", "Invalid AWS ECR repository ARN: created", Fails("(CI-102")),
    ("invalid-tag", "Tag is \"release 1\"", Fails("(CI-102")),
    ("invalid-credential-arn", "CredentialArn is \"ghcr-login\"", Fails("(CI-102")),
    ("invalid-flag", "IncludeReferrers is \"perhaps\"", Fails("(CI-102")),
    (
        "short-timeout",
        "CloudFormation waits 1 s. Increase ServiceTimeout. (CI-303)",
        Fails("Increase ServiceTimeout"),
    ),
    // Repository
    ("missing-repository", "eu-west-1.amazonaws.com/pyhton was not found: ", Fails("(CI-003")),
    ("immutable-tag", "is immutable and names image", Fails("(CI-030")),
    ("immutable-without-exclusion", "is immutable and names image", Fails("(CI-030")),
    ("repository-in-another-region", "us-east-1", Fails("(CI-003")),
    ("repository-in-another-account", "210987654321", Fails("(CI-003")),
    ("push-denied", "does not allow ecr:PutImage", Fails("(CI-008")),
    ("denied-by-policy", "The policy of repository guarded denies ecr:PutImage", Fails("(CI-008")),
    ("two-images-for-one-tag", "copies another image to the same repository and tag 3.13", LosesTag),
    // Provider
    ("source-not-allowed", "Source quay.io/acme/app:1 is not allowed", Fails("(CI-106")),
    ("missing-function", "cnf-container-image-provider was not found", Fails("Function not found")),
    ("function-in-another-region", "ServiceToken is in Region us-east-1", Fails("Function not found")),
    // Template
    ("parameter-without-value", "Parameter Tag has no value", Rejected("must have values")),
    ("parameter-with-wrong-value", "Parameter Tag", Rejected("must be one of AllowedValues")),
    ("undefined-ref", "\"Image2\" is neither a resource nor a parameter", Rejected("dependencies [Image2]")),
    ("undefined-condition", "IsLive", Rejected("condition dependency IsLive")),
    ("missing-key-in-mapping", "Images", Fails("Images::eu-west-1::Python")),
    ("unknown-attribute", "has no attribute \"Uri\"", Fails("doesn't contain Uri key")),
    // Resources that run the image
    ("ecs-architecture", "Task: It runs linux/arm64, but image Image has linux/amd64", ContainersFail),
    ("lambda-architecture", "Function: It runs linux/amd64, but image Image has linux/arm64", ContainersFail),
    (
        "codebuild-architecture",
        "Project: It runs linux/arm64, but image Image has linux/amd64",
        ContainersFail,
    ),
    ("batch-architecture", "Job: It runs linux/arm64, but image Image has linux/amd64", ContainersFail),
    ("sam-architecture", "Function: It runs linux/arm64, but image Image has linux/amd64", ContainersFail),
];

/// Templates whose deployment fails for a reason that the user cannot check: file, text of the check that the plan
/// skips, and reason of the rollback.
const NOT_CHECKED: &[(&str, &str, &str)] = &[
    ("unreadable-secret", "the credentials of the source: ", "(CI-204"),
    ("pull-limit", "0 of 100 pulls left", "(CI-010"),
];

/// Sound templates.
const SOUND: &[&str] = &[
    "sound-parameters.yaml",
    "sound-mappings.yaml",
    "sound-conditions.yaml",
    "sound-several-platforms.yaml",
    "sound-sam.yaml",
    "sound-adopted-tag.yaml",
    "sound-digest.yaml",
    "sound-private-source.yaml",
    "sound-created-repository.yaml",
    "sound-another-account.yaml",
    "sound-job.yaml",
    "sound-json.json",
];

fn index(seed: u64, layers: &[u64]) -> Image {
    ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64"]).layers(layers).index()
}

/// Starts an account with the registries and repositories that the templates name.
async fn world() -> World {
    let world = World::start(bootstrap().unwrap(), |settings| {
        settings.timeout = Duration::from_secs(60);
        let allowed = "docker.io,ghcr.io/acme".to_owned();
        settings.environment.push(("ALLOWED_SOURCES".to_owned(), allowed));
    })
    .await
    .unwrap();
    let emulator = &world.emulator;
    let hub = emulator.docker_hub();
    let python = index(1, &[40_000, 3_000]);
    hub.put_image("library/python", "3.13", &python);
    hub.put_image("library/node", "22", &index(2, &[20_000]));
    hub.put_image("library/large", "1", &index(3, &[400_000_000]));
    put_unusual_images(hub);
    let ghcr = emulator.add_upstream(Profile::bearer("ghcr.io"));
    ghcr.put_image("acme/private", "1", &index(4, &[20_000]));
    ghcr.make_private("acme/private", &["octocat"]);
    ghcr.add_user("octocat", "right");
    for (name, password) in [("octocat", "right"), ("outdated", "wrong"), ("locked", "right")] {
        let arn = format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf");
        let credentials = json!({"username": "octocat", "password": password, "registry": "ghcr.io"});
        emulator.secrets().put(&arn, &credentials.to_string());
    }
    emulator.secrets().deny("*:secret:locked-*");
    let quay = emulator.add_upstream(Profile::bearer("quay.io"));
    quay.put_image("acme/app", "1", &index(5, &[20_000]));

    let create =
        |name: &str, mutability| emulator.ecr().create_repository(&emulator.repository_arn(name), mutability);
    create("python", Mutability::Mutable);
    create("denied", Mutability::Mutable);
    emulator.ecr().deny("ecr:PutImage", &emulator.repository_arn("denied"));
    create("guarded", Mutability::Mutable);
    let statement = json!({"Effect": "Deny", "Principal": "*", "Action": "ecr:PutImage"});
    let policy =
        json!({"repositoryName": "guarded", "policyText": json!({"Statement": statement}).to_string()});
    emulator.ecr().call("eu-west-1", "SetRepositoryPolicy", &policy).unwrap();
    create("fixed", Mutability::Immutable).put_image(Some("3.13"), &index(6, &[10_000]));
    create("fixed-except-dev", Mutability::Immutable).put_image(Some("3.13"), &index(6, &[10_000]));
    let exclusion = json!([{"filterType": "WILDCARD", "filter": "dev-*"}]);
    let input = json!({
        "repositoryName": "fixed-except-dev",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": exclusion,
    });
    emulator.ecr().call("eu-west-1", "PutImageTagMutability", &input).unwrap();
    create("adopted", Mutability::Immutable).put_image(Some("3.13"), &python);
    let shared = "arn:aws:ecr:eu-west-1:210987654321:repository/shared";
    emulator.ecr().create_repository(shared, Mutability::Mutable);
    world
}

/// Adds an image in Docker's schema 1 format, and an index without one of its images.
fn put_unusual_images(hub: &Registry) {
    let media_type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let content = json!({
        "schemaVersion": 1, "name": "library/legacy", "tag": "1", "architecture": "amd64", "fsLayers": [],
        "history": [], "signatures": [],
    });
    let legacy = Manifest::new(content.to_string(), media_type);
    let digest = legacy.digest.clone();
    hub.put_manifest("library/legacy", legacy);
    hub.tag("library/legacy", "1", &digest);
    let incomplete = index(7, &[10_000]);
    hub.put_manifest("library/incomplete", incomplete.root().clone());
    hub.put_manifest("library/incomplete", incomplete.child("linux/amd64").unwrap().clone());
    hub.tag("library/incomplete", "1", incomplete.digest());
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/plan").join(name)
}

/// Runs the plan, and returns the exit code and the output.
async fn plan(world: &World, template: &Path) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(container_image().unwrap())
        .arg("plan")
        .arg(template)
        .env_clear()
        .envs(world.emulator.environment())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

/// Deploys the template. Returns the message of the rejection, or the status and the reasons of failures.
async fn deploy(world: &World, template: &Path) -> Result<(StackStatus, String), String> {
    // Longer than a second, so that the function responds before CloudFormation stops waiting.
    let stack = world.stack("shop", Duration::from_secs(10));
    let template = stack.load(&std::fs::read_to_string(template).unwrap(), &[])?;
    let report = stack.create(&template).await;
    Ok((report.status, report.failures().join("\n")))
}

/// Returns an error if the condition is false.
fn expect(condition: bool, text: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(text()) }
}

async fn check_defect((name, planned, deployed): (&str, &str, Deployment)) -> Result<(), String> {
    let world = world().await;
    let template = fixture(&format!("{name}.yaml"));
    let (code, output) = plan(&world, &template).await;
    let failures: Vec<&str> = output.lines().filter(|line| line.starts_with("! /")).collect();
    expect(code == 1 && failures.len() == 1 && failures[0].contains(planned), || {
        format!("plan: exit code {code}, expected {planned}:\n{output}")
    })?;
    let result = deploy(&world, &template).await;
    let found = match (&result, deployed) {
        (Err(message), Rejected(expected)) => message.contains(expected),
        // The rollback fails too if the function is missing.
        (Ok((StackStatus::RollbackComplete | StackStatus::RollbackFailed, reasons)), Fails(expected)) => {
            reasons.contains(expected)
        }
        (Ok((StackStatus::CreateComplete, _)), ContainersFail) => true,
        (Ok((StackStatus::CreateComplete, _)), LosesTag) => {
            // One of the two images has the tag, so that the other resource has lost it.
            let python = world.emulator.ecr().repository(&world.emulator.repository_arn("python"));
            let digest = python.resolve("3.13").unwrap_or_default();
            python.images().len() > 1 && python.images().contains(&digest)
        }
        _ => false,
    };
    expect(found, || format!("deployment: {result:?}"))
}

async fn check_unknown((name, planned, reason): (&str, &str, &str)) -> Result<(), String> {
    let world = world().await;
    if name == "pull-limit" {
        world.emulator.docker_hub().set_remaining_pulls(None, 0);
    }
    let template = fixture(&format!("{name}.yaml"));
    let (code, output) = plan(&world, &template).await;
    let is_named = output.lines().any(|line| line.starts_with("? /") && line.contains(planned));
    expect(code == 0 && is_named, || format!("plan: exit code {code}, expected {planned}:\n{output}"))?;
    let result = deploy(&world, &template).await;
    let fails = matches!(&result, Ok((StackStatus::RollbackComplete, reasons)) if reasons.contains(reason));
    expect(fails, || format!("deployment: {result:?}"))
}

/// Plans before and after the deployment, because the second deployment adopts what the first one has created.
async fn check_sound(name: &str) -> Result<(), String> {
    let world = world().await;
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(fixture(name)).unwrap();
    let template = folder.path().join(name);
    std::fs::write(&template, text.replace("sha256:DIGEST", index(1, &[40_000, 3_000]).digest())).unwrap();
    let (code, output) = plan(&world, &template).await;
    expect(code == 0 && !output.contains("\n? "), || format!("plan: exit code {code}\n{output}"))?;
    let result = deploy(&world, &template).await;
    expect(matches!(&result, Ok((StackStatus::CreateComplete, _))), || format!("deployment: {result:?}"))?;
    let (code, output) = plan(&world, &template).await;
    expect(code == 0 && !output.contains("\n+ "), || format!("second plan: exit code {code}\n{output}"))
}

/// Checks all rows of a table, several at the same time, and reports all that fail.
async fn check_all<R: Copy, F: Future<Output = Result<(), String>>>(
    rows: &[R],
    name: impl Fn(R) -> &'static str,
    check: impl Fn(R) -> F,
) {
    let checks = rows.iter().map(|row| {
        let (name, check) = (name(*row), check(*row));
        async move { check.await.map_err(|error| format!("{name}: {error}")) }
    });
    let results: Vec<_> = futures_util::stream::iter(checks).buffered(4).collect().await;
    let failures: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} of {} rows:\n{}", failures.len(), rows.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_defect_fails_in_the_plan_and_in_the_deployment() {
    check_all(DEFECTS, |(name, ..)| name, check_defect).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn defects_that_the_user_cannot_check_are_reported() {
    check_all(NOT_CHECKED, |(name, ..)| name, check_unknown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_templates_pass_and_are_deployed() {
    check_all(SOUND, |name| name, check_sound).await;
}

#[test]
fn each_template_is_in_a_table() {
    let mut named: Vec<String> = DEFECTS.iter().map(|(name, ..)| format!("{name}.yaml")).collect();
    named.extend(NOT_CHECKED.iter().map(|(name, ..)| format!("{name}.yaml")));
    named.extend(SOUND.iter().map(|name| (*name).to_owned()));
    let entries = std::fs::read_dir(fixture("")).unwrap();
    let mut files: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    named.sort();
    files.sort();
    assert_eq!(named, files);
}
