//! Content that differs from its descriptor, and foreign layers.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod support;

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA512, digest};
use image_copy::copy::{Failure, Problem};
use image_copy::oci::{Digest, Manifest, media_type};
use support::loopback_copy::{client, copy, copy_between};
use support::loopback_registry::{LoopbackRegistry, error_response};

const FOREIGN: [&str; 3] = [
    r#""mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip""#,
    r#""mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip""#,
    r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","urls":["https://a.example/b"]"#,
];

fn descriptor(media_type: &str, content: &[u8]) -> String {
    format!(r#"{{{media_type},"digest":"{}","size":{}}}"#, Digest::of(content), content.len())
}

/// Stores an index of a Linux and a Windows image. The Windows image has a layer of this kind.
fn windows(source: &LoopbackRegistry, kind: &str) -> Manifest {
    let config = br#"{"os":"windows","architecture":"amd64"}"#;
    source.put_blob(config);
    source.put_blob(b"own layer");
    let layers =
        format!("{},{}", descriptor(kind, b"windows"), descriptor(r#""mediaType":"a/l""#, b"own layer"));
    let config = descriptor(&format!(r#""mediaType":"{}""#, media_type::OCI_CONFIG), config);
    let windows = source.image_of("a/b", &config, &layers, &["windows"]);
    let linux = source.image("a/b", &[b"linux"], &[]);
    source.index("a/b", &[(&linux, "linux/amd64"), (&windows, "windows/amd64")], &["1"])
}

fn sha512(content: &[u8]) -> String {
    let mut text = "sha512:".to_owned();
    for byte in digest(&SHA512, content).as_ref() {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[tokio::test]
async fn a_foreign_layer_that_the_source_lacks_is_left_out_once() {
    for kind in FOREIGN {
        for tag in ["1", "windows"] {
            let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
            windows(&source, kind);
            let (from, name) = (format!("{}/a/b:{tag}", source.host), format!("{}/x/y:1", to.host));
            let outcome = copy(&client(None), &from, &name).await.unwrap();
            assert_eq!((outcome.blobs.skipped, outcome.blobs.bytes_skipped), (1, 7), "{kind}");
            assert_eq!(outcome.blobs.copied, outcome.blobs.blobs - 1, "{kind}");
            assert_eq!(to.manifest("x/y", "1"), source.manifest("a/b", tag), "{kind}");
            source.take_log();
            let again = copy(&client(None), &from, &name).await.unwrap();
            assert_eq!((again.blobs.copied, again.manifests_written), (0, 0), "{kind}");
            assert!(
                source.take_log().iter().all(|line| !line.contains("/blobs/")),
                "{kind}: the layer is not requested again"
            );
        }
    }
}

#[tokio::test]
async fn a_foreign_layer_that_the_source_has_is_copied() {
    for kind in FOREIGN {
        let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
        windows(&source, kind);
        let layer = source.put_blob(b"windows");
        let outcome = copy_between(None, &source, &to).await.unwrap();
        assert_eq!((outcome.blobs.copied, outcome.blobs.skipped), (5, 0), "{kind}");
        assert!(to.has_blob(layer.as_str()), "{kind}");
    }
}

#[tokio::test]
async fn a_destination_that_requires_a_foreign_layer_names_it_with_its_platform() {
    let source = LoopbackRegistry::start();
    windows(&source, FOREIGN[0]);
    let layer = Digest::of(b"windows");
    let to = LoopbackRegistry::with_handler(|request| {
        let is_windows = String::from_utf8_lossy(&request.body).contains("rootfs.foreign");
        (request.method == "PUT" && is_windows)
            .then(|| error_response(404, "MANIFEST_BLOB_UNKNOWN"))
            .flatten()
    });
    for tag in ["1", "windows"] {
        let name = format!("{}/x/y:{tag}", to.host);
        let failure = copy(&client(None), &format!("{}/a/b:{tag}", source.host), &name).await.unwrap_err();
        let text = failure.to_string();
        assert_eq!(failure.problem(), Problem::ForeignLayer, "{text}");
        for part in [layer.short(), "windows/amd64", "MANIFEST_BLOB_UNKNOWN"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[tokio::test]
async fn a_missing_layer_is_named_with_its_platform() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    windows(&source, r#""mediaType":"application/vnd.oci.image.layer.v1.tar+gzip""#);
    let failure = copy_between(None, &source, &to).await.unwrap_err();
    let text = failure.to_string();
    let layer = format!("(blob {} of windows/amd64)", Digest::of(b"windows").short());
    assert!(text.contains(&layer), "{text}");
}

#[tokio::test]
async fn a_child_with_a_sha512_digest_is_copied_under_it() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let child = source.image("a/b", &[b"one"], &[]);
    let digest = sha512(&child.bytes);
    source.put_manifest(
        "a/b",
        media_type::OCI_MANIFEST,
        std::str::from_utf8(&child.bytes).unwrap(),
        &[&digest],
    );
    let with_sha512 = Manifest { digest: digest.parse().unwrap(), ..child.clone() };
    source.index("a/b", &[(&with_sha512, "linux/amd64")], &["1"]);
    let (from, name) = (format!("{}/a/b:1", source.host), format!("{}/x/y:1", to.host));
    let outcome = copy(&client(None), &from, &name).await.unwrap();
    assert_eq!((outcome.blobs.copied, outcome.manifests_written), (2, 2));
    assert_eq!(to.manifest("x/y", &digest).unwrap(), child.bytes);
    // A reference with such a digest is stored under the tag, which has a SHA-256 digest.
    let pinned = format!("{}/a/b@{digest}", source.host);
    for written in [1, 0] {
        let outcome = copy(&client(None), &pinned, &format!("{}/x/other:1", to.host)).await.unwrap();
        assert_eq!((outcome.digest.clone(), outcome.manifests_written), (child.digest.clone(), written));
        assert_eq!(outcome.source_digest.to_string(), digest);
    }
}

#[tokio::test]
async fn a_source_that_does_not_implement_head_is_read_by_get() {
    for status in [405, 501] {
        let source = LoopbackRegistry::with_handler(move |request| {
            request.is("HEAD", "/v2/a/b/manifests/").then(|| error_response(status, "UNSUPPORTED")).flatten()
        });
        let (image, to) = (source.image("a/b", &[b"one"], &["1"]), LoopbackRegistry::start());
        copy_between(None, &source, &to).await.unwrap();
        assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes, "{status}");
    }
}

#[tokio::test]
async fn an_empty_blob_is_verified() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let config = source.put_blob(b"{}");
    let config = format!(r#"{{"mediaType":"a/c","digest":"{config}","size":2}}"#);
    let layer = |digest: &Digest| format!(r#"{{"mediaType":"a/l","digest":"{digest}","size":0}}"#);
    let wrong = Digest::of(b"something");
    source.image_of("a/b", &config, &layer(&wrong), &["wrong"]);
    source.image_of("a/b", &config, &layer(&Digest::of(b"")), &["right"]);
    let name = format!("{}/x/y:1", to.host);
    let failure = copy(&client(None), &format!("{}/a/b:wrong", source.host), &name).await.unwrap_err();
    assert_eq!(failure.problem(), Problem::Corrupt, "{failure}");
    assert!(to.take_log().iter().all(|line| !line.contains(wrong.hex()) || line.starts_with("HEAD")));
    copy(&client(None), &format!("{}/a/b:right", source.host), &name).await.unwrap();
    assert!(to.has_blob(Digest::of(b"").as_str()));
}

#[tokio::test]
async fn a_size_other_than_that_of_the_content_is_an_error() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let child = source.image("a/b", &[b"one"], &[]);
    for size in [1, child.bytes.len() - 1, child.bytes.len() + 1] {
        let index = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}","size":{size}}}]}}"#,
            media_type::OCI_MANIFEST,
            child.digest
        );
        source.put_manifest("a/b", media_type::OCI_INDEX, &index, &["1"]);
        let failure = copy_between(None, &source, &to).await.unwrap_err();
        assert_eq!(failure.problem(), Problem::Corrupt, "{failure}");
    }
    let config = source.put_blob(b"{}");
    let config = format!(r#"{{"mediaType":"a/c","digest":"{config}","size":2}}"#);
    let layer = source.put_blob(b"layer");
    let layers = [5, 6].map(|size| format!(r#"{{"mediaType":"a/l","digest":"{layer}","size":{size}}}"#));
    source.image_of("a/b", &config, &layers.join(","), &["1"]);
    let failure = copy_between(None, &source, &to).await.unwrap_err();
    assert!(failure.to_string().contains("different sizes for one blob"), "{failure}");
}

#[tokio::test]
async fn a_manifest_that_is_an_index_and_an_image_is_rejected() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let child = source.image("a/b", &[b"one"], &[]);
    let text = std::str::from_utf8(&child.bytes).unwrap().replacen('{', r#"{"manifests":[],"#, 1);
    source.put_manifest("a/b", media_type::OCI_MANIFEST, &text, &["1"]);
    let failure = copy_between(None, &source, &to).await.unwrap_err();
    assert_eq!(failure.problem(), Problem::InvalidResponse, "{failure}");
}

#[tokio::test]
async fn manifests_over_budget_are_not_read() {
    let (source, to) = (LoopbackRegistry::start(), LoopbackRegistry::start());
    let config = source.put_blob(b"{}");
    let config = format!(r#"{{"mediaType":"a/c","digest":"{config}","size":2}}"#);
    let padding = format!(
        r#"{{"mediaType":"a/l","digest":"{}","size":1,"annotations":{{"a":"{}"}}}}"#,
        Digest::of(b"x"),
        "x".repeat(3 << 20)
    );
    let images: Vec<Manifest> = (0..6)
        .map(|number| source.image_of("a/b", &config, &padding.replacen("xx", &number.to_string(), 1), &[]))
        .collect();
    let children: Vec<(&Manifest, &str)> = images.iter().map(|image| (image, "linux/amd64")).collect();
    source.index("a/b", &children, &["1"]);
    let failure = copy_between(None, &source, &to).await.unwrap_err();
    let Failure::ImageLimitExceeded { .. } = *failure else { panic!("{failure}") };
    assert!(failure.to_string().contains("16 MiB"), "{failure}");
    assert_eq!(source.take_log().iter().filter(|line| line.starts_with("GET")).count(), 1, "the index only");

    let layers = vec![
        r#"{"mediaType":"a/l","digest":"#.to_owned()
            + &format!(r#""{}","size":1}}"#, Digest::of(b"x"));
        9000
    ];
    let images: Vec<Manifest> = (0..3)
        .map(|number| {
            source.image_of(
                "a/b",
                &config.replacen("a/c", &format!("a/c{number}"), 1),
                &layers.join(","),
                &[],
            )
        })
        .collect();
    let children: Vec<(&Manifest, &str)> = images.iter().map(|image| (image, "linux/amd64")).collect();
    source.index("a/b", &children, &["2"]);
    let failure = copy(&client(None), &format!("{}/a/b:2", source.host), &format!("{}/x/y:2", to.host))
        .await
        .unwrap_err();
    assert!(failure.to_string().contains("20000 layers"), "{failure}");
}
