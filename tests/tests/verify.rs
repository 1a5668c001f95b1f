//! `container-image verify` finds damage in a deployed stack, and its advice repairs the damage.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod common;

use std::process::Stdio;

use aws_emulator::stack::{StackStatus, Template};
use aws_emulator::{Image, STATE_TABLE};
use common::{Account, index};
use end_to_end::container_image;
use serde_json::{Value, json};
use tokio::process::Command;

/// Returns the exit code and the status of the only image, which has no note.
async fn verify(account: &Account, arguments: &str) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(container_image().unwrap())
        .args(arguments.split(' ').chain(["--state-table", STATE_TABLE, "--json"]))
        .env_clear()
        .envs(account.world.emulator.environment())
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let images = document["images"].as_array().unwrap();
    assert_eq!((images.len(), &document["notes"]), (1, &json!([])), "{document:#}");
    assert_eq!(images[0]["owners"], json!(["resource Python of stack shop"]));
    assert_eq!(images[0]["sources"], json!(["docker.io/library/python:3.13"]));
    let mut messages =
        images[0]["problems"].as_array().unwrap().iter().map(|problem| problem["message"].as_str().unwrap());
    let known = [
        ". Change Refresh of Python in stack shop.",
        ". To copy it, change Refresh of Python in stack shop.",
    ];
    assert!(messages.all(|message| known.iter().any(|advice| message.ends_with(advice))), "{document:#}");
    (output.status.code().unwrap(), images[0]["status"].as_str().unwrap().to_owned())
}

type Damage = fn(&Account, &Image);

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_refresh_repairs_what_verify_finds() {
    let damages: [(Damage, &str); 5] = [
        (|account, _| account.repository.set_tag("3.13", None), "missing"),
        (|account, image| account.repository.expire_image(image.digest()), "missing"),
        (|account, _| account.repository.put_image(Some("3.13"), &index(9)), "at_risk"),
        (
            |account, image| {
                account.repository.expire_image(&image.child("linux/arm64").unwrap().digest);
            },
            "incomplete",
        ),
        (
            |account, image| {
                let largest = image.blobs.iter().max_by_key(|blob| blob.size()).unwrap();
                account.repository.remove_blob(largest.digest());
            },
            "incomplete",
        ),
    ];
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let template = |refresh: usize| {
        let mut properties = account.properties("docker.io/library/python:3.13");
        properties["Refresh"] = json!(refresh.to_string());
        Template::new().image("Python", properties)
    };
    account.stack.create(&template(0)).await;
    let both = ["verify --stack shop", "verify --all"];
    for (number, (damage, state)) in damages.into_iter().enumerate() {
        for arguments in both {
            assert_eq!(
                verify(&account, arguments).await,
                (0, "ok".to_owned()),
                "before {number}: {arguments}"
            );
        }
        damage(&account, &image);
        for arguments in both {
            assert_eq!(verify(&account, arguments).await, (1, state.to_owned()), "{number}: {arguments}");
        }
        let updated = account.stack.update(&template(number + 1)).await;
        assert_eq!(updated.status, StackStatus::UpdateComplete, "{number}: {:?}", updated.failures());
    }
    assert_eq!(verify(&account, both[0]).await, (0, "ok".to_owned()));
    account.check_stored("3.13", &image);
    account.publish("3.13", &index(2));
    assert_eq!(verify(&account, both[0]).await, (0, "moved".to_owned()));
}
