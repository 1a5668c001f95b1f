//! Entries with `customize`.

use serde_json::{Value, json};

use crate::common::direct::invoke;
use crate::common::index;
use crate::{account, expand, expand_text, read, report, run_items};

fn list(lines: &str) -> String {
    format!(
        "defaults: {{platform: all}}\nimages:\n- source: python\n  tags: ['3.13']\n  customize:\n  - {lines}\n  \
         - VOLUME /data\n"
    )
}

#[tokio::test]
async fn a_changed_image_is_copied_again_only_after_a_change_of_its_lines() {
    let account = account(&["3.13"]).await;
    let base = index(1).digest().to_owned();
    // Runs the list, and returns the image in the report and the requests to the source.
    let run = async |lines: &str| -> (Value, Vec<String>) {
        let (_, items, failures) = expand_text(&account, &list(lines)).await;
        assert_eq!(failures, Vec::<Value>::new());
        assert_eq!(items[0]["Customize"], format!("{lines}\nVOLUME /data"));
        let mark = account.mark();
        run_items(&account, &items).await;
        let requests = account.source_operations(mark);
        let result = invoke(&account, report(0)).await.unwrap();
        assert_eq!(result["HasFailed"], json!(false), "{result}");
        (read(&account, "runs/1/report.json")["Images"][0].clone(), requests)
    };
    let (copied, _) = run("ENV A=1").await;
    assert_eq!((&copied["Change"], &copied["SourceDigest"]), (&json!("new"), &json!(base)));
    assert_ne!(copied["Digest"], json!(base));
    assert!(copied["Message"].as_str().unwrap().contains("Customize changed the image."), "{copied}");
    assert_eq!(account.repository.resolve("3.13").map(Value::from), Some(copied["Digest"].clone()));
    assert_eq!(account.repository.integrity_errors("3.13"), Vec::<String>::new());

    let (again, requests) = run("ENV A=1").await;
    assert_eq!((&again["Change"], &again["Digest"]), (&json!("unchanged"), &copied["Digest"]));
    assert_eq!(requests, ["manifest.head"]);

    let (moved, _) = run("ENV A=2").await;
    assert_eq!((&moved["Change"], &moved["PreviousDigest"]), (&json!("moved"), &copied["Digest"]));
    let bytes = moved["BytesCopied"].as_u64().unwrap();
    assert!((1..3000).contains(&bytes), "{bytes} bytes are more than two configs");
}

#[tokio::test]
async fn lines_that_are_invalid_or_too_large_end_the_run() {
    let account = account(&["3.12", "3.13"]).await;
    for (list, expected) in [
        (
            list("RUN apt-get update"),
            "list:6: images[0].customize: \"apt-get\" is not supported in RUN.".to_owned(),
        ),
        (
            list(&format!("ENV A={}", "x".repeat(33_000))),
            "list:6: images[0].customize has more than 32 KiB.".to_owned(),
        ),
    ] {
        let (kind, message) = invoke(&account, expand(&json!({"Text": list}))).await.unwrap_err();
        assert!(kind == "Invalid" && message.contains(&expected), "{message}");
    }
    // Each selected tag has the lines, which the list has once.
    let tags: Vec<String> = (0..300).map(|number| format!("1.0.{number}")).collect();
    for tag in &tags {
        account.publish(tag, &index(1));
    }
    let list = format!(
        "images:\n- source: python\n  tags: {{semver: '1'}}\n  customize: LABEL a={}\n",
        "x".repeat(30_000)
    );
    let (kind, message) = invoke(&account, expand(&json!({"Text": list}))).await.unwrap_err();
    let expected = "list:1: the lines in customize have more than 8 MiB for all selected images. Add newest to the \
                    rules, or shorten the lines.";
    assert!(kind == "Invalid" && message.contains(expected), "{message}");
}
