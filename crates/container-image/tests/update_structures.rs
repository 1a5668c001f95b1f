//! Tests of `list` and `update` with files in YAML and JSON, against local registries.

mod common;

use common::Sandbox;

const VALUES: &str = "\
image:
  registry: ghcr.io # The public one.
  repository: acme/app
  tag: 1.30
  digest: \"\"
sidecar:
  image: {repository: acme/sidecar, tag: v2}
unused:
  image: {repository: acme/unused, tag: \"\"}
";

const KUSTOMIZATION: &str = "\
images:
- name: web
  newName: ghcr.io/acme/app
  newTag: '1.30'
";

const TASK: &str = r#"{"family": "a", "containerDefinitions": [{"name": "a", "image": "acme/sidecar:v2"}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn pins_images_that_are_spelled_by_several_values() {
    let sandbox = Sandbox::start().await;
    let app = sandbox.publish("ghcr.io/acme/app:1.30", 1);
    let sidecar = sandbox.publish("docker.io/acme/sidecar:v2", 2);
    sandbox.write("chart/values.yaml", VALUES);
    sandbox.write("kustomization.yaml", KUSTOMIZATION);
    sandbox.write("task.json", TASK);

    let json = sandbox.run("list --json .").await;
    assert_eq!((json.code, json.stderr.as_str()), (Some(0), ""));
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let image = |at: usize| {
        let one = &document[at];
        format!("{}:{}:{} {} {}", one["path"], one["line"], one["column"], one["reference"], one["evidence"])
    };
    let expected = [
        r#""chart/values.yaml":2:13 "ghcr.io/acme/app:1.30" "field""#,
        r#""chart/values.yaml":7:23 "acme/sidecar:v2" "field""#,
        r#""kustomization.yaml":3:12 "ghcr.io/acme/app:1.30" "field""#,
        r#""task.json":1:66 "acme/sidecar:v2" "field""#,
    ];
    assert_eq!((0..4).map(image).collect::<Vec<_>>(), expected);

    let command = "update --all --matching-tag --resolve-digest .";
    let output = sandbox.run(command).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let values = VALUES
        .replace("digest: \"\"", &format!("digest: \"{app}\""))
        .replace("tag: v2", &format!("tag: v2@{sidecar}"));
    assert_eq!(sandbox.read("chart/values.yaml"), values);
    let kustomization = KUSTOMIZATION.replace("'1.30'", &format!("'1.30@{app}'"));
    assert_eq!(sandbox.read("kustomization.yaml"), kustomization);
    assert_eq!(sandbox.read("task.json"), TASK.replace(":v2", &format!(":v2@{sidecar}")));
    assert_eq!(sandbox.run(&format!("{command} --check")).await.code, Some(0));

    // Without `--resolve-digest`, the digests are removed.
    assert_eq!(sandbox.run("update --all --matching-tag .").await.code, Some(0));
    assert_eq!(sandbox.read("chart/values.yaml"), VALUES);
    assert_eq!(sandbox.read("kustomization.yaml"), KUSTOMIZATION);
    assert_eq!(sandbox.read("task.json"), TASK);

    // A number needs quotes.
    assert_eq!(sandbox.run("update --image-reference acme/sidecar:2.10 .").await.code, Some(0));
    let values = VALUES.replace("tag: v2", "tag: \"2.10\"");
    assert_eq!(sandbox.read("chart/values.yaml"), values);
}
