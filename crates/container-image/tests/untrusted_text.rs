//! Text from registries, programs and file names is printed in visible lines of limited length.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aws_emulator::{Effect, Fault, Manifest, Profile};
use common::{RunOutput, Sandbox};
use image_copy::oci::{Digest, media_type};
use serde_json::{Value, json};

/// Clears the screen, sets its title, starts a line, and reverses and hides letters.
const HOSTILE: &str =
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r\nerror: forged\u{202e}\u{2066}\u{200b}\u{e0061}";

/// Maximum number of characters that one run prints with `--verbose`.
const MAX_OUTPUT: usize = 4000;

/// Returns true for control characters except line breaks, and for format characters.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[track_caller]
fn check(output: &RunOutput, expected: &str) {
    let text = format!("{}{}", output.stdout, output.stderr);
    assert!(!text.contains(is_hidden), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{text}");
    assert!(text.chars().count() <= MAX_OUTPUT, "{text}");
    assert!(text.contains(expected), "{text}");
}

async fn copy(sandbox: &Sandbox, more: &str) -> RunOutput {
    sandbox.run(&format!("copy ghcr.io/acme/app:1 --to open.example/acme/copy:1 --verbose {more}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn sanitizes_text_of_registries_and_token_services() {
    let long = HOSTILE.repeat(1000);
    let errors = |text: &str| {
        let error = json!({"code": text, "message": text, "detail": {text: text}});
        json!({"errors": vec![error; 5]}).to_string()
    };
    for (operation, body, expected) in [
        ("manifest.get", errors(HOSTILE), "error: forged"),
        ("manifest.get", errors(&long), "…"),
        ("manifest.get", HOSTILE.into(), "\"]0;title error: forged\""),
        ("token", errors(HOSTILE), "error: forged"),
        ("token", long.clone(), "…"),
        ("manifest.get", format!("<Error><Code>{HOSTILE}</Code><Message>{long}</Message></Error>"), "…"),
    ] {
        let sandbox = Sandbox::start().await;
        sandbox.publish("ghcr.io/acme/app:1", 1);
        sandbox.emulator.add_upstream(Profile::without_auth("open.example"));
        let rejection = Effect::Status { code: 400, headers: Default::default(), body };
        sandbox.emulator.faults().add(Fault::on(operation, rejection));
        check(&copy(&sandbox, "").await, expected);
    }
}

/// Publishes a document as `ghcr.io/acme/app:1`.
fn publish(sandbox: &Sandbox, document: &Value, kind: &str) {
    let manifest = Manifest::new(document.to_string(), kind);
    let registry = sandbox.registry("ghcr.io");
    registry.tag("acme/app", "1", &manifest.digest);
    registry.put_manifest("acme/app", manifest);
    sandbox.emulator.add_upstream(Profile::without_auth("open.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_invalid_platforms() {
    let digest = Digest::of(b"child");
    let index = |platform: Value| {
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [
            {"mediaType": media_type::OCI_MANIFEST, "digest": digest.as_str(), "size": 5, "platform": platform}]})
    };
    for (platform, expected) in [
        (json!({"os": format!("linux{HOSTILE}"), "architecture": "x"}), "\"linux ]0;title error: forged/x\""),
        (json!({"os": "linux", "architecture": "x".repeat(3_000_000)}), "\"linux/xxx"),
        (json!({"os": "linux", "architecture": "x", "variant": "v\u{202e}8"}), "\"linux/x/v8\""),
        (json!({"os": "windows", "architecture": "x", "os.version": HOSTILE}), "is not an os.version"),
    ] {
        let sandbox = Sandbox::start().await;
        publish(&sandbox, &index(platform), media_type::OCI_INDEX);
        sandbox.write("a.txt", "ghcr.io/acme/app:1\n");
        for more in ["", "--dry-run", "--platform linux/s390x", "--platform all"] {
            let output = copy(&sandbox, more).await;
            check(&output, expected);
            check(&output, "it is not a valid manifest: ");
            assert_eq!(output.code, Some(1));
        }
        let update = "update --all --matching-tag --resolve-digest --platform linux/s390x --verbose a.txt";
        check(&sandbox.run(update).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_an_invalid_platform_of_a_single_image() {
    let sandbox = Sandbox::start().await;
    let config = json!({"os": format!("linux{HOSTILE}"), "architecture": "x"}).to_string();
    let blob = aws_emulator::Blob::bytes(config.clone());
    let descriptor = |kind: &str| {
        let digest = Digest::of(config.as_bytes());
        json!({"mediaType": kind, "digest": digest.as_str(), "size": config.len()})
    };
    let image = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG), "layers": [descriptor("application/x")]});
    sandbox.registry("ghcr.io").put_blob("acme/app", blob);
    publish(&sandbox, &image, media_type::OCI_MANIFEST);
    sandbox.write("a.txt", "ghcr.io/acme/app:1\n");
    let expected = "the platform is invalid: \"linux ]0;title error: forged/x\"";
    check(&copy(&sandbox, "--platform linux/s390x").await, expected);
    check(&copy(&sandbox, "--dry-run").await, expected);
    let update = "update --all --matching-tag --resolve-digest --platform linux/s390x a.txt";
    check(&sandbox.run(update).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_invalid_media_types() {
    let digest = Digest::of(b"blob");
    let blob = |kind: &str| json!({"mediaType": kind, "digest": digest.as_str(), "size": 4});
    let image = |own: &str, layer: &str| json!({"schemaVersion": 2, "mediaType": own, "config": blob("application/x"), "layers": [blob(layer)]});
    let long = format!("application/x{}", "y".repeat(3_000_000));
    for document in [
        image(&format!("application/x{HOSTILE}"), "application/x"),
        image(&long, "application/x"),
        image(media_type::OCI_MANIFEST, &format!("a/{HOSTILE}")),
        image(media_type::OCI_MANIFEST, &long),
    ] {
        let sandbox = Sandbox::start().await;
        publish(&sandbox, &document, "application/octet-stream");
        let mark = sandbox.emulator.log().mark();
        let output = copy(&sandbox, "").await;
        check(&output, "is not a media type: expected");
        assert_eq!(output.code, Some(1));
        assert!(sandbox.emulator.log().matching(mark, "manifest.put").is_empty(), "no manifest is sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn escapes_file_names_for_terminals_only() {
    let sandbox = Sandbox::start().await;
    let name = "x\u{1b}[31m\t\"y\"\nerror: forged\u{202e}.txt";
    sandbox.write(name, "ghcr.io/acme/app:1\n");
    let shown = "x\\u{1b}[31m\\t\"y\"\\nerror: forged\\u{202e}.txt";
    check(&sandbox.run("list").await, &format!("{shown}:ghcr.io/acme/app:1"));
    check(&sandbox.run("update --all --check").await, &format!("{shown}:1: "));
    check(&sandbox.run("update --all --dry-run --verbose").await, shown);
    let missing = sandbox.run_with(&["list", "no\u{1b}[2J\nerror: forged"]).await;
    check(&missing, "no\\u{1b}[2J\\nerror: forged does not exist, or is neither a file nor a folder");
    for arguments in ["list --json", "update --all --json --dry-run"] {
        let output = sandbox.run(arguments).await;
        check(&output, "\\u202e");
        let document: Value = serde_json::from_str(&output.stdout).unwrap();
        let entry = document.pointer("/changes/0").unwrap_or(&document[0]);
        assert_eq!(entry["path"], name);
    }
    let patch = sandbox.run("update --all --dry-run").await.stdout;
    sandbox.write("the.patch", &patch);
    let git = std::process::Command::new("git")
        .args(["apply", "the.patch"])
        .current_dir(sandbox.folder())
        .output()
        .unwrap();
    assert!(git.status.success(), "{patch}{}", String::from_utf8_lossy(&git.stderr));
    assert_eq!(sandbox.read(name), "ghcr.io/acme/app:latest\n");
}

fn write_program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sanitizes_text_of_programs_and_configuration_files() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("ghcr.io/acme/app:1", 1);
    sandbox.emulator.add_upstream(Profile::without_auth("open.example"));
    sandbox.write("folder/words", format!("fatal: {}", HOSTILE.replace("\r\n", " ")));
    let folder = sandbox.path("folder");
    let complain = format!("cat {}/words >&2; exit 1", folder.display());
    write_program(&folder.join("docker-credential-bad"), &complain);
    write_program(&folder.join("git"), &complain);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let run = async |arguments: &str, config: &Value| {
        sandbox.write("config/config.json", config.to_string());
        let mut command = sandbox.command(&arguments.split_whitespace().collect::<Vec<_>>());
        command.env("PATH", &path).env("DOCKER_CONFIG", sandbox.path("config"));
        let output = command.output().await.unwrap();
        RunOutput {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: common::without_times(&String::from_utf8(output.stderr).unwrap()),
        }
    };
    let copy = "copy ghcr.io/acme/app:1 --to open.example/acme/copy:1 --verbose";
    let helper = |name: &str| json!({"credHelpers": {"ghcr.io": name}});
    check(&run(copy, &helper("bad")).await, "it failed with \"fatal: ]0;title error: forged\"");
    check(&run(copy, &helper(&format!("no{HOSTILE}"))).await, "docker-credential-no ]0;title error: forged");
    check(&run(copy, &helper(&"x".repeat(100_000))).await, "…");
    let list = run("list --git-repo https://host.example/repository", &json!({})).await;
    check(&list, "git failed with \"fatal: ]0;title error: forged\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn sanitizes_keys_and_values_of_templates() {
    let sandbox = Sandbox::start().await;
    let template = r#"{"Resources": {
        "A\u001b\u202e": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"ImageUri": "x\u001b[2J\nerror: forged\u202e y"}}},
        "B": {"Type": "AWS::Lambda::Function", "Properties": {"Code": {"ImageUri": {"Fn::Foo\u001b]0;\u202e": "y"}}}}}}"#;
    sandbox.write("a.json", template);
    let output = sandbox.run("list").await;
    check(&output, "invalid image reference \"x error: forged y\"");
    check(&output, "its value is computed by Foo ]0;.");
}

#[tokio::test(flavor = "multi_thread")]
async fn sanitizes_invalid_arguments() {
    let sandbox = Sandbox::start().await;
    for arguments in
        [["list", &format!("--{HOSTILE}")], ["copy", HOSTILE], [HOSTILE, "x"], ["list", &"-x".repeat(9000)]]
    {
        let output = sandbox.run_with(&arguments).await;
        check(&output, "error: ");
        assert_eq!(output.code, Some(2));
    }
    let output = sandbox.run_with(&["inspect", &"A".repeat(9000)]).await;
    check(&output, "is not a repository name: ");
}
