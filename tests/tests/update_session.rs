//! A complete session: pin a template, create its stack, move the source tag, update the pin, and update the
//! stack.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod common;

use std::path::Path;
use std::process::Stdio;

use aws_emulator::stack::{StackStatus, Template};
use common::{Account, index};
use end_to_end::container_image;
use tokio::process::Command;

const DEMO: &str = include_str!("../../crates/container-image/tests/fixtures/session/demo.yaml");

/// Pins the template.
async fn pin(account: &Account, folder: &Path) {
    let mut command = Command::new(container_image().unwrap());
    command
        .args(["pin", "demo.yaml"])
        .current_dir(folder)
        .envs(account.world.emulator.environment())
        .env("HOME", folder)
        .stdin(Stdio::null());
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Returns a stack template with the images of the template file.
fn template(account: &Account, folder: &Path) -> Template {
    let text = std::fs::read_to_string(folder.join("demo.yaml")).unwrap();
    let value = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    let lines = text.lines().filter(|line| line.trim_start().starts_with("ImageReference:"));
    let images: Vec<String> = lines.filter_map(value).collect();
    assert_eq!(images.len(), 2, "{text}");
    let names = ["Python37", "Python39"].into_iter().zip(images);
    names.fold(Template::new(), |template, (name, image)| template.image(name, account.properties(&image)))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_updated_pin_copies_the_new_image_under_the_same_name() {
    let account = Account::new().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("demo.yaml"), DEMO).unwrap();
    let (old, other, new) = (index(1), index(2), index(3));
    account.publish("3.7", &old);
    account.publish("3.9", &other);
    pin(&account, folder.path()).await;
    let created = account.stack.create(&template(&account, folder.path())).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    account.check_stored("3.7", &old);
    account.check_stored("3.9", &other);
    let name = account.stack.physical_id("Python37").unwrap();

    account.publish("3.7", &new);
    let mark = account.mark();
    pin(&account, folder.path()).await;
    assert_eq!(account.world.emulator.log().pulls(mark), 0);
    let updated = account.stack.update(&template(&account, folder.path())).await;
    assert_eq!(updated.status, StackStatus::UpdateComplete, "{:?}", updated.failures());
    assert_eq!(updated.summary(), ["Update Python37"], "the other image must not change");
    account.check_stored("3.7", &new);
    assert_eq!(account.stack.physical_id("Python37").unwrap(), name, "the physical id must not change");
    assert_eq!(account.stack.resource("Python37").unwrap().attributes["Digest"], new.digest());
}
