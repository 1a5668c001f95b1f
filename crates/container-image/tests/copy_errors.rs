//! Errors of `copy`.

mod common;

use aws_emulator::{Effect, Fault, Profile};
use common::Sandbox;

const HINT: &str = "The registry has lost a part of this image. Push the image again.";

/// The source has lost a blob or a child manifest.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_blob_or_child_manifest_has_its_own_hint() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/acme/app:1", 1);
    let copy = async |source: &str| {
        let output = sandbox.run(&format!("copy {source} --to open.example/acme/copy:1")).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        output.stderr
    };
    let fault = |operation, name: &str, word: &str| {
        let body = format!(r#"{{"errors": [{{"code": "{word}", "message": "unknown"}}]}}"#);
        let lost = Effect::Status { code: 404, headers: [].into(), body };
        sandbox.emulator.faults().add(Fault::on(operation, lost).path(name));
    };
    sandbox.emulator.add_upstream(Profile::without_auth("open.example"));
    let started = [("Location".into(), "/v2/acme/copy/blobs/uploads/1".into())].into();
    let accepted = Effect::Status { code: 202, headers: started, body: String::new() };
    sandbox.emulator.faults().add(Fault::on("upload.start", accepted));
    // The delay makes the source fail first.
    sandbox.emulator.faults().add(Fault::on("upload.put", Effect::Delay { ms: 5000 }));
    let err = copy("docker.io/acme/app:2").await;
    assert!(err.ends_with("Check the repository, the tag and the digest in SOURCE. (CI-001)\n"), "{err}");
    let storage = Effect::Status { code: 404, headers: [].into(), body: "<Error/>".into() };
    sandbox.emulator.faults().add(Fault::on("blob.content", storage));
    let err = copy("docker.io/acme/app:1").await;
    assert!(err.contains("is incomplete") && err.ends_with(&format!("{HINT} (CI-002)\n")), "{err}");
    // The storage host is not required to respond like a registry.
    assert!(err.contains("(blob sha256:") && !err.contains("look like a registry"), "{err}");
    fault("blob.get", "acme/app", "BLOB_UNKNOWN");
    let err = copy("docker.io/acme/app:1").await;
    assert!(err.contains("(blob sha256:") && err.ends_with(&format!("{HINT} (CI-002)\n")), "{err}");
    fault("manifest.get", "manifests/sha256:", "MANIFEST_UNKNOWN");
    let err = copy("docker.io/acme/app:1").await;
    assert!(err.ends_with(&format!("{HINT} (CI-002)\n")), "{err}");
    let err = copy(&format!("docker.io/acme/app@{digest}")).await;
    assert!(err.ends_with("Check the repository, the tag and the digest in SOURCE. (CI-001)\n"), "{err}");
}
