//! The JSON documents of different commands have the same names for the same things.
#![cfg(unix)]

mod common;

use aws_emulator::Mutability;
use common::{RunOutput, Sandbox};
use serde_json::Value;

fn document(output: &RunOutput) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_plan_verify_and_inspect_use_the_same_names() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("ghcr.io/acme/app:1", 1);
    sandbox.write("images.txt", "ghcr.io/acme/app:1\nghcr.io/acme/app:gone\n");
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/m";
    let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/m/acme/app";
    sandbox.emulator.ecr().create_repository(arn, Mutability::Mutable);
    let planned = document(&sandbox.run(&format!("plan images.txt --to {host} --json")).await);
    let synced = format!("sync images.txt --to {host} --report report.json --json");
    let synced = document(&sandbox.run(&synced).await);
    for at in [0, 1] {
        let (plan, sync) = (&planned["images"][at], &synced["images"][at]);
        for key in [
            "source",
            "destination",
            "path",
            "line",
            "status",
            "digest",
            "previous_digest",
            "platforms",
            "size",
            "pulls",
        ] {
            assert!(plan.get(key).is_some() && plan.get(key) == sync.get(key), "{key}: {plan:#} {sync:#}");
        }
        for key in ["bytes", "seconds"] {
            assert!(plan.get(key).is_some() && sync.get(key).is_some(), "{key}: {plan:#} {sync:#}");
        }
    }
    let (failure, failed) = (&planned["images"][1]["failures"][0], &synced["images"][1]);
    assert!(failure["message"].is_string(), "{failure:#}");
    for key in ["path", "line", "message", "code"] {
        assert_eq!(failure[key], failed[key], "{key}");
    }
    let names =
        |document: &Value| document["summary"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (in_plan, in_sync) = (names(&planned), names(&synced));
    assert!(in_sync.iter().all(|key| key == "seconds" || in_plan.contains(key)), "{in_plan:?} {in_sync:?}");

    let verified = document(&sandbox.run("verify report.json --json").await);
    let inspected = document(&sandbox.run(&format!("inspect {host}/acme/app:1 --json")).await);
    let verified = &verified["images"][0];
    assert_eq!(verified["status"], "ok");
    assert_eq!(
        (&verified["digest"], &verified["reference"]),
        (&inspected["digest"], &synced["images"][0]["uri"])
    );
    assert_eq!(inspected["reference"], synced["images"][0]["destination"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_and_failures_have_a_message() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("ghcr.io/acme/app:1", 1);
    sandbox.registry("registry.acme.example");
    sandbox.write("notes.md", "registry.acme.example/app:1 ghcr.io/acme/app:gone\n");
    let pinned = document(&sandbox.run("pin --check --json").await);
    let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/m";
    let arn = "arn:aws:ecr:eu-west-1:123456789012:repository/m/acme/app";
    sandbox.emulator.ecr().create_repository(arn, Mutability::Mutable);
    let sync = format!("sync ghcr.io/acme/app:1 --to {host} --report report.json");
    assert_eq!(sandbox.run(&sync).await.code, Some(0));
    // The source is not readable any more.
    sandbox.registry("ghcr.io").make_private("acme/app", &[]);
    let verified = document(&sandbox.run("verify report.json --json").await);
    for array in [&pinned["failures"], &pinned["notes"], &verified["notes"]] {
        let entries = array.as_array().unwrap();
        assert!(!entries.is_empty() && entries.iter().all(|entry| entry["message"].is_string()), "{array:#}");
    }
}
