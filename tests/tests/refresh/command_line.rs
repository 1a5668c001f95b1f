//! `container-image refresh` with the list and the report of the function.

use std::process::{Output, Stdio};
use std::sync::Arc;

use aws_emulator::stack::Template;
use aws_emulator::workflows::{Script, Workflows};
use end_to_end::container_image;
use tokio::process::Command;

use crate::common::direct::invoke;
use crate::common::{Account, index};
use crate::{BUCKET, account, expand, object, read_array, report, run_items};

/// Runs the command with a list on standard input.
async fn refresh(account: &Account, arguments: &[&str], list: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.yaml");
    std::fs::write(&file, list).unwrap();
    Command::new(container_image().unwrap())
        .arg("refresh")
        .args(arguments)
        .env_clear()
        .envs(account.world.emulator.environment())
        .env("HOME", folder.path())
        .stdin(Stdio::from(std::fs::File::open(file).unwrap()))
        .output()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_reads_its_list_and_writes_its_report() {
    let account = account(&["3.12", "3.13"]).await;
    let workflows = Workflows::new("123456789012", "eu-west-1");
    account.world.emulator.add(workflows.clone());
    let template = Template::new()
        .output("StateMachineArn", workflows.create("Refresh-1"))
        .output("BucketName", BUCKET)
        .output("ListObject", format!("s3://{BUCKET}/list.yaml"))
        .parameter("RepositoryPrefix", "mirror");
    account.world.emulator.cloudformation().import_stack("image-refresh", "eu-west-1", &template, &[]);

    let list = "images:\n  - source: python\n    platform: all\n    tags: ['3.12', '3.13', '3.14']\n";
    let started = refresh(&account, &["--list", "-", "--no-wait"], list).await;
    assert_eq!(started.status.code(), Some(0), "{}", String::from_utf8_lossy(&started.stderr));

    invoke(&account, expand(&object("list.yaml"))).await.unwrap();
    run_items(&account, &read_array(&account, "runs/1/items.json")).await;
    invoke(&account, report(0)).await.unwrap();

    let objects = Arc::clone(account.world.emulator.objects());
    workflows.script(Script {
        failure: Some(("ImagesFailed".into(), "refresh/images: 2 new, 1 failed".into())),
        on_start: Some(Box::new(move |name| {
            let written = objects.get(BUCKET, "runs/1/report.json").unwrap();
            objects.put(BUCKET, &format!("runs/{name}/report.json"), written);
        })),
        ..Script::default()
    });
    let output = refresh(&account, &[], "").await;
    let (printed, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{printed}{errors}");
    let lines: Vec<&str> = printed.lines().collect();
    for (at, seed, tag) in [(0, 1, "3.12"), (1, 2, "3.13")] {
        let copied = format!("+ docker.io/library/python:{tag} {}, ", &index(seed).digest()[..19]);
        assert!(lines[at].starts_with(&copied) && lines[at].ends_with(" copied"), "{printed}");
    }
    assert!(lines[2].starts_with("! Image docker.io/library/python:3.14 was not found: "), "{printed}");
    assert!(lines[3].starts_with("3 images: 2 new, 0 moved, 0 unchanged, 1 failed; "), "{printed}");
    assert_eq!(lines[5], "exit code 1: 1 image failed");
}
