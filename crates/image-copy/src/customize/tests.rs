//! Sequences of lines, with the changed fields of the config and the entries of the layer.

mod lines;
mod properties;
mod rejections;
mod results;

use std::io::Read as _;

use serde_json::{Map, Value, json};

use super::base::Base;
use super::manifest::{CustomizedImage, customize_image};
use super::{Customization, CustomizationError};
use crate::oci::{Digest, Manifest, media_type};

/// Time of new files in tests: 2026-01-02 03:04:05 UTC.
const TIME: u64 = 1_767_323_045;

/// The config of a base with most fields, and with fields that no specification has.
/// Texts, because the order of fields in `json!` depends on a feature of `serde_json`.
fn base_config() -> String {
    let layer = Digest::of(b"layer");
    [
        r#"{"architecture":"arm64","os":"linux","variant":"v8","created":"2026-01-02T03:04:05.678Z","config":{"#,
        r#""User":"0","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/usr/bin","A=one","EMPTY="],"#,
        r#""Entrypoint":["/entry"],"Cmd":["serve"],"Volumes":{"/data":{}},"WorkingDir":"/srv/app","#,
        r#""Labels":{"a":"1","b":"2"},"StopSignal":"SIGTERM","OnBuild":null,"x-unknown":[1,2]},"#,
        &format!(r#""rootfs":{{"type":"layers","diff_ids":["{layer}"]}},"#),
        r#""history":[{"created":"2026-01-01T00:00:00Z","created_by":"base"}],"x-unknown":{"z":1,"a":2}}"#,
    ]
    .concat()
}

fn base_manifest(config: &str, media_type: &str) -> Manifest {
    let (config_type, layer_type) = match media_type {
        media_type::DOCKER_MANIFEST => {
            (media_type::DOCKER_CONFIG, "application/vnd.docker.image.rootfs.diff.tar.gzip")
        }
        _ => (media_type::OCI_CONFIG, "application/vnd.oci.image.layer.v1.tar+zstd"),
    };
    let (digest, size, blob) = (Digest::of(config.as_bytes()), config.len(), Digest::of(b"blob"));
    let text = [
        format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{{"mediaType":"{config_type}","#),
        format!(r#""digest":"{digest}","size":{size},"data":"e30=","annotations":{{"kept":"yes"}}}},"#),
        format!(r#""layers":[{{"mediaType":"{layer_type}","digest":"{blob}","size":7}}],"x-unknown":true}}"#),
    ];
    Manifest::parse(text.concat().into(), Some(media_type)).unwrap()
}

fn base() -> Base {
    Base::new(&"docker.io/library/app:1".parse().unwrap(), Digest::of(b"index"))
}

fn customize_config(lines: &str, config: &str) -> Result<CustomizedImage, CustomizationError> {
    let manifest = base_manifest(config, media_type::OCI_MANIFEST);
    customize_image(&Customization::parse(lines)?, &manifest, config.as_bytes(), TIME, &base())
}

fn customize(lines: &str) -> Result<CustomizedImage, CustomizationError> {
    customize_config(lines, &base_config())
}

fn config(image: &CustomizedImage) -> Value {
    serde_json::from_slice(&image.config.content).unwrap()
}

/// Returns the fields of the runtime configuration that differ from the base. Removed fields are `null`.
fn changes(image: &CustomizedImage) -> Value {
    let (before, after) = (serde_json::from_str::<Value>(&base_config()).unwrap(), config(image));
    let (before, after) = (before["config"].as_object().unwrap(), after["config"].as_object().unwrap());
    let changed = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let mut changed: Map<String, Value> =
        changed.map(|(name, value)| (name.clone(), value.clone())).collect();
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changed.insert(name.clone(), Value::Null);
    }
    Value::Object(changed)
}

/// Returns the entries of the layer: `type mode uid:gid path`, and the content or the target.
fn entries(image: &CustomizedImage) -> Vec<String> {
    let Some(layer) = &image.layer else { return Vec::new() };
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(&layer.content[..]).read_to_end(&mut archive).unwrap();
    let mut archive = tar::Archive::new(&archive[..]);
    let read = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!(header.mtime().unwrap(), TIME);
        assert_eq!((header.username_bytes(), header.groupname_bytes()), (Some(&b""[..]), Some(&b""[..])));
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        let (kind, mode) = (header.entry_type(), header.mode().unwrap());
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut content = String::new();
        let target = entry.link_name().unwrap().map(|target| target.to_str().unwrap().to_owned());
        entry.read_to_string(&mut content).unwrap();
        match kind {
            tar::EntryType::Directory => format!("d {mode:o} {uid}:{gid} {path}"),
            tar::EntryType::Symlink => format!("l {mode:o} {uid}:{gid} {path} {}", target.unwrap()),
            tar::EntryType::Regular => format!("f {mode:o} {uid}:{gid} {path} {content:?}"),
            other => panic!("{path}: {other:?}"),
        }
    });
    read.collect()
}
