//! Manifests, history and reproducibility.

use super::*;
use crate::customize::manifest::customize_index;
use crate::customize::quote;

#[test]
fn every_line_has_an_entry_in_the_history_and_the_last_one_with_files_the_layer() {
    let lines = "ENV B=2 \\\n  C=3\nRUN mkdir -p /a\nCOPY <<EOF /b\nx\nEOF\nUSER 5";
    let image = customize(lines).unwrap();
    let document = config(&image);
    let time = "2026-01-02T03:04:05.678Z";
    let entry = |text: &str| json!({"created": time, "created_by": text, "empty_layer": true});
    assert_eq!(
        document["history"],
        json!([
            {"created": "2026-01-01T00:00:00Z", "created_by": "base"},
            entry("ENV B=2   C=3"),
            entry("RUN mkdir -p /a"),
            {"created": time, "created_by": "COPY <<EOF /b"},
            entry("USER 5"),
        ])
    );
    let layer = image.layer.unwrap();
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(&layer.content[..]).read_to_end(&mut archive).unwrap();
    assert_eq!(
        document["rootfs"],
        json!({
            "type": "layers", "diff_ids": [Digest::of(b"layer").as_str(), Digest::of(&archive).as_str()],
        })
    );
    assert_eq!(layer.digest, Digest::of(&layer.content));
}

#[test]
fn keeps_unknown_fields_and_their_order() {
    let image = customize("LABEL c=3").unwrap();
    let before = base_config();
    let text = std::str::from_utf8(&image.config.content).unwrap();
    let unknown = r#""x-unknown":{"z":1,"a":2}"#;
    assert!(before.contains(unknown) && text.contains(unknown), "{text}");
    let names = |text: &str| -> Vec<usize> {
        [
            "\"architecture\"",
            "\"os\"",
            "\"created\"",
            "\"config\"",
            "\"rootfs\"",
            "\"history\"",
            "\"x-unknown\":{",
        ]
        .iter()
        .map(|name| text.find(name).unwrap())
        .collect()
    };
    assert!(names(&before).is_sorted() && names(text).is_sorted(), "{text}");
    assert_eq!(config(&image)["config"]["x-unknown"], json!([1, 2]));
}

#[test]
fn the_same_lines_result_in_the_same_bytes() {
    let lines = "ENV B=2\nRUN mkdir -p /vault/file && chmod 777 /vault/file\nVOLUME /vault/file";
    let image = customize(lines).unwrap();
    assert_eq!(image.manifest.bytes, customize(lines).unwrap().manifest.bytes);
    // These digests change only with `VERSION`.
    assert_eq!(
        (image.manifest.digest.as_str(), image.layer.unwrap().digest.as_str()),
        (
            "sha256:961f51205c6275fdc08053a9b25489b25d565a4485e94e6f2ebcd4b98bbd7907",
            "sha256:a633e37fca4ec7ebd548f1da3758961fdb8289096190c8726effd355c2c33fed"
        )
    );
    let digest = |text: &str| Customization::parse(text).unwrap().digest().clone();
    assert_eq!(digest(lines), digest(&format!("{lines}\n\n")));
    assert_ne!(digest(lines), digest("ENV B=3"));
}

#[test]
fn the_manifest_names_the_base_and_the_new_layer() {
    let image = customize("RUN touch /a").unwrap();
    let document: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    let layer = image.layer.unwrap();
    assert_eq!(
        document["config"],
        json!({
            "mediaType": media_type::OCI_CONFIG, "digest": image.config.digest.as_str(),
            "size": image.config.content.len(), "annotations": {"kept": "yes"},
        })
    );
    assert_eq!(
        document["layers"],
        json!([
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd", "digest": Digest::of(b"blob").as_str(), "size": 7},
            {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer.digest.as_str(), "size": layer.content.len()},
        ])
    );
    assert_eq!(
        document["annotations"],
        json!({
            "org.opencontainers.image.base.name": "docker.io/library/app:1",
            "org.opencontainers.image.base.digest": Digest::of(b"index").as_str(),
        })
    );
    assert_eq!(document["x-unknown"], json!(true));
    let without_files = customize("USER 1").unwrap();
    assert!(without_files.layer.is_none());
    assert_eq!(without_files.manifest.blobs().count(), 2);
}

#[test]
fn docker_images_stay_docker_images() {
    let text = base_config();
    let manifest = base_manifest(&text, media_type::DOCKER_MANIFEST);
    let lines = Customization::parse("RUN touch /a").unwrap();
    let image = customize_image(&lines, &manifest, text.as_bytes(), TIME, &base()).unwrap();
    let document: Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    assert_eq!(image.manifest.media_type, media_type::DOCKER_MANIFEST);
    assert_eq!(document["layers"][1]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    assert_eq!(document.get("annotations"), None);
    let labels = &config(&image)["config"]["Labels"];
    assert_eq!(labels["org.opencontainers.image.base.name"], "docker.io/library/app:1");
    assert_eq!(labels["org.opencontainers.image.base.digest"], Digest::of(b"index").as_str());
}

#[test]
fn an_index_keeps_its_other_fields() {
    let (old, gone) = (Digest::of(b"old"), Digest::of(b"gone"));
    let text = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{m}","digest":"{old}","size":3,"platform":{{"os":"linux","architecture":"arm64","x":1}},"annotations":{{"k":"v"}}}},{{"mediaType":"{m}","digest":"{gone}","size":4}}],"annotations":{{"a":"b"}}}}"#,
        m = media_type::OCI_MANIFEST
    );
    let index = Manifest::parse(text.into(), Some(media_type::OCI_INDEX)).unwrap();
    let new = customize("USER 1").unwrap().manifest;
    let changed = customize_index(&index, &base(), |digest| (*digest == old).then_some(&new)).unwrap();
    let document: Value = serde_json::from_slice(&changed.bytes).unwrap();
    assert_eq!(
        document["manifests"],
        json!([{
            "mediaType": media_type::OCI_MANIFEST, "digest": new.digest.as_str(), "size": new.bytes.len(),
            "platform": {"os": "linux", "architecture": "arm64", "x": 1}, "annotations": {"k": "v"},
        }])
    );
    assert_eq!(document["annotations"]["a"], "b");
    assert_eq!(document["annotations"]["org.opencontainers.image.base.name"], "docker.io/library/app:1");
    assert_eq!(changed.children().len(), 1);
}

#[test]
fn a_base_without_configuration_gets_one() {
    let text = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": []}});
    let image = customize_config("ENV A=1\nWORKDIR x\nCMD y", &text.to_string()).unwrap();
    let document = config(&image);
    assert_eq!(
        document["config"],
        json!({"Env": ["A=1"], "WorkingDir": "/x", "Cmd": ["/bin/sh", "-c", "y"]})
    );
    assert_eq!(document["history"][0], json!({"created_by": "ENV A=1", "empty_layer": true}));
    let with_shell = base_config().replace("\"User\"", "\"Shell\":[\"/bin/bash\",\"-ec\"],\"User\"");
    let image = customize_config("CMD y", &with_shell).unwrap();
    assert_eq!(config(&image)["config"]["Cmd"], json!(["/bin/bash", "-ec", "y"]));
}

#[test]
fn quoted_words_have_exactly_their_value() {
    for value in ["plain", "a b", "$A ${A}", r#"q"uo'te"#, r"back\slash\", "", "#x", "é", "a=b", "\\$A"] {
        let image = customize(&format!("ENV Q={}", quote(value))).unwrap();
        let variables = config(&image)["config"]["Env"].clone();
        assert_eq!(variables[3], format!("Q={value}"), "{value}");
    }
}
