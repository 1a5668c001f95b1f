//! Creation of ECR repositories.

mod common;

use aws_emulator::Mutability;
use common::{RunOutput, Sandbox, image};
use serde_json::{Value, json};

const REPOSITORY: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/app";
const COPY: &str = "copy docker.io/acme/app:1 --to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/base/app";
const LIFECYCLE: &str = r#"{"rules": [{"rulePriority": 1, "description": "Keep ten images",
    "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 10},
    "action": {"type": "expire"}}]}"#;
const POLICY: &str =
    r#"{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}]}"#;

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/acme/app:1", 1);
    sandbox
}

async fn create(sandbox: &Sandbox, options: &str) -> RunOutput {
    sandbox.run(&format!("{COPY} --create-repositories {options}")).await
}

fn call(sandbox: &Sandbox, action: &str, input: Value) -> Value {
    sandbox.emulator.ecr().call("eu-west-1", action, &input).unwrap_or_else(|error| panic!("{error:?}"))
}

fn repositories(sandbox: &Sandbox) -> Vec<String> {
    sandbox.emulator.ecr().repositories()
}

#[track_caller]
fn assert_copied(sandbox: &Sandbox, output: &RunOutput, note: &str) {
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), note), "{output:?}");
    let arn = sandbox.emulator.repository_arn("base/app");
    let stored = sandbox.emulator.ecr().repository(&arn);
    assert_eq!(stored.resolve("1").as_deref(), Some(image(1).digest()));
    assert_eq!(stored.integrity_errors("1"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_repository_fails_with_the_command_that_creates_it() {
    let sandbox = sandbox().await;
    let output = sandbox.run(COPY).await;
    assert_eq!(output.code, Some(1));
    let hint = "Create it with `aws ecr create-repository --repository-name base/app --region eu-west-1`, or \
                copy with --create-repositories. (CI-003)\n";
    assert!(
        output.stderr.starts_with(&format!("error: Repository {REPOSITORY} was not found: ")),
        "{output:?}"
    );
    assert!(output.stderr.ends_with(hint), "{output:?}");
    assert_eq!(repositories(&sandbox), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_a_repository_once() {
    let sandbox = sandbox().await;
    let output = create(&sandbox, "").await;
    let note = format!("note: created repository {REPOSITORY}: mutable tags, encryption AES256.\n");
    assert_copied(&sandbox, &output, &note);
    let log = sandbox.emulator.log();
    let mark = log.mark();
    let output = create(&sandbox, "--scan-on-push").await;
    assert_copied(&sandbox, &output, "");
    assert!(output.stdout.contains("nothing to do"), "{output:?}");
    assert_eq!(log.count(mark, "ecr:CreateRepository"), 0);
    assert_eq!(log.count(mark, "ecr:DescribeRepositories"), 0);
    // Another tag of the existing repository.
    let output = sandbox.run(&format!("{COPY}:2 --create-repositories")).await;
    assert_copied(&sandbox, &output, "");
    assert_eq!(log.count(mark, "ecr:CreateRepository"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_a_repository_with_all_settings() {
    let sandbox = sandbox().await;
    sandbox.write("lifecycle.json", LIFECYCLE);
    sandbox.write("policy.json", POLICY);
    let output = create(
        &sandbox,
        "--immutable=latest,dev-* --scan-on-push --encryption KMS=alias/images --lifecycle lifecycle.json \
         --repository-policy policy.json --tags team=web,stage=test",
    )
    .await;
    let note = format!(
        "note: created repository {REPOSITORY}: immutable tags except latest dev-*, encryption KMS with key \
         alias/images, scan on push, lifecycle policy, repository policy, tags stage=test team=web.\n"
    );
    assert_copied(&sandbox, &output, &note);
    let described = call(&sandbox, "DescribeRepositories", json!({"repositoryNames": ["base/app"]}));
    let described = &described["repositories"][0];
    assert_eq!(described["imageTagMutability"], "IMMUTABLE_WITH_EXCLUSION");
    assert_eq!(described["imageTagMutabilityExclusionFilters"][1]["filter"], "dev-*");
    assert_eq!(described["imageScanningConfiguration"]["scanOnPush"], true);
    assert_eq!(described["encryptionConfiguration"]["encryptionType"], "KMS");
    let name = || json!({"repositoryName": "base/app"});
    assert_eq!(call(&sandbox, "GetLifecyclePolicy", name())["lifecyclePolicyText"], LIFECYCLE);
    assert_eq!(call(&sandbox, "GetRepositoryPolicy", name())["policyText"], POLICY);
    let tags = call(&sandbox, "ListTagsForResource", json!({"resourceArn": described["repositoryArn"]}));
    assert_eq!(tags["tags"][1], json!({"Key": "team", "Value": "web"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn ecr_creates_the_repository_by_a_template() {
    let sandbox = sandbox().await;
    let template = json!({"prefix": "base", "appliedFor": ["CREATE_ON_PUSH"], "imageTagMutability": "IMMUTABLE",
        "lifecyclePolicy": LIFECYCLE});
    call(&sandbox, "CreateRepositoryCreationTemplate", template);
    let output = create(&sandbox, "").await;
    let note = format!(
        "note: ECR creates repository {REPOSITORY} on push, by the creation template base: immutable tags, \
         encryption AES256, lifecycle policy.\n"
    );
    assert_copied(&sandbox, &output, &note);
    let log = sandbox.emulator.log();
    assert_eq!(log.count(log.start(), "ecr:CreateRepository"), 0);
    let name = json!({"repositoryName": "base/app"});
    assert_eq!(call(&sandbox, "GetLifecyclePolicy", name)["lifecyclePolicyText"], LIFECYCLE);
    assert_copied(&sandbox, &create(&sandbox, "").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_replace_the_template() {
    let sandbox = sandbox().await;
    let template =
        json!({"prefix": "ROOT", "appliedFor": ["CREATE_ON_PUSH"], "imageTagMutability": "IMMUTABLE"});
    call(&sandbox, "CreateRepositoryCreationTemplate", template);
    let output = create(&sandbox, "--scan-on-push").await;
    let note =
        format!("note: created repository {REPOSITORY}: mutable tags, encryption AES256, scan on push.\n");
    assert_copied(&sandbox, &output, &note);
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_nothing_in_a_dry_run_or_without_a_source() {
    let sandbox = sandbox().await;
    let output = create(&sandbox, "--dry-run").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let note = format!("note: the copy creates repository {REPOSITORY}: mutable tags, encryption AES256.\n");
    assert_eq!(output.stderr, note);
    let missing = COPY.replace("app:1", "app:missing");
    let output = sandbox.run(&format!("{missing} --create-repositories")).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("(CI-001)"), "{output:?}");
    assert_eq!(repositories(&sandbox), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_the_missing_permission() {
    let sandbox = sandbox().await;
    sandbox.emulator.ecr().deny("ecr:CreateRepository", "*");
    let output = create(&sandbox, "").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let start =
        format!("error: Repository {REPOSITORY} could not be created: ecr:CreateRepository returned ");
    assert!(output.stderr.starts_with(&start), "{output:?}");
    let hint = "Allow this for the AWS identity, or pass another --profile. (CI-008)\n";
    assert!(output.stderr.ends_with(hint), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_policy_is_an_error_that_says_what_remains() {
    let sandbox = sandbox().await;
    sandbox.write("lifecycle.json", LIFECYCLE.replace("any", "some"));
    let output = create(&sandbox, "--lifecycle lifecycle.json").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let start = format!("error: Repository {REPOSITORY} was created, but a policy could not be set: ");
    assert!(output.stderr.starts_with(&start), "{output:?}");
    let hint = "Correct --lifecycle, and set it with `aws ecr put-lifecycle-policy`: a repeated copy leaves the \
                repository unchanged.";
    assert!(output.stderr.contains(hint), "{output:?}");
    assert_eq!(repositories(&sandbox).len(), 1);
    sandbox.write("broken.json", "{");
    let output = create(&sandbox, "--lifecycle broken.json").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stderr.starts_with("error: --lifecycle broken.json: the file is not valid JSON"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn other_registries_create_their_repositories_themselves() {
    let sandbox = sandbox().await;
    sandbox.emulator.add_upstream(aws_emulator::Profile::without_auth("open.example"));
    let output = sandbox.run("copy docker.io/acme/app:1 --to open.example/copy --create-repositories").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(
        output.stderr,
        "error: --create-repositories supports only private Amazon ECR, but open.example is another registry. \
         Remove the option, or correct the destination.\n"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_repository_keeps_its_settings() {
    let sandbox = sandbox().await;
    let arn = sandbox.emulator.repository_arn("base/app");
    sandbox.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    let output = create(&sandbox, "--immutable").await;
    assert_copied(&sandbox, &output, "");
    let described = call(&sandbox, "DescribeRepositories", json!({"repositoryNames": ["base/app"]}));
    assert_eq!(described["repositories"][0]["imageTagMutability"], "MUTABLE");
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_creates_the_repositories_of_a_list() {
    let sandbox = sandbox().await;
    sandbox.publish("docker.io/acme/app:2", 2);
    sandbox.publish("docker.io/acme/web:1", 3);
    sandbox.write("images.txt", "acme/app:1\nacme/app:2\nacme/web:1\nacme/missing:1\n");
    let to = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror";
    let sync = format!("sync images.txt --to {to}");
    let output = sandbox.run(&sync).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    for name in ["app", "web"] {
        let command =
            format!("`aws ecr create-repository --repository-name mirror/acme/{name} --region eu-west-1`");
        assert!(output.stdout.contains(&command), "{output:?}");
    }
    let notes = |words: &str| {
        let note = |name: &str| format!("note: {words} {to}/acme/{name}: immutable tags, encryption AES256.");
        [note("app"), note("web")]
    };
    let sorted = |output: &RunOutput| {
        let mut lines: Vec<_> = output.stderr.lines().map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    };
    let create = format!("{sync} --create-repositories --immutable");
    let output = sandbox.run(&format!("{create} --dry-run")).await;
    assert_eq!(sorted(&output), notes("the copy creates repository"), "{output:?}");
    assert_eq!(repositories(&sandbox), [""; 0]);
    let output = sandbox.run(&format!("{create} --json")).await;
    assert_eq!(sorted(&output), notes("created repository"), "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let created = document["repositories"].as_array().unwrap();
    assert_eq!(created.len(), 2, "{created:?}");
    assert_eq!(
        created[0],
        json!({
            "name": format!("{to}/acme/app"), "creation_template": null, "tag_mutability": "immutable",
            "tag_exceptions": [], "encryption": "AES256", "kms_key": null, "scan_on_push": false,
            "has_lifecycle_policy": false, "has_repository_policy": false, "tags": {},
        })
    );
    let arns = ["mirror/acme/app", "mirror/acme/web"].map(|name| sandbox.emulator.repository_arn(name));
    assert_eq!(repositories(&sandbox), arns, "a missing source creates nothing");
    let tags = sandbox.emulator.ecr().repository(&arns[0]).tags();
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["1", "2"]);
    let output = sandbox.run(&create).await;
    assert_eq!(output.stderr, "");
    assert!(output.stdout.contains("0 new, 0 moved, 3 unchanged, 1 failed"), "{output:?}");
}
