//! `copy --customize` and its shortcuts.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use std::process::{Output, Stdio};

use aws_emulator::{ImageBuilder, Repository};
use common::{RunOutput, Sandbox};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

const VAULT: &str = "RUN mkdir -p /vault/file && chmod 777 /vault/file\nVOLUME /vault/file\n";

/// Returns a sandbox with the file `Customize`, `docker.io/acme/vault:1` with two platforms and attestations,
/// and an empty repository in ECR.
async fn sandbox() -> (Sandbox, Repository) {
    let (sandbox, repository) = Sandbox::with_ecr_repository().await;
    let image = ImageBuilder::new(7).attestations().index();
    sandbox.registry("docker.io").put_image("acme/vault", "1", &image);
    sandbox.write("Customize", VAULT);
    (sandbox, repository)
}

fn json_of(content: &[u8]) -> Value {
    serde_json::from_slice(content).unwrap()
}

/// Returns the configs of all platforms under a tag.
fn configs(repository: &Repository, tag: &str) -> Vec<Value> {
    let digest = |value: &Value| value["digest"].as_str().unwrap().to_owned();
    let root = json_of(&repository.manifest(tag).unwrap());
    let children = root["manifests"].as_array().unwrap().iter();
    let config = |child: &Value| {
        let manifest = json_of(&repository.manifest(&digest(child)).unwrap());
        json_of(&repository.blob(&digest(&manifest["config"])).unwrap())
    };
    children.map(config).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_every_platform_by_the_lines_of_a_file() {
    let (sandbox, repository) = sandbox().await;
    let copy = format!("copy docker.io/acme/vault:1 --to {}:v --customize Customize", repository.uri());
    let output = sandbox.run(&copy).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(
        output.stderr,
        "note: 2 attestations were left out, because they describe the images before the change.\n"
    );
    let configs = configs(&repository, "v");
    assert_eq!(configs.len(), 2);
    for config in configs {
        assert_eq!(config["config"]["Volumes"], json!({"/vault/file": {}}));
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
    }
    let digest = repository.resolve("v").unwrap();
    let again = sandbox.run(&copy).await;
    assert!(again.stdout.contains(&digest) && again.stdout.contains("nothing to do"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_the_change_of_each_config() {
    let (sandbox, repository) = sandbox().await;
    let uri = repository.uri();
    let output = sandbox
        .run(&format!("copy docker.io/acme/vault:1 --to {uri}:v --env A=1 --label b=2 --dry-run"))
        .await;
    assert_eq!(output.code, Some(0), "{output:?}");
    for part in [
        "customized   2 platforms, 2 attestations left out\n",
        "--- a/linux/amd64\n+++ b/linux/amd64\n",
        "--- a/linux/arm64\n+++ b/linux/arm64\n",
        "-      \"PATH=/usr/bin:/bin\"\n",
        "+      \"PATH=/usr/bin:/bin\",\n+      \"A=1\"\n",
        "+    \"Labels\": {\n+      \"b\": \"2\"\n+    }\n",
        "+      \"created_by\": \"ENV A=1\",\n",
    ] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    assert!(repository.tags().is_empty() && repository.blobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_added_to_the_lines_of_standard_input() {
    let (sandbox, repository) = sandbox().await;
    let to = format!("{}:v", repository.uri());
    let arguments = [
        "copy",
        "docker.io/acme/vault:1",
        "--to",
        &to,
        "--customize",
        "-",
        "--env",
        "B=$A \"c\" \\d",
        "--label",
        "x y=é",
        "--volume",
        "/a b",
        "--volume",
        "/$A",
    ];
    let output = run_with_input(&sandbox, &arguments, b"ENV A=1\nUSER app").await;
    assert!(output.status.success(), "{output:?}");
    for config in configs(&repository, "v") {
        let config = &config["config"];
        assert_eq!(config["Env"], json!(["PATH=/usr/bin:/bin", "A=1", "B=$A \"c\" \\d"]));
        assert_eq!(config["User"], "app");
        assert_eq!(config["Labels"], json!({"x y": "é"}));
        assert_eq!(config["Volumes"], json!({"/a b": {}, "/$A": {}}));
    }
}

/// Runs the program with standard input.
async fn run_with_input(sandbox: &Sandbox, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = sandbox.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // The program can end before it has read everything.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    child.wait_with_output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_standard_input_is_rejected_as_a_whole() {
    let (sandbox, repository) = sandbox().await;
    let to = format!("{}:v", repository.uri());
    let arguments = ["copy", "docker.io/acme/vault:1", "--to", &to, "--customize", "-"];
    // The beginning, without its last empty lines, would be valid.
    let large = format!("ENV A=1\n{}ENV B=2\n", "\n".repeat(2 << 20));
    for (input, problem) in [
        (large.as_bytes(), "standard input cannot be read: it is larger than 2 MiB."),
        (&b"ENV A=\xe9"[..], "standard input is not text in UTF-8. Check the file."),
        (&b"RUN"[..], "the Dockerfile lines of standard input are not valid: "),
    ] {
        let output = run_with_input(&sandbox, &arguments, input).await;
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with(&format!("error: {problem}")), "{stderr}");
    }
    assert!(repository.tags().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_lines_and_options_are_reported_before_any_request() {
    let (sandbox, repository) = sandbox().await;
    let uri = repository.uri();
    sandbox.write("apt", "ENV A=1\nRUN apt-get update\n");
    let mark = sandbox.emulator.log().mark();
    let run = async |options: &str| -> RunOutput {
        sandbox.run(&format!("copy docker.io/acme/vault:1 --to {uri}:v {options}")).await
    };
    let output = run("--customize apt").await;
    assert_eq!(output.code, Some(1));
    assert_eq!(
        output.stderr,
        "error: the Dockerfile lines of apt are not valid: line 2: \"apt-get\" is not supported in RUN. Use mkdir, \
         chmod, chown, touch and ln -s, or build the image with a Dockerfile, for example in CodeBuild.\n"
    );
    let output = run("--customize missing").await;
    assert_eq!(output.code, Some(1));
    assert_eq!(output.stderr, "error: the file missing was not found. Correct the path.\n");
    for (options, part) in [
        ("--customize apt --include-referrers", "cannot be used with"),
        ("--env A", "expected NAME=VALUE"),
        ("--label =x", "expected NAME=VALUE"),
        ("--volume data", "expected an absolute path"),
    ] {
        let output = run(options).await;
        assert!(output.code == Some(2) && output.stderr.contains(part), "{options}: {output:?}");
    }
    assert!(sandbox.emulator.log().since(mark).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_that_do_not_fit_the_image_are_reported_with_a_code() {
    let (sandbox, repository) = sandbox().await;
    sandbox.write("home", "RUN mkdir -p $HOME/x\n");
    let output = sandbox
        .run(&format!("copy docker.io/acme/vault:1 --to {}:v --customize home", repository.uri()))
        .await;
    assert_eq!(output.code, Some(1));
    assert_eq!(
        output.stderr,
        "error: Image docker.io/acme/vault:1 for linux/amd64 cannot be customized: line 1: the variable HOME is not \
         set by ENV. Nothing was copied. Correct --customize, or select other platforms with --platform. (CI-034)\n"
    );
    assert!(repository.tags().is_empty() && repository.blobs().is_empty());
}
