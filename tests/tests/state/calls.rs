//! Compares the calls of each event with the table in docs/state.md.

use aws_emulator::stack::{StackStatus, Template};
use aws_emulator::{LogPosition, STATE_TABLE};
use serde_json::{Value, json};

use crate::common::direct::{event, invoke};
use crate::common::{Account, index};

const DOCUMENTATION: &str = include_str!("../../../docs/state.md");

const CREATE: &[&str] = &[
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:PutItem",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:BatchGetImage",
    "ecr:BatchGetImage",
];
const UPDATE_WITHOUT_CHANGES: &[&str] =
    &["dynamodb:GetItem", "dynamodb:PutItem", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"];
const DELETE: &[&str] = &[
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:PutItem",
    "ecr:BatchDeleteImage",
    "ecr:BatchGetImage",
];
/// Calls that compare the age of an image with its minimum age.
const AGE: &[&str] = &["dynamodb:GetItem", "ecr:BatchGetImage"];
/// Further calls if the digest is seen for the first time.
const FIRST_SEEN: &[&str] = &["dynamodb:PutItem"];
/// Further calls of an Update without changes of an index: its child manifests are checked too.
const UPDATE_OF_CHILDREN: &[&str] = &["ecr:BatchGetImage"];
/// Further calls of the Delete of an index with up to 100 children.
const DELETE_OF_CHILDREN: &[&str] = &["ecr:BatchDeleteImage", "ecr:DescribeImages"];

/// Returns the calls to DynamoDB and to ECR's API, sorted, without the token that uploads need.
fn calls(account: &Account, mark: LogPosition) -> Vec<String> {
    let entries = account.world.emulator.log().since(mark).into_iter();
    let operations = entries.map(|entry| entry.operation);
    let is_counted = |name: &String| {
        (name.starts_with("dynamodb:") || name.starts_with("ecr:")) && name != "ecr:GetAuthorizationToken"
    };
    let mut calls: Vec<String> = operations.filter(is_counted).collect();
    calls.sort();
    calls
}

fn sum(calls: &[&'static str], more: &[&'static str]) -> Vec<&'static str> {
    let mut calls = [calls, more].concat();
    calls.sort_unstable();
    calls
}

fn to_texts(calls: &[&str]) -> Vec<String> {
    calls.iter().map(ToString::to_string).collect()
}

/// Checks that the table in the documentation has a row with this event and number.
#[track_caller]
fn check_documented(event: &str, number: &str) {
    let row = DOCUMENTATION.lines().find(|line| line.starts_with(&format!("| {event}")));
    let row = row.unwrap_or_else(|| panic!("docs/state.md has no row for {event:?}"));
    assert!(row.ends_with(&format!("| {number} |")), "{row}");
}

/// Runs Create, Update without changes, and Delete. Returns the calls of each.
async fn lifetime(platform: &str) -> [Vec<String>; 3] {
    let account = Account::new().await;
    let image = index(1);
    account.publish("3.13", &image);
    let template = |refresh: &str| {
        let mut properties: Value = account.properties(&format!("python:3.13@{}", image.digest()));
        properties["Platform"] = json!(platform);
        properties["Refresh"] = json!(refresh);
        Template::new().image("Python", properties)
    };
    let mark = account.mark();
    let created = account.stack.create(&template("1")).await;
    assert_eq!(created.status, StackStatus::CreateComplete, "{:?}", created.failures());
    let create = calls(&account, mark);
    let uploads = account.world.emulator.log().since(mark).into_iter().filter(|entry| entry.service == "ecr");
    let rejected: Vec<String> = uploads.filter(|entry| entry.status == Some(401)).map(|e| e.target).collect();
    assert_eq!(rejected, [] as [&str; 0], "ECR gets its token in the first request");
    let mark = account.mark();
    let updated = account.stack.update(&template("2")).await;
    assert_eq!(updated.status, StackStatus::UpdateComplete, "{:?}", updated.failures());
    let update = calls(&account, mark);
    let mark = account.mark();
    let deleted = account.stack.delete().await;
    assert_eq!(deleted.status, StackStatus::DeleteComplete, "{:?}", deleted.failures());
    let delete = calls(&account, mark);
    assert_eq!(account.repository.images(), Vec::<String>::new());
    for (event, calls) in [("Create", &create), ("Update", &update), ("Delete", &delete)] {
        println!("{event} of {platform}: {} calls: {}", calls.len(), calls.join(", "));
    }
    [create, update, delete]
}

#[tokio::test]
async fn one_pinned_platform_costs_the_documented_calls() {
    let [create, update, delete] = lifetime("linux/amd64").await;
    assert_eq!(create, CREATE);
    assert_eq!(update, UPDATE_WITHOUT_CHANGES);
    assert_eq!(delete, DELETE);
    check_documented("Create of one pinned platform ", &CREATE.len().to_string());
    check_documented("Update without changes ", &UPDATE_WITHOUT_CHANGES.len().to_string());
    check_documented("Delete ", &DELETE.len().to_string());
}

#[tokio::test]
async fn a_minimum_age_costs_the_documented_calls() {
    let account = Account::new().await;
    account.publish("3.13", &index(1));
    let waiting = event(&account, "python:3.13", &json!({"MinAge": "48h"}));
    let send = async || {
        let mark = account.mark();
        let result = invoke(&account, waiting.clone()).await.unwrap();
        (result["Change"].clone(), calls(&account, mark))
    };
    assert_eq!(send().await, (json!("waiting"), to_texts(&sum(AGE, FIRST_SEEN))));
    assert_eq!(send().await, (json!("waiting"), to_texts(AGE)));
    let region = &account.world.emulator.settings().region;
    for mut item in account.items() {
        item["Seen"].as_object_mut().unwrap().values_mut().for_each(|time| *time = json!(1));
        account.world.emulator.dynamodb().put(region, STATE_TABLE, &item);
    }
    assert_eq!(send().await.0, "new");
    let update = sum(UPDATE_WITHOUT_CHANGES, UPDATE_OF_CHILDREN);
    assert_eq!(send().await, (json!("unchanged"), to_texts(&sum(&update, AGE))));
    check_documented("Direct event whose image waits ", &AGE.len().to_string());
    check_documented("the same, for a new digest ", "1 more");
    check_documented("Direct event with `MinAge` whose image does not wait ", "2 more");
}

#[tokio::test]
async fn an_index_costs_one_more_call_to_check_and_two_to_delete() {
    let [create, update, delete] = lifetime("all").await;
    assert_eq!(create, CREATE);
    assert_eq!(update, sum(UPDATE_WITHOUT_CHANGES, UPDATE_OF_CHILDREN));
    assert_eq!(delete, sum(DELETE, DELETE_OF_CHILDREN));
    check_documented("Delete of an index", &format!("{} more per 100 manifests", DELETE_OF_CHILDREN.len()));
}
