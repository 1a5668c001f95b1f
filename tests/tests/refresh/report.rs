//! Reports of the results.

use serde_json::{Value, json};

use crate::common::direct::invoke;
use crate::common::index;
use crate::{OWNER, account, expand, expand_text, object, read, report, run_items};

#[tokio::test]
async fn a_report_names_changes_and_failures() {
    let account = account(&["3.12", "3.13"]).await;
    let list = "images:\n  - source: python\n    platform: all\n    tags: ['3.12', '3.13', '3.14']\n";
    let (_, items, _) = expand_text(&account, list).await;
    run_items(&account, &items).await;
    let result = invoke(&account, report(33)).await.unwrap();
    assert_eq!((&result["HasFailed"], &result["HasNews"]), (&json!(true), &json!(true)));
    assert_eq!(result["Subject"], "refresh/images: 2 new, 1 failed");

    let (old, new) = (index(1).digest().to_owned(), index(7));
    account.publish("3.12", &new);
    let (_, items, _) = expand_text(&account, list).await;
    run_items(&account, &items).await;
    let result = invoke(&account, report(34)).await.unwrap();
    assert_eq!((&result["HasFailed"], &result["Report"]), (&json!(false), &object("runs/1/report.json")));
    let summary = &result["Summary"];
    let count = |name: &str| summary[name].as_u64().unwrap();
    let counts = ["Images", "New", "Moved", "Unchanged", "Waiting", "Deleted", "Kept", "Failed"].map(count);
    assert_eq!(counts, [3, 0, 1, 1, 0, 0, 0, 1]);
    assert!(count("BytesCopied") > 0 && count("Pulls") > 0, "{summary}");
    let text = result["Message"].as_str().unwrap();
    assert!(
        text.contains("- docker.io/library/python:3.14: Image docker.io/library/python:3.14 was not found"),
        "{text}"
    );
    assert!(text.contains(&format!("python:3.12: {} -> {}", &old[..19], &new.digest()[..19])), "{text}");

    let report = read(&account, "runs/1/report.json");
    assert_eq!(&report["Summary"], summary);
    let [moved, unchanged] = &report["Images"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!(moved["Change"], "moved");
    assert_eq!((&moved["PreviousDigest"], &moved["Digest"]), (&json!(old), &json!(new.digest())));
    assert_eq!(unchanged.get("PreviousDigest"), None, "{unchanged}");
    assert_eq!(unchanged["ImageReference"], format!("{}:3.13", account.repository.uri()));
    assert_eq!(report["Failures"][0]["ErrorType"], "NotFound");
    assert_eq!(report["Failures"][0]["Destination"], format!("{}:3.14", account.repository.uri()));
    assert!(report["Finished"].as_str().unwrap().ends_with('Z'), "{report}");
}

#[tokio::test]
async fn a_run_without_items_has_a_report() {
    let account = account(&[]).await;
    let list = "images:\n  - source: docker.io/library/missing\n    tags: {newest: 1}\n";
    let (result, items, _) = expand_text(&account, list).await;
    assert_eq!((&result["Images"], items.len()), (&json!(0), 0));
    let mut event = report(0);
    event["Manifest"] = Value::Null;
    let result = invoke(&account, event).await.unwrap();
    assert_eq!((&result["Summary"]["Failed"], &result["HasFailed"]), (&json!(1), &json!(true)));
}

#[tokio::test]
async fn the_last_log_line_has_the_counts() {
    let account = account(&["3.13"]).await;
    let list = "images:\n  - source: python\n    platform: all\n    tags: ['3.13']\n";
    let (_, items, _) = expand_text(&account, list).await;
    run_items(&account, &items).await;
    invoke(&account, report(0)).await.unwrap();
    invoke(&account, expand(&json!({"Text": ""}))).await.unwrap_err();
    let output = account.world.function.output();
    let lines: Vec<Value> = output.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = |outcome: &str| lines.iter().rfind(|line| line["outcome"] == outcome).unwrap();
    assert_eq!((&last("expanded")["images"], &last("expanded")["owner"]), (&json!(1), &json!(OWNER)));
    assert_eq!((&last("reported")["images"], &last("reported")["failed_images"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&last("failed")["code"], &last("failed")["message"]),
        (&json!("CI-501"), &json!("responded"))
    );
}

#[tokio::test]
async fn a_waiting_image_is_no_news() {
    let account = account(&["3.13"]).await;
    let list = "images:\n  - source: python\n    tags: ['3.13']\n    min_age: 48h\n";
    let (_, items, _) = expand_text(&account, list).await;
    run_items(&account, &items).await;
    let result = invoke(&account, report(0)).await.unwrap();
    assert_eq!((&result["HasFailed"], &result["HasNews"]), (&json!(false), &json!(false)));
    assert_eq!((&result["Summary"]["Waiting"], &result["Summary"]["Images"]), (&json!(1), &json!(1)));
    let report = read(&account, "runs/1/report.json");
    let until = report["Images"][0]["WaitsUntil"].as_str().unwrap();
    assert!(until.ends_with('Z'), "{report}");
    let waiting = &report["Images"][0]["SourceDigest"].as_str().unwrap()[.."sha256:".len() + 12];
    let line = format!("python:3.13: {waiting} until {until}");
    assert!(result["Message"].as_str().unwrap().contains(&line), "{result}");
}
