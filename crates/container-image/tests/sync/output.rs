//! JSON, reports and quiet output.

use serde_json::{Value, json};

use crate::common::RunOutput;
use crate::mirror::Mirror;

fn document(output: &RunOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_json_and_writes_reports() {
    let sandbox = Mirror::start().await;
    let digest = sandbox.publish("docker.io/library/nginx:1", 1);
    sandbox.publish("ghcr.io/acme/node-exporter:2", 2);
    sandbox.create(&["m/nginx", "m/acme/node-exporter", "m/acme/gone"]);
    sandbox.write("images.txt", "nginx:1\nghcr.io/acme/node-exporter:2\nghcr.io/acme/gone:1\n");
    let output = sandbox.run("sync images.txt --to MIRROR/m --json --report out.json").await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""), "{output:?}");
    let found = document(&output);
    let images = found["images"].as_array().unwrap();
    assert_eq!(images.len(), 3);
    let uri = format!("{}/m/nginx@{digest}", sandbox.host);
    assert_eq!(images[0]["source"], "docker.io/library/nginx:1");
    assert_eq!(images[0]["destination"], format!("{}/m/nginx:1", sandbox.host));
    assert_eq!(
        (&images[0]["status"], &images[0]["digest"], &images[0]["uri"]),
        (&"new".into(), &digest.as_str().into(), &uri.as_str().into())
    );
    assert_eq!(images[0]["platforms"], json!(["linux/amd64", "linux/arm64"]));
    assert_eq!((&images[2]["status"], &images[2]["code"]), (&"failed".into(), &"CI-004".into()));
    assert_eq!((&images[2]["path"], &images[2]["line"]), (&"images.txt".into(), &3.into()));
    let summary = &found["summary"];
    for (key, expected) in
        [("images", 3), ("new", 2), ("moved", 0), ("unchanged", 0), ("failed", 1), ("exit_code", 1)]
    {
        assert_eq!(summary[key], expected, "{key}: {summary}");
    }
    assert!(summary["pulls"].as_u64() > Some(0) && summary["pulls_left"].as_u64() > Some(0), "{summary}");
    let report: Value = serde_json::from_str(&sandbox.read("out.json")).unwrap();
    assert_eq!(report.as_object().unwrap().len(), 2);
    assert_eq!(report["docker.io/library/nginx:1"], uri.as_str());

    let parameters =
        "sync images.txt --to MIRROR/m --report p.json --report-format cloudformation-parameters";
    assert_eq!(sandbox.run(parameters).await.code, Some(1));
    let report: Value = serde_json::from_str(&sandbox.read("p.json")).unwrap();
    assert_eq!(report[0]["ParameterKey"], "AcmeNodeExporter");
    assert_eq!(report[1], json!({"ParameterKey": "Nginx", "ParameterValue": uri}));
    let twice = "sync nginx:1 nginx:2 --to MIRROR --report p.json --report-format cloudformation-parameters";
    let output = sandbox.run(twice).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    let expected = "error: --report: Nginx would name both MIRROR/nginx:1 and MIRROR/nginx:2. ";
    assert!(output.stderr.replace(&sandbox.host, "MIRROR").starts_with(expected), "{output:?}");
}

/// A complete destination in a list does not come from `--to`.
#[tokio::test(flavor = "multi_thread")]
async fn the_hint_about_a_destination_names_its_origin() {
    let sandbox = Mirror::start().await;
    sandbox.publish("ghcr.io/acme/app:1", 1);
    sandbox
        .write("images.yaml", "images:\n- {source: 'ghcr.io/acme/app:1', repository: 'localhost:1/app'}\n");
    let complete = sandbox.run("sync images.yaml").await;
    assert!(complete.stdout.contains(" Check the host in the list. "), "{complete:?}");
    let below = sandbox.run("sync ghcr.io/acme/app:1 --to localhost:1").await;
    assert!(below.stdout.contains(" Check the host in --to. "), "{below:?}");
}

/// The pull limit of one registry does not affect images of others, or unchanged images.
#[tokio::test(flavor = "multi_thread")]
async fn quiet_prints_only_failures() {
    let sandbox = Mirror::start().await;
    sandbox.publish("docker.io/library/nginx:1", 1);
    sandbox.create(&["nginx", "acme/gone"]);
    let output = sandbox.run("sync nginx:1 ghcr.io/acme/gone:1 --to MIRROR --quiet").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{output:?}");
    assert!(output.stderr.starts_with("error: Image ghcr.io/acme/gone:1 could not be read: "), "{output:?}");
}
