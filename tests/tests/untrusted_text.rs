//! Text from registries and AWS has visible characters and a bounded length in responses and logs.

mod common;

use std::collections::BTreeMap;

use aws_emulator::{Effect, Fault, Manifest};
use common::{Account, failure_reason, index};
use serde_json::{Value, json};

/// Clears the screen, sets the title, starts a new line, reverses text, and hides letters.
const HOSTILE: &str = "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}31m\r\nforged\u{202e}\u{2066}\u{200b}\u{e0061}";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

fn check_texts(value: &Value) {
    match value {
        Value::String(text) => assert!(!text.contains(is_hidden), "{text:?}"),
        Value::Array(all) => all.iter().for_each(check_texts),
        Value::Object(all) => all.values().for_each(check_texts),
        _ => {}
    }
}

/// Sends a Create that fails, and checks its reason and its last log line.
async fn check(account: &Account, expected: &str) {
    let (response, line) = account.create_and_last_line(&account.properties("python:3.13")).await;
    let reason = failure_reason(&response);
    assert!(!reason.contains(is_hidden), "{reason:?}");
    assert!(reason.contains(expected), "{reason}");
    check_texts(&line);
}

#[tokio::test]
async fn cleans_error_texts_of_registries_and_aws() {
    let long = HOSTILE.repeat(100);
    for text in [HOSTILE, long.as_str()] {
        let errors = json!({"errors": [{"code": text, "message": text, "detail": text}]}).to_string();
        let status = Effect::Status { code: 400, headers: BTreeMap::new(), body: errors };
        let refusal = Effect::api_error("AccessDeniedException", text);
        for (operation, effect) in [
            ("manifest.get", status),
            ("ecr:BatchGetImage", refusal.clone()),
            ("ecr:BatchCheckLayerAvailability", refusal),
        ] {
            let account = Account::new().await;
            account.publish("3.13", &index(1));
            account.world.emulator.faults().add(Fault::on(operation, effect));
            check(&account, "]0;title forged").await;
        }
    }
}

#[tokio::test]
async fn cleans_invalid_platforms_and_media_types() {
    let account = Account::new().await;
    let digest = format!("sha256:{}", "a".repeat(64));
    let child = |kind: &str, os: &str| json!({"mediaType": kind, "digest": digest, "size": 5, "platform": {"os": os, "architecture": "x"}});
    let long = "y".repeat(3_000_000);
    for (own, kind, os, expected) in [
        (INDEX, IMAGE, HOSTILE, "\"]0;title forged/x\" is not a platform"),
        (INDEX, IMAGE, long.as_str(), "is not a platform"),
        (INDEX, HOSTILE, "linux", "is not a media type"),
        (HOSTILE, IMAGE, "linux", "\"]0;title forged\" is not a media type"),
        (long.as_str(), IMAGE, "linux", "is not a media type"),
    ] {
        let document = json!({"schemaVersion": 2, "mediaType": own, "manifests": [child(kind, os)]});
        let manifest = Manifest::new(document.to_string(), INDEX);
        let hub = account.world.emulator.docker_hub();
        hub.tag("library/python", "3.13", &manifest.digest);
        hub.put_manifest("library/python", manifest);
        check(&account, expected).await;
        assert_eq!(account.repository.images(), Vec::<String>::new());
    }
}
