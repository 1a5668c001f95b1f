//! A state table that cannot be used: every copy succeeds in time, every Delete keeps the image.

use std::time::{Duration, Instant};

use aws_emulator::bucket::ProviderResponse;
use aws_emulator::{Effect, Emulator, Fault, Mutability, STATE_TABLE};
use serde_json::{Value, json};

use crate::common::{Account, check_success, create_event, index, response_of};

/// Timeout of the function. The table must leave most of it to the copy.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Maximum duration of an event, with reserve for slow machines. The table costs about 5 seconds.
const MAX_DURATION: Duration = Duration::from_secs(12);

fn region(emulator: &Emulator) -> &str {
    &emulator.settings().region
}

fn denied(emulator: &Emulator) {
    emulator.dynamodb().deny("dynamodb:*", "*");
}

fn writes_denied(emulator: &Emulator) {
    emulator.dynamodb().deny("dynamodb:PutItem", "*");
}

fn throttled(emulator: &Emulator) {
    let effect = Effect::api_error("ProvisionedThroughputExceededException", "The request rate is too high.");
    emulator.faults().add(Fault::on("dynamodb:*", effect));
}

fn hanging(emulator: &Emulator) {
    emulator.faults().add(Fault::on("dynamodb:*", Effect::Delay { ms: 120_000 }));
}

fn writes_hanging(emulator: &Emulator) {
    emulator.faults().add(Fault::on("dynamodb:PutItem", Effect::Delay { ms: 120_000 }));
}

fn missing(emulator: &Emulator) {
    emulator.dynamodb().delete_table(region(emulator), STATE_TABLE);
}

fn wrong_schema(emulator: &Emulator) {
    missing(emulator);
    emulator.dynamodb().create_table_with_key(region(emulator), STATE_TABLE, "Tag");
}

fn available(_: &Emulator) {}

/// Sends an event. Returns the response and the last line of the log.
async fn send(account: &Account, case: &str, event: Value) -> (ProviderResponse, Value) {
    let started = Instant::now();
    let call = account.stack.send(event).await;
    let took = started.elapsed();
    let line = account.last_line(&call).await;
    let response = response_of(call);
    println!("{case}: {:.1} s, state {}, {:?}", took.as_secs_f64(), line["state"], response.reason);
    check_success(&response);
    assert!(took < MAX_DURATION, "{case}: {took:?}");
    (response, line)
}

/// Creates and deletes an image. Both must log this `state`, and the image must be kept.
async fn check(case: &str, state: &str, table: &str, damage: fn(&Emulator)) {
    let account = Account::with(Mutability::Mutable, |settings| {
        settings.timeout = TIMEOUT;
        settings.environment.push(("STATE_TABLE".to_owned(), table.to_owned()));
    })
    .await;
    let image = index(1);
    account.publish("3.13", &image);
    damage(&account.world.emulator);
    let properties = account.properties("python:3.13");
    let (created, line) = send(&account, &format!("Create, {case}"), create_event(&properties)).await;
    assert_eq!((&line["state"], &line["outcome"]), (&json!(state), &json!("copied")), "{case}: {line}");
    account.check_stored("3.13", &image);
    let delete = json!({
        "RequestType": "Delete",
        "ResourceType": "Custom::ContainerImage",
        "PhysicalResourceId": created.physical_id,
        "ResourceProperties": properties,
    });
    let (_, line) = send(&account, &format!("Delete, {case}"), delete).await;
    assert_eq!(line["state"], state, "{case}: {line}");
    account.check_stored("3.13", &image);
}

/// Makes the table unavailable.
type Damage = fn(&Emulator);

#[tokio::test]
async fn copies_succeed_and_deletes_keep_the_image() {
    let cases: [(&str, Damage); 7] = [
        ("denied", denied),
        ("writes denied", writes_denied),
        ("throttled", throttled),
        ("hanging", hanging),
        ("writes hanging", writes_hanging),
        ("missing table", missing),
        ("wrong schema", wrong_schema),
    ];
    for (case, damage) in cases {
        check(case, "unavailable", STATE_TABLE, damage).await;
    }
}

#[tokio::test]
async fn a_provider_without_a_table_keeps_the_image() {
    check("off", "off", "none", available).await;
}
