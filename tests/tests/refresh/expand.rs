//! Lists and their events.

use std::time::Duration;

use aws_emulator::{Effect, Fault, Mutability, Profile};
use serde_json::{Value, json};

use crate::common::direct::invoke;
use crate::common::{Account, index};
use crate::{BUCKET, OWNER, REGISTRY, account, expand, expand_text, object, read_array, report, tags, write};

#[tokio::test]
async fn a_list_becomes_one_event_for_each_image() {
    let account = account(&["3.12", "3.13", "3.13-slim", "latest"]).await;
    let list = "
images:
  - source: python
    tags: {semver: '>=3.12'}
    platform: all
    min_age: 48h
  - ghcr.io/acme/app:1
  - source: docker.io/library/missing
    tags: {newest: 1}
  - source: python
    tags: {semver: '>=9'}
    repository: other
";
    account.world.emulator.objects().put(BUCKET, "list.yaml", list);
    let mark = account.mark();
    let result = invoke(&account, expand(&object("list.yaml"))).await.unwrap();
    let expected = json!({
        "Images": 3, "Deletes": 0, "Failures": 2,
        "Items": object("runs/1/items.json"), "FailuresObject": object("runs/1/failures.json"),
    });
    assert_eq!(result, expected);
    let items = read_array(&account, "runs/1/items.json");
    let python = |tag: &str| {
        json!({"ImageReference": format!("docker.io/library/python:{tag}"), "Tag": tag, "Owner": OWNER,
            "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/python", "Platform": "all",
            "MinAge": "48h"})
    };
    let app = json!({"ImageReference": "ghcr.io/acme/app:1", "Tag": "1", "Owner": OWNER,
        "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/acme/app"});
    assert_eq!(items, [python("3.13"), app, python("3.12")]);
    let failures = read_array(&account, "runs/1/failures.json");
    assert_eq!(failures[0]["Source"], "docker.io/library/missing");
    // Docker Hub does not distinguish missing from private repositories.
    assert_eq!(failures[0]["ErrorType"], "AccessDenied");
    let message = failures[0]["Message"].as_str().unwrap();
    assert!(message.starts_with("The tags of docker.io/library/missing could not be read: "), "{message}");
    assert!(message.contains(" Check source in the list. "), "{message}");
    assert_eq!(failures[1]["Destination"], format!("{REGISTRY}/other"));
    let message = failures[1]["Message"].as_str().unwrap();
    assert!(
        message.starts_with("The rules select none of the 4 tags of docker.io/library/python."),
        "{message}"
    );
    // The tags of a repository are listed once for all its entries.
    assert_eq!(account.source_operations(mark), ["tags.list"]);
    let objects = account.world.emulator.objects();
    assert_eq!(objects.content_type(BUCKET, "runs/1/items.json").as_deref(), Some("application/json"));
    assert_eq!(objects.keys(BUCKET), ["list.yaml", "runs/1/failures.json", "runs/1/items.json"]);
}

#[tokio::test]
async fn the_failure_of_an_object_names_it_and_one_change() {
    let account = account(&[]).await;
    let objects = account.world.emulator.objects();
    let from_object = || expand(&object("list.yaml"));
    let (kind, message) = invoke(&account, from_object()).await.unwrap_err();
    assert_eq!(kind, "NotFound", "{message}");
    assert!(
        message.starts_with(
            "Object s3://image-refresh-bucket/list.yaml was not found: s3:GetObject returned NoSuchKey"
        ),
        "{message}"
    );
    assert!(message.contains("aws s3 cp FILE s3://image-refresh-bucket/list.yaml"), "{message}");

    objects.deny("s3:ListBucket", "*");
    let (kind, message) = invoke(&account, from_object()).await.unwrap_err();
    assert_eq!(kind, "AccessDenied", "{message}");
    assert!(message.contains("Check that the object exists, and allow s3:GetObject"), "{message}");
    objects.allow_everything();

    objects.put(BUCKET, "list.yaml", "python:3.13\n");
    objects.deny("s3:PutObject", "*/runs/*");
    let (kind, message) = invoke(&account, from_object()).await.unwrap_err();
    assert_eq!(kind, "AccessDenied", "{message}");
    assert!(message.contains("could not be written") && message.contains("Allow s3:PutObject"), "{message}");
    objects.allow_everything();

    let no_report = report(0);
    let (kind, message) = invoke(&account, no_report).await.unwrap_err();
    assert_eq!(
        (kind.as_str(), message.contains("results/2/manifest.json was not found")),
        ("NotFound", true)
    );
    write(&account, "runs/1/results/2/manifest.json", &json!({"ResultFiles": 3}));
    let (kind, message) = invoke(&account, report(0)).await.unwrap_err();
    assert_eq!(kind, "Invalid", "{message}");
    assert!(message.contains("is not the manifest of a Map state's results"), "{message}");
}

#[tokio::test]
async fn an_invalid_list_fails_with_its_lines_and_writes_nothing() {
    let account = account(&[]).await;
    for (list, expected) in [
        ("images:\n  - source: python\n    tagz: a\n", "The list is invalid: list:3: images[0].tagz"),
        ("python:3\n--alias=python redis:3\n", "The list is invalid: list:2: "),
        ("", "The list is invalid: list:1: the list contains no image."),
    ] {
        let (kind, message) = invoke(&account, expand(&json!({"Text": list}))).await.unwrap_err();
        assert_eq!(kind, "Invalid", "{message}");
        assert!(message.starts_with(expected), "{message}");
    }
    let mut event = expand(&json!({"Text": "python:3"}));
    event["Outputs"] = json!("x");
    let (kind, message) = invoke(&account, event).await.unwrap_err();
    assert_eq!(
        (kind.as_str(), message.starts_with("\"Outputs\" is not a key of this action")),
        ("Invalid", true)
    );
    assert_eq!(account.world.emulator.objects().keys(BUCKET), Vec::<String>::new());
}

#[tokio::test]
async fn sources_that_are_not_allowed_receive_no_request() {
    let account = Account::with(Mutability::Mutable, |settings| {
        settings.environment.push(("ALLOWED_SOURCES".into(), "ghcr.io/acme".into()));
    })
    .await;
    account.world.emulator.objects().create_bucket("eu-west-1", BUCKET);
    let mark = account.mark();
    let list = "images:\n  - source: python\n    tags: {newest: 1}\n  - ghcr.io/acme/app:1\n";
    let (_, items, failures) = expand_text(&account, list).await;
    assert_eq!(tags(&items), ["1"]);
    assert_eq!((failures.len(), &failures[0]["ErrorType"]), (1, &json!("Invalid")), "{failures:?}");
    assert_eq!(account.source_operations(mark), Vec::<String>::new());
}

#[tokio::test]
async fn five_thousand_entries_are_expanded() {
    let account = account(&[]).await;
    let list: String =
        (0..5_000).map(|number| format!("ghcr.io/acme/app-{}:{number}\n", number % 50)).collect();
    let (result, items, failures) = expand_text(&account, &list).await;
    assert_eq!((&result["Images"], failures.len()), (&json!(5_000), 0));
    // The result of a state is limited to 256 KiB, so the items are in S3.
    assert!(result.to_string().len() < 1_000, "{result}");
    let mut numbers: Vec<u32> = tags(&items).iter().map(|tag| tag.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..5_000).collect::<Vec<_>>());
    assert!(items.iter().all(|item| item["Owner"] == OWNER && item["RepositoryArn"].is_string()));
}

#[tokio::test]
async fn the_expansion_ends_before_the_invocation() {
    let account =
        Account::with(Mutability::Mutable, |settings| settings.timeout = Duration::from_secs(4)).await;
    account.world.emulator.objects().create_bucket("eu-west-1", BUCKET);
    let silent = Effect::Stall { after_bytes: 0, for_ms: None, on: None };
    account.world.emulator.faults().add(Fault::on("tags.list", silent));
    let list = "images:\n  - source: python\n    tags: {newest: 1}\n";
    let (kind, message) = invoke(&account, expand(&json!({"Text": list}))).await.unwrap_err();
    assert_eq!(kind, "Timeout", "{message}");
    assert!(
        message.contains("the tags of 0 of 1 repositories were read. Run the operation again"),
        "{message}"
    );
    assert_eq!(account.world.emulator.objects().keys(BUCKET), Vec::<String>::new());
}

#[tokio::test]
async fn tags_of_a_private_repository_are_listed_with_the_credentials_of_the_entry() {
    let account = account(&[]).await;
    let emulator = &account.world.emulator;
    let registry = emulator.add_upstream(Profile {
        rejects_wrong_credentials: true,
        ..Profile::bearer("registry.acme.example")
    });
    registry.put_image("acme/app", "1.2", &index(1));
    registry.add_user("ann", "planted-password");
    registry.make_private("acme/app", &["ann"]);
    let secret = |name: &str| format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf");
    let content =
        json!({"registry": "registry.acme.example", "username": "ann", "password": "planted-password"});
    emulator.secrets().put(&secret("app"), &content.to_string());
    let list = |arn: &str| {
        format!(
            "images:\n  - source: registry.acme.example/acme/app\n    tags: {{newest: 1}}\n    credentials: {arn}\n"
        )
    };
    let (_, items, failures) = expand_text(&account, &list(&secret("app"))).await;
    assert_eq!(failures, Vec::<Value>::new());
    assert_eq!((&items[0]["Tag"], &items[0]["CredentialArn"]), (&json!("1.2"), &json!(secret("app"))));

    let (_, items, failures) = expand_text(&account, &list(&secret("other"))).await;
    assert_eq!((items.len(), &failures[0]["ErrorType"]), (0, &json!("AccessDenied")));
    let message = failures[0]["Message"].as_str().unwrap();
    assert!(message.contains("Check the ARN in CredentialArn."), "{message}");
}
