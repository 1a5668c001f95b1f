//! The binary as a shell sees it.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aws-emulator")).args(arguments).output().unwrap()
}

#[test]
fn serve_prints_what_to_export_and_ends_in_time() {
    let faults = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(faults.path(), r#"[{"match": {"operation": "token"}, "effect": "delay", "ms": 5}]"#)
        .unwrap();
    let arn = "arn:aws:ecr:eu-central-1:123456789012:repository/app";
    let file = faults.path().to_str().unwrap();
    let image = "ghcr.io/acme/app:1";
    let output = run(&[
        "serve",
        "--for",
        "0",
        "--region",
        "eu-central-1",
        "--repository",
        arn,
        "--faults",
        file,
        "--image",
        image,
    ]);
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    for name in ["HTTPS_PROXY='http://127.0.0.1:", "SSL_CERT_FILE='/", "AWS_REGION='eu-central-1'"] {
        assert!(printed.contains(&format!("export {name}")), "{printed}");
    }
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("ghcr.io/acme/app:1@sha256:"), "{told}");
}

#[test]
fn what_was_typed_wrong_is_refused_in_one_line() {
    for (arguments, text) in [
        (["--repository", "arn:aws:s3:::bucket"], "arn:aws:s3:::bucket is no repository's ARN"),
        (["--image", "python"], "python: expected host/repository:tag"),
        (["--faults", "/does/not/exist"], "/does/not/exist: No such file"),
    ] {
        let output = run(&[&["serve", "--for", "0"][..], &arguments].concat());
        assert!(!output.status.success());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(text), "{told}");
    }
}
