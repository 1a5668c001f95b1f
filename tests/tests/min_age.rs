//! Copies of direct events with a minimum age.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;

use aws_emulator::{Image, Mutability, STATE_TABLE};
use common::direct::{event, invoke};
use common::{Account, index};
use serde_json::{Value, json};

const IMAGE: &str = "docker.io/library/python:3.13";
const HOUR: u64 = 3600;

/// Sends a copy with a minimum age of 48 hours.
async fn copy(account: &Account) -> Value {
    let aged = event(account, IMAGE, &json!({"Owner": "nightly", "MinAge": "48h"}));
    invoke(account, aged).await.unwrap()
}

fn item(account: &Account) -> Value {
    let mut items = account.items();
    assert_eq!(items.len(), 1, "{items:?}");
    items.remove(0)
}

/// Moves the time at which a digest was first seen into the past. Returns the time before.
fn make_older(account: &Account, image: &Image, hours: u64) -> u64 {
    let mut item = item(account);
    let seen = item["Seen"][image.digest()].as_u64().unwrap();
    item["Seen"][image.digest()] = json!(seen - hours * HOUR);
    let region = &account.world.emulator.settings().region;
    account.world.emulator.dynamodb().put(region, STATE_TABLE, &item);
    seen
}

/// Checks that the source received only the request that resolves the tag.
#[track_caller]
fn check_waiting(account: &Account, result: &Value, image: &Image, mark: aws_emulator::LogPosition) {
    assert_eq!(result["Change"], "waiting", "{result}");
    assert_eq!(account.source_operations(mark), ["manifest.head"]);
    let pinned = format!("{IMAGE}@{}", image.digest());
    assert_eq!(
        (&result["SourceDigest"], &result["SourceReference"], &result["RequestedReference"]),
        (&json!(image.digest()), &json!(pinned), &json!(IMAGE))
    );
    assert_eq!(result["ImageReference"], format!("{}:3.13", account.repository.uri()));
    assert_eq!((&result["Pulls"], &result["BytesCopied"]), (&json!(0), &json!(0)));
    let message = result["Message"].as_str().unwrap();
    assert!(message.contains(result["WaitsUntil"].as_str().unwrap()), "{message}");
}

#[tokio::test]
async fn copies_an_image_after_its_minimum_age() {
    let account = Account::new().await;
    let (first, second, third) = (index(1), index(2), index(3));
    account.publish("3.13", &first);
    let mark = account.mark();
    let waiting = copy(&account).await;
    check_waiting(&account, &waiting, &first, mark);
    assert!(waiting.get("Digest").is_none(), "{waiting}");
    assert_eq!(account.repository.images(), [] as [&str; 0]);
    assert_eq!(account.owners(), [] as [&str; 0]);

    // The wait ends 48 hours after the digest was first seen.
    make_older(&account, &first, 47);
    let again = copy(&account).await;
    assert_eq!(again["Change"], "waiting");
    assert!(again["WaitsUntil"].as_str().unwrap() < waiting["WaitsUntil"].as_str().unwrap(), "{again}");
    make_older(&account, &first, 1);
    let mark = account.mark();
    let copied = copy(&account).await;
    assert_eq!((&copied["Change"], &copied["SourceDigest"]), (&json!("new"), &json!(first.digest())));
    assert_eq!(copied["SourceReference"], format!("{IMAGE}@{}", first.digest()));
    let heads = account.source_operations(mark).into_iter().filter(|name| name == "manifest.head");
    assert_eq!(heads.count(), 1);
    account.check_stored("3.13", &first);
    assert_eq!(account.owners(), ["nightly"]);

    let mark = account.mark();
    assert_eq!(copy(&account).await["Change"], "unchanged");
    assert_eq!(account.source_operations(mark), ["manifest.head"]);

    // The tag moves, and moves again while the second image waits.
    account.publish("3.13", &second);
    let mark = account.mark();
    let waiting = copy(&account).await;
    check_waiting(&account, &waiting, &second, mark);
    let uri = format!("{}@{}", account.repository.uri(), first.digest());
    assert_eq!((&waiting["Digest"], &waiting["ImageUri"]), (&json!(first.digest()), &json!(uri)));
    make_older(&account, &second, 48);
    account.publish("3.13", &third);
    let mark = account.mark();
    check_waiting(&account, &copy(&account).await, &third, mark);
    account.check_stored("3.13", &first);
    account.publish("3.13", &second);
    let moved = copy(&account).await;
    assert_eq!((&moved["Change"], &moved["PreviousDigest"]), (&json!("moved"), &json!(first.digest())));
    account.check_stored("3.13", &second);

    // The last delete keeps the times.
    let delete = event(&account, IMAGE, &json!({"Owner": "nightly", "Action": "delete"}));
    assert_eq!(invoke(&account, delete).await.unwrap()["Change"], "deleted");
    let item = item(&account);
    assert_eq!(item["Seen"].as_object().unwrap().len(), 3, "{item}");
    let seen = item["Seen"][third.digest()].as_u64().unwrap();
    assert!(item["ExpiresAt"].as_u64().unwrap() >= seen + 90 * 24 * HOUR, "{item}");
}

#[tokio::test]
async fn a_selected_platform_waits_for_the_digest_of_the_index() {
    let image = index(1);
    let by_digest = format!("docker.io/library/python@{}", image.digest());
    for (reference, tag) in [(IMAGE, "3.13"), (by_digest.as_str(), "")] {
        let account = Account::new().await;
        account.publish("3.13", &image);
        let keys = json!({"Owner": "nightly", "MinAge": "48h", "Platform": "linux/arm64"});
        let aged = event(&account, reference, &keys);
        let waiting = invoke(&account, aged.clone()).await.unwrap();
        assert_eq!((&waiting["Change"], &waiting["Tag"]), (&json!("waiting"), &json!(tag)), "{waiting}");
        assert_eq!(waiting["SourceDigest"], image.digest());
        for mut item in account.items() {
            item["Seen"][image.digest()] = json!(1);
            let region = &account.world.emulator.settings().region;
            account.world.emulator.dynamodb().put(region, STATE_TABLE, &item);
        }
        for expected in ["new", "unchanged"] {
            let copied = invoke(&account, aged.clone()).await.unwrap();
            assert_eq!(copied["Change"], expected, "{copied}");
            assert_eq!(copied["Platforms"], json!(["linux/arm64"]));
        }
    }
}

#[tokio::test]
async fn fails_without_the_state_table() {
    for (table, kind, expected) in [
        ("none", "Invalid", "StateTable is none"),
        ("missing", "Unavailable", "The age of the image is unknown"),
    ] {
        let account = Account::with(Mutability::Mutable, |settings| {
            settings.environment.push(("STATE_TABLE".to_owned(), table.to_owned()));
        })
        .await;
        account.publish("3.13", &index(1));
        let aged = event(&account, IMAGE, &json!({"MinAge": "1h"}));
        let (found, message) = invoke(&account, aged).await.unwrap_err();
        assert!(
            found == kind && message.contains(expected) && message.contains("CI-319"),
            "{found} {message}"
        );
        assert_eq!(account.repository.images(), [] as [&str; 0]);
    }
}
