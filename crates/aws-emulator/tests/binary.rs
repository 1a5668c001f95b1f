//! Tests of the binary.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use common::REGISTRY;
use reqwest::{Client, Method};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aws-emulator")).args(arguments).output().unwrap()
}

#[test]
fn serve_prints_the_environment_and_ends() {
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
    let stdout = String::from_utf8(output.stdout).unwrap();
    for name in ["HTTPS_PROXY='http://127.0.0.1:", "SSL_CERT_FILE='/", "AWS_REGION='eu-central-1'"] {
        assert!(stdout.contains(&format!("export {name}")), "{stdout}");
    }
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("ghcr.io/acme/app:1@sha256:"), "{stderr}");
}

#[test]
fn reports_invalid_arguments_in_one_line() {
    for (arguments, text) in [
        (["--repository", "arn:aws:s3:::bucket"], "arn:aws:s3:::bucket is not the ARN of a repository"),
        (["--image", "python"], "python: expected host/repository:tag"),
        (["--faults", "/does/not/exist"], "/does/not/exist: No such file"),
    ] {
        let output = run(&[&["serve", "--for", "0"][..], &arguments].concat());
        assert!(!output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(text), "{stderr}");
    }
}

/// A running `serve`. Dropping it kills the process.
struct RunningEmulator {
    process: Child,
    /// Kept open, because the process fails if it cannot print the rest of its lines.
    _output: BufReader<ChildStdout>,
    client: Client,
}

impl RunningEmulator {
    fn start(repository: &str, actions_seen: &std::path::Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_aws-emulator"))
            .args(["serve", "--for", "120", "--repository", repository])
            .env("ACTIONS_SEEN", actions_seen)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut exported = HashMap::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        for line in output.by_ref().lines() {
            let line = line.unwrap();
            let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
            exported.insert(name.to_owned(), value.trim_matches('\'').to_owned());
            if exported.contains_key("HTTPS_PROXY") && exported.contains_key("SSL_CERT_FILE") {
                break;
            }
        }
        let ca = std::fs::read(&exported["SSL_CERT_FILE"]).unwrap();
        let client = Client::builder()
            .proxy(reqwest::Proxy::all(&exported["HTTPS_PROXY"]).unwrap())
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .build()
            .unwrap();
        Self { process, _output: output, client }
    }

    /// Requests an authorization token and a tag with this header of a program.
    async fn call(&self, (header, program): (&str, &str)) {
        let scope = "ASIAEMULATOREXAMPLE0/20260101/eu-west-1/ecr/aws4_request";
        let signed = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
        let request = self.client.post("https://api.ecr.eu-west-1.amazonaws.com/").header(header, program);
        let request = request
            .header("authorization", signed)
            .body("{}")
            .header("x-amz-target", "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken");
        let response = common::body(request.send().await.unwrap()).await;
        let token = response["authorizationData"][0]["authorizationToken"].as_str().unwrap();
        let head = self.client.request(Method::HEAD, format!("{REGISTRY}/v2/app/manifests/1"));
        let head = head.header("authorization", format!("Basic {token}")).header(header, program);
        assert_eq!(head.send().await.unwrap().status(), 404);
    }
}

impl Drop for RunningEmulator {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn every_process_lists_the_requested_actions_once() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("seen");
    let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/app";
    let both = [RunningEmulator::start(arn, &list), RunningEmulator::start(arn, &list)];
    for emulator in &both {
        for program in [
            ("user-agent", "shop/1"),
            ("user-agent", "shop/2"),
            ("x-amz-user-agent", "aws-sdk-rust/1.3 app/till"),
            ("x-unknown", "nobody/1"),
        ] {
            emulator.call(program).await;
        }
    }
    let text = std::fs::read_to_string(list).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let once = [
        "shop ecr:BatchGetImage",
        "shop ecr:GetAuthorizationToken",
        "till ecr:BatchGetImage",
        "till ecr:GetAuthorizationToken",
    ];
    assert_eq!(lines, once.map(|line| [line, line]).concat());
}
