//! Registries other than private ECR.

use aws_emulator::Profile;
use serde_json::json;

use crate::common::{Sandbox, image};
use crate::{document, problems, states};

#[tokio::test(flavor = "multi_thread")]
async fn other_registries_need_no_aws() {
    let sandbox = Sandbox::start().await;
    let registry = sandbox.emulator.add_upstream(Profile::without_auth("open.example"));
    registry.put_image("base/python", "1", &image(1));
    sandbox.publish("docker.io/library/python:1", 1);
    let uri = |digest: &str| format!("open.example/base/python@{digest}");
    let report = |digest: &str| json!({"docker.io/library/python:1": uri(digest)}).to_string();
    sandbox.write("report.json", report(image(1).digest()));
    let output = sandbox.run_without_aws_credentials("verify report.json --json").await;
    assert_eq!(states(&document(&output)), [format!("ok {}", uri(image(1).digest()))]);
    sandbox.write("report.json", report(image(2).digest()));
    let output = sandbox.run_without_aws_credentials("verify report.json --json").await;
    assert_eq!(output.code, Some(1));
    assert_eq!(problems(&document(&output)), ["the image is missing or archived. Run sync again."]);
    let entries = sandbox.emulator.log().entries();
    assert!(entries.iter().all(|entry| !entry.host.ends_with("amazonaws.com")), "{entries:?}");
}
