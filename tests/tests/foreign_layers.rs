//! Images with foreign layers, which source registries can lack.

mod common;

use aws_emulator::{Blob, Image, ImageBuilder, Manifest, digest};
use common::{Account, check_success, failure_reason};
use serde_json::{Value, json};

const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// Returns an index of a Linux and a Windows image. The source lacks a layer of the Windows image, which
/// has this media type and `urls`.
fn windows(seed: u64, media_type: &str) -> Image {
    let mut image = ImageBuilder::new(seed).platforms(&["linux/amd64"]).layers(&[40_000]).docker().single();
    let config = Blob::bytes(json!({"os": "windows", "architecture": "amd64", "seed": seed}).to_string());
    let own = Blob::bytes(format!("own layer {seed}"));
    let foreign = format!("foreign layer {seed}");
    let descriptor =
        |kind: &str, blob: &Blob| json!({"mediaType": kind, "digest": blob.digest(), "size": blob.size()});
    let base = json!({"mediaType": media_type, "digest": digest(foreign.as_bytes()), "size": foreign.len(),
        "urls": ["https://mcr.microsoft.com/v2/windows/nanoserver/blobs/x"]});
    let config_type = "application/vnd.docker.container.image.v1+json";
    let document = json!({"schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor(config_type, &config), "layers": [base, descriptor(LAYER, &own)]});
    let windows = Manifest::new(document.to_string(), MANIFEST);
    let entry = |manifest: &Manifest, os: &str| {
        let mut entry = manifest.descriptor();
        entry["platform"] = json!({"os": os, "architecture": "amd64"});
        entry
    };
    let children = [entry(image.root(), "linux"), entry(&windows, "windows")];
    let index = json!({"schemaVersion": 2, "mediaType": LIST, "manifests": children});
    image.manifests.extend([windows, Manifest::new(index.to_string(), LIST)]);
    image.blobs.extend([config, own]);
    image
}

fn properties(account: &Account, tag: &str, platform: &str) -> Value {
    let mut properties = account.properties(&format!("python:{tag}"));
    properties["Platform"] = json!(platform);
    properties
}

#[tokio::test]
async fn copies_an_image_without_its_foreign_layer_once() {
    let account = Account::new().await;
    let image = windows(1, FOREIGN);
    account.publish("1", &image);
    for (tag, platform) in [("1", "all"), ("1", "windows/amd64")] {
        let properties = properties(&account, tag, platform);
        let (response, _) = account.create_and_last_line(&properties).await;
        check_success(&response);
        let reason = response.reason.unwrap();
        assert!(reason.contains("1 non-distributable layer was skipped"), "{reason}");
        let mark = account.mark();
        let (response, line) = account.create_and_last_line(&properties).await;
        check_success(&response);
        assert_eq!(line["outcome"], "unchanged", "{platform}: {line}");
        let operations = account.source_operations(mark);
        assert!(
            operations.iter().all(|operation| !operation.starts_with("blob")),
            "{platform}: {operations:?}"
        );
    }
    let windows = &image.manifests[1];
    assert_eq!(account.repository.resolve("1").as_deref(), Some(&*windows.digest));
    assert_eq!(account.repository.manifest(image.digest()).as_ref(), Some(&image.root().bytes));
}

#[tokio::test]
async fn fails_if_ecr_requires_a_missing_layer() {
    let account = Account::new().await;
    // ECR requires layers of this media type, also with `urls`.
    account.publish("1", &windows(2, LAYER));
    let response = account.create(properties(&account, "1", "all")).await;
    let reason = failure_reason(&response);
    for part in ["windows/amd64", "non-distributable", "Choose platforms without Windows in Platform"] {
        assert!(reason.contains(part), "{reason}");
    }
    check_success(&account.create(properties(&account, "1", "linux/amd64")).await);
}
