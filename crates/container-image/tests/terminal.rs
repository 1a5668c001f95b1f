//! Snapshots of a terminal with 80 columns.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;
mod screen;

use aws_emulator::stack::Template;
use aws_emulator::workflows::{Counts, Script, Workflows};
use common::Sandbox;
use screen::{shown, shown_with};

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.7", 1);
    sandbox.publish("docker.io/library/python:3.9", 2);
    sandbox.registry("ghcr.io");
    sandbox.write("demo.yaml", include_str!("fixtures/session/demo.yaml"));
    sandbox.write("service.yaml", include_str!("fixtures/files/service.yaml"));
    sandbox.write("Dockerfile", "FROM ghcr.io/acme/gone:1\n");
    sandbox
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_a_list() {
    let sandbox = sandbox().await;
    insta::assert_snapshot!("list", shown(&sandbox, &[], "list").await);
}

/// Pins in four states: missing, moved, impossible, and of a text that may not be an image.
#[tokio::test(flavor = "multi_thread")]
async fn prints_a_session_of_pins() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.7", 1);
    let old = sandbox.publish("docker.io/library/python:3.9", 2);
    sandbox.publish("docker.io/library/python:3.9", 3);
    sandbox.registry("ghcr.io");
    sandbox.registry("registry.acme.example");
    let demo = include_str!("fixtures/session/demo.yaml");
    sandbox.write("demo.yaml", demo.replace("python:3.9 ", &format!("python:3.9@{old} ")));
    sandbox.write("Dockerfile", "FROM ghcr.io/acme/gone:1\n");
    sandbox.write("notes.md", "The old image was registry.acme.example/shop:1.\n");
    for (name, command) in [
        ("session-list", "list"),
        ("session-dry-run", "pin --dry-run"),
        ("session-check", "pin --check"),
        ("session-pin", "pin --quiet"),
        ("session-check-again", "pin --check"),
    ] {
        insta::assert_snapshot!(name, shown(&sandbox, &[], command).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_a_colored_patch_unless_colors_are_disabled() {
    let sandbox = sandbox().await;
    let command = "pin --dry-run demo.yaml";
    insta::assert_snapshot!("dry-run", shown(&sandbox, &[], command).await);
    let plain = shown(&sandbox, &[("NO_COLOR", "1")], command).await;
    assert!(!plain.contains("<ESC>[") && plain.contains("\n+++ b/demo.yaml\n"), "{plain}");
    let dumb = shown(&sandbox, &[("TERM", "dumb")], command).await;
    assert!(!dumb.contains("<ESC>["), "{dumb}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_the_changes_of_a_check() {
    let sandbox = sandbox().await;
    let command = "pin --check demo.yaml";
    insta::assert_snapshot!("check", shown(&sandbox, &[], command).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_failures_and_warnings() {
    let sandbox = sandbox().await;
    let command = "pin demo.yaml Dockerfile";
    insta::assert_snapshot!("failure", shown(&sandbox, &[], command).await);
    sandbox.write("broken.yaml", include_str!("fixtures/session/demo.yaml").replace("    Type", "   Type"));
    sandbox
        .write("wrong.yaml", include_str!("fixtures/session/demo.yaml").replace("python:3.9", "Python:3.9"));
    insta::assert_snapshot!("template-errors", shown(&sandbox, &[], "list broken.yaml wrong.yaml").await);
    let ambiguous = "update --all --check Dockerfile";
    insta::assert_snapshot!("warning", shown(&sandbox, &[], ambiguous).await);
    insta::assert_snapshot!("usage-error", shown(&sandbox, &[], "update --all --platforms").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_help_with_examples() {
    let sandbox = sandbox().await;
    insta::assert_snapshot!("help", shown(&sandbox, &[], "--help").await);
    insta::assert_snapshot!("help-pin", shown(&sandbox, &[], "pin --help").await);
    insta::assert_snapshot!("help-update", shown(&sandbox, &[], "update --help").await);
    insta::assert_snapshot!("help-copy", shown(&sandbox, &[], "copy --help").await);
    insta::assert_snapshot!("help-list", shown(&sandbox, &[], "list --help").await);
    insta::assert_snapshot!("help-inspect", shown(&sandbox, &[], "inspect --help").await);
    insta::assert_snapshot!("help-tags", shown(&sandbox, &[], "tags --help").await);
    insta::assert_snapshot!("help-import", shown(&sandbox, &[], "import --help").await);
    insta::assert_snapshot!("help-sync", shown(&sandbox, &[], "sync --help").await);
    insta::assert_snapshot!("help-refresh", shown(&sandbox, &[], "refresh --help").await);
    insta::assert_snapshot!("help-plan", shown(&sandbox, &[], "plan --help").await);
    insta::assert_snapshot!("help-verify", shown(&sandbox, &[], "verify --help").await);
}

/// Returns a sandbox with repositories, the prefix `base` in ECR, and the folder of its credentials.
async fn sandbox_with_ecr(repositories: &[&str]) -> (Sandbox, String, String) {
    let sandbox = sandbox().await;
    let ecr = sandbox.emulator.ecr();
    for name in repositories {
        ecr.create_repository(&sandbox.emulator.repository_arn(name), aws_emulator::Mutability::Mutable);
    }
    let prefix = ecr.repository(&sandbox.emulator.repository_arn("base")).uri();
    let (host, _) = prefix.split_once('/').unwrap();
    let region = host.split('.').nth(3).unwrap();
    let token = ecr.call(region, "GetAuthorizationToken", &serde_json::json!({})).unwrap();
    let token = &token["authorizationData"][0]["authorizationToken"];
    sandbox.write("config.json", serde_json::json!({"auths": {host: {"auth": token}}}).to_string());
    let folder = sandbox.folder().display().to_string();
    (sandbox, prefix, folder)
}

/// A run with each symbol. Seconds are replaced, because they vary. A library that compresses layers can
/// change digests and sizes.
#[tokio::test(flavor = "multi_thread")]
async fn prints_the_images_of_a_sync() {
    let (sandbox, prefix, folder) = sandbox_with_ecr(&["base/python", "base/acme/gone"]).await;
    let python = sandbox.emulator.ecr().repository(&sandbox.emulator.repository_arn("base/python"));
    python.put_image(Some("3.7"), &common::image(1));
    python.put_image(Some("3.9"), &common::image(9));
    sandbox.publish("docker.io/library/python:3.13", 3);
    sandbox.write("images.txt", "python:3.7\npython:3.9\npython:3.13\nghcr.io/acme/gone:1\n");
    // One image after another, so that their order is always the same.
    let command = format!("sync images.txt --to {prefix} --jobs 1");
    let replacements = [
        (r"\d+\.\d s\b", "0.1 s"),
        (r"[0-9.]+ (bytes|KiB)", "900 bytes"),
        (r"sha256:[0-9a-f]{12}\b", "sha256:0123456789ab"),
    ];
    let replacements = replacements.map(|(pattern, text)| (regex::Regex::new(pattern).unwrap(), text));
    let variables = [("DOCKER_CONFIG", folder.as_str())];
    let text = shown_with(&sandbox, &variables, &command, |text| {
        let replace = |text: String, (pattern, replacement): &(regex::Regex, &str)| {
            pattern.replace_all(&text, *replacement).into_owned()
        };
        replacements.iter().fold(text.to_owned(), replace)
    });
    insta::assert_snapshot!("sync", text.await);
}

/// A table with two images, one failure and one value that is not checked. A library that compresses layers can
/// change sizes.
#[tokio::test(flavor = "multi_thread")]
async fn prints_the_plan_of_a_template() {
    let (sandbox, _, _) = sandbox_with_ecr(&["base/python"]).await;
    sandbox.write("template.yaml", include_str!("fixtures/session/plan.yaml"));
    let sizes = regex::Regex::new(r"[0-9.]+ (bytes|KiB)").unwrap();
    let text = shown_with(&sandbox, &[], "plan template.yaml", |text| {
        sizes.replace_all(text, "900 bytes").into_owned()
    });
    insta::assert_snapshot!("plan", text.await);
}

/// A table with a failure of each kind. A library that compresses layers can change digests.
#[tokio::test(flavor = "multi_thread")]
async fn prints_the_images_of_a_verify() {
    let (sandbox, prefix, _) =
        sandbox_with_ecr(&["base/python", "base/team/payments/checkout-service"]).await;
    let ecr = sandbox.emulator.ecr();
    let python = ecr.repository(&sandbox.emulator.repository_arn("base/python"));
    let service = ecr.repository(&sandbox.emulator.repository_arn("base/team/payments/checkout-service"));
    let tags =
        [("python:3.7", 1), ("python:3.9", 2), ("python:3.13", 3), ("team/payments/checkout-service:2.1", 4)];
    for (name, seed) in tags {
        let (path, tag) = name.split_once(':').unwrap();
        let image = common::image(seed);
        let repository = if path == "python" { &python } else { &service };
        repository.put_image(Some(tag), &image);
        let findings = [("CRITICAL", seed), ("HIGH", 10 * seed), ("MEDIUM", 100 * seed)];
        repository.scan_image(&image.child("linux/amd64").unwrap().digest, &findings);
        let source =
            if path == "python" { format!("docker.io/library/{name}") } else { format!("ghcr.io/{name}") };
        sandbox.publish(&source, seed);
        let owner =
            format!("arn:aws:cloudformation:eu-west-1:123456789012:stack/images/7c9e6679/Image{seed}");
        let record = serde_json::json!({"Time": 5, "Owner": owner, "Source": source, "Digest": image.digest(),
            "SourceDigest": image.digest()});
        let item = serde_json::json!({"Image": format!("{prefix}/{name}"), "Version": 1, "Owners": {&owner: 5},
            "Copies": [record]});
        sandbox.emulator.dynamodb().put("eu-west-1", aws_emulator::STATE_TABLE, &item);
    }
    let command = format!("verify --all --state-table {}", aws_emulator::STATE_TABLE);
    // The first request for the findings returns a scan in progress.
    shown(&sandbox, &[], &command).await;
    python.set_tag("3.7", None);
    python.expire_image(&common::image(2).child("linux/arm64").unwrap().digest);
    sandbox.publish("ghcr.io/team/payments/checkout-service:2.1", 9);
    ecr.deny("ecr:StartLifecyclePolicyPreview", "*");
    let digest = regex::Regex::new(r"sha256:[0-9a-f]{12}\b").unwrap();
    let text = shown_with(&sandbox, &[], &command, |text| {
        digest.replace_all(text, "sha256:0123456789ab").into_owned()
    });
    insta::assert_snapshot!("verify", text.await);
}

/// A run with an image of each kind. Its name contains the time and the process ID.
#[tokio::test(flavor = "multi_thread")]
async fn prints_the_report_of_a_refresh() {
    let sandbox = sandbox_with_refresh_stack(0).await;
    sandbox.write("images.txt", "nginx:1.27\n");
    let name = regex::Regex::new(r"cli-\d{8}T\d{9}Z-\d+").unwrap();
    let text = shown_with(&sandbox, &[], "refresh --list images.txt", |text| {
        name.replace_all(text, "cli-20260301T101500000Z-4711").into_owned()
    });
    insta::assert_snapshot!("refresh", text.await);
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_a_progress_bar_of_a_refresh() {
    use aws_emulator::{Effect, Fault};
    let sandbox = sandbox_with_refresh_stack(2).await;
    sandbox.emulator.faults().add(Fault::on("states:DescribeMapRun", Effect::Delay { ms: 2500 }).once());
    let text = shown(&sandbox, &[], "refresh").await;
    assert!(text.contains(" of 8 images"), "{text}");
    assert!(!text.contains("note: 4 of 8 images"), "{text}");
}

/// Returns a sandbox with a refresh stack. Its next run has this number of counts, and fails because of one image.
async fn sandbox_with_refresh_stack(counts: usize) -> Sandbox {
    const BUCKET: &str = "image-refresh-bucket-1a2b";
    let sandbox = Sandbox::start().await;
    let workflows = Workflows::new(&sandbox.emulator.settings().account, "eu-west-1");
    sandbox.emulator.add(workflows.clone());
    let objects = std::sync::Arc::clone(sandbox.emulator.objects());
    objects.create_bucket("eu-west-1", BUCKET);
    let template = Template::new()
        .output("StateMachineArn", workflows.create("Refresh-1"))
        .output("BucketName", BUCKET)
        .output("ListObject", format!("s3://{BUCKET}/list.yaml"))
        .parameter("RepositoryPrefix", "mirror");
    sandbox.emulator.cloudformation().import_stack("image-refresh", "eu-west-1", &template, &[]);
    let report = include_str!("fixtures/session/refresh.json");
    workflows.script(Script {
        counts: vec![Counts { total: 8, succeeded: 4, failed: 0 }; counts],
        failure: Some(("ImagesFailed".into(), "1 of 8 images failed".into())),
        on_start: Some(Box::new(move |name| {
            objects.put(BUCKET, &format!("runs/{name}/report.json"), report);
        })),
        ..Script::default()
    });
    sandbox
}

/// The bar is visible during a wait, and is removed afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn shows_a_progress_bar_after_a_delay() {
    use aws_emulator::{Effect, Fault};
    let sandbox = sandbox().await;
    let stall = Effect::Delay { ms: 900 };
    sandbox.emulator.faults().add(Fault::on("manifest.head", stall));
    let text = shown(&sandbox, &[], "pin --dry-run demo.yaml").await;
    assert!(text.contains("of 2 references resolved"), "{text}");
    let quick = shown(&sandbox, &[], "list").await;
    assert!(!quick.contains("resolved"), "{quick}");
}

#[tokio::test(flavor = "multi_thread")]
async fn shows_a_progress_bar_of_a_verify() {
    use aws_emulator::{Effect, Fault};
    let (sandbox, prefix, _) = sandbox_with_ecr(&["base/python"]).await;
    let digest = common::image(1).digest().to_owned();
    sandbox.write("report.json", format!("{{\"python:3.7\": \"{prefix}/python@{digest}\"}}"));
    sandbox.emulator.faults().add(Fault::on("ecr:BatchGetImage", Effect::Delay { ms: 2500 }).once());
    let text = shown(&sandbox, &[], "verify report.json").await;
    assert!(text.contains(" 0 of 1 repositories verified"), "{text}");
}

/// One bar for each running image, and one for all.
#[tokio::test(flavor = "multi_thread")]
async fn shows_progress_bars_of_a_sync() {
    use aws_emulator::{Effect, Fault};
    let (sandbox, prefix, folder) = sandbox_with_ecr(&["base/python"]).await;
    sandbox.emulator.faults().add(Fault::on("upload.put", Effect::Delay { ms: 2500 }).once());
    let command = format!("sync python:3.7 python:3.9 --to {prefix} --jobs 1");
    let text = shown(&sandbox, &[("DOCKER_CONFIG", &folder)], &command).await;
    assert!(text.contains(" of 2 images, "), "{text}");
    assert!(text.contains("/s docker.io/library/python:3.7"), "{text}");
    assert!(text.contains("2 images: 2 new, 0 moved, 0 unchanged, 0 failed; "), "{text}");
}
