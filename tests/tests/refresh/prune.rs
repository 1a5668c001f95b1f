//! Tags that a list no longer selects.

use aws_emulator::{Effect, Fault};
use serde_json::json;

use crate::common::direct::invoke;
use crate::common::index;
use crate::{OWNER, account, expand_text, report, run_items, tags};

#[tokio::test]
async fn prune_deletes_what_the_list_owns_and_no_longer_selects() {
    let account = account(&["3.11", "3.12", "3.13"]).await;
    let list = |rules: &str| {
        format!("images:\n  - source: python\n    prune: true\n    platform: all\n    tags: {{{rules}}}\n")
    };
    let (_, items, _) = expand_text(&account, &list("semver: '>=3.11'")).await;
    assert_eq!(tags(&items), ["3.13", "3.12", "3.11"]);
    run_items(&account, &items).await;
    let mut other = account.properties("python:3.11");
    other["Tag"] = json!("by-another-owner");
    invoke(&account, other).await.unwrap();
    account.repository.put_manifest(Some("pushed-by-hand"), index(3).root());

    let (result, items, _) = expand_text(&account, &list("semver: '>=3.11', newest: 2")).await;
    assert_eq!((&result["Images"], &result["Deletes"]), (&json!(2), &json!(1)));
    let delete = json!({"Action": "delete", "ImageReference": "docker.io/library/python:3.11", "Tag": "3.11",
        "RepositoryArn": account.repository.arn(), "Owner": OWNER});
    assert_eq!(items[2], delete);
    run_items(&account, &items).await;
    assert_eq!(account.repository.resolve("3.11"), None);
    for kept in ["3.12", "3.13", "by-another-owner", "pushed-by-hand"] {
        assert!(account.repository.resolve(kept).is_some(), "{kept}");
    }
    let reported = invoke(&account, report(0)).await.unwrap();
    assert_eq!((&reported["Summary"]["Deleted"], &reported["Summary"]["Unchanged"]), (&json!(1), &json!(2)));
    assert_eq!(reported["HasNews"], true);
    assert_eq!(reported["Subject"], "refresh/images: 1 deleted");
}

#[tokio::test]
async fn prune_deletes_nothing_if_tags_are_unknown() {
    let account = account(&["3.12", "3.13"]).await;
    let list = |rules: &str| {
        format!("images:\n  - source: python\n    prune: true\n    platform: all\n    tags: {{{rules}}}\n")
    };
    let (_, items, _) = expand_text(&account, &list("semver: '>=3.12'")).await;
    run_items(&account, &items).await;

    let (result, items, failures) = expand_text(&account, &list("semver: '>=4'")).await;
    assert_eq!((&result["Deletes"], items.len(), failures.len()), (&json!(0), 0, 1));

    let denied = Effect::Status { code: 403, headers: Default::default(), body: "{}".into() };
    account.world.emulator.faults().add(Fault::on("tags.list", denied));
    let (result, items, failures) = expand_text(&account, &list("newest: 1")).await;
    assert_eq!((&result["Deletes"], items.len(), failures.len()), (&json!(0), 0, 1), "{failures:?}");
    account.world.emulator.faults().clear();

    // The state cannot be read.
    let unreadable = Fault::on("dynamodb:GetItem", Effect::api_error("AccessDeniedException", "no"));
    account.world.emulator.faults().add(unreadable);
    let (result, _, failures) = expand_text(&account, &list("newest: 1")).await;
    assert_eq!((&result["Images"], &result["Deletes"]), (&json!(1), &json!(0)));
    assert_eq!(failures[0]["ErrorType"], "Unavailable", "{failures:?}");
}

#[tokio::test]
async fn an_older_tag_stays_until_the_newer_one_is_copied() {
    let account = account(&["3.12"]).await;
    let list = "images:\n  - source: python\n    prune: true\n    platform: all\n    tags: {newest: 1}\n";
    let (_, items, _) = expand_text(&account, list).await;
    run_items(&account, &items).await;

    account.publish("3.13", &index(9));
    let (result, items, _) = expand_text(&account, list).await;
    assert_eq!((tags(&items), &result["Deletes"]), (vec!["3.13"], &json!(0)));
    run_items(&account, &items).await;
    let (result, items, _) = expand_text(&account, list).await;
    assert_eq!((tags(&items), &result["Deletes"]), (vec!["3.13", "3.12"], &json!(1)));
}
