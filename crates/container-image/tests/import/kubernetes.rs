//! Kubernetes objects.

use crate::common::{RunOutput, Sandbox};
use crate::{check, check_output, import_stdin};

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_finds_all_containers_in_several_documents() {
    let sandbox = Sandbox::start().await;
    let file = "\
---
# Source: app/templates/deployment.yaml
apiVersion: apps/v1
kind: Deployment
metadata:
  annotations: {image: ignored:1}
spec:
  template:
    spec:
      initContainers:
        - &init {name: init, image: busybox}
      containers:
        - name: app
          image: ghcr.io/acme/app:2.1
        - {<<: *init, name: sidecar}
      volumes:
        - name: models
          image: {reference: quay.io/acme/models:3, pullPolicy: Always}
---
---
apiVersion: batch/v1
kind: CronJob
spec:
  jobTemplate: {spec: {template: {spec: {containers: [{name: job, image: 'ghcr.io/acme/app:2.2'}]}}}}
---
apiVersion: monitoring.coreos.com/v1
kind: Prometheus
spec:
  image: quay.io/prometheus/prometheus:v3.1.0
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec: {image: ignored:2}
";
    let list = "\
images:
  - docker.io/library/busybox:latest
  - ghcr.io/acme/app:2.1
  - ghcr.io/acme/app:2.2
  - quay.io/acme/models:3
  - quay.io/prometheus/prometheus:v3.1.0
";
    check(&sandbox, "manifests.yaml", file, list, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_keeps_the_digests_of_running_containers() {
    let sandbox = Sandbox::start().await;
    let old = sandbox.publish("docker.io/library/nginx:1.27", 11);
    let new = sandbox.publish("docker.io/library/nginx:1.27", 12);
    let pod = |id: &str| {
        serde_json::json!({
            "apiVersion": "v1", "kind": "Pod",
            "spec": {
                "initContainers": [{"name": "init", "image": "ghcr.io/acme/init:1"}],
                "containers": [{"name": "web", "image": "nginx:1.27"}, {"name": "new", "image": "redis:7"}],
            },
            "status": {
                "initContainerStatuses": [{"name": "init", "image": "x", "imageID": "sha256:0123"}],
                "containerStatuses": [
                    {"name": "web", "image": "docker.io/library/nginx:1.27", "imageID": id},
                ],
            },
        })
    };
    let pods =
        [pod(&format!("docker-pullable://nginx@{old}")), pod(&format!("docker.io/library/nginx@{new}"))];
    let all = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": pods});
    let mut digests = [&old, &new];
    digests.sort();
    let [first, second] = digests;
    let list = format!(
        "images:\n  - docker.io/library/nginx:1.27@{first}\n  - docker.io/library/nginx@{second}\n  \
         - docker.io/library/redis:7\n  - ghcr.io/acme/init:1\n"
    );
    let output = import_stdin(&sandbox, &["import", "-"], &format!("{all:#}")).await;
    let note = format!(
        ": docker.io/library/nginx:1.27@{second} is copied without its tag, because \
         docker.io/library/nginx:1.27@{first} has the same tag."
    );
    assert!(output.stderr.contains(&note), "{}", output.stderr);
    let output = RunOutput { stderr: String::new(), ..output };
    check_output(&sandbox, &output, &list, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_leaves_placeholders_out() {
    let sandbox = Sandbox::start().await;
    let file = "\
apiVersion: v1
kind: List
items:
  - kind: Pod
    spec:
      containers:
        - {name: a, image: 'app:${TAG}'}
        - {name: b, image: 'redis:${REDIS_TAG:-7.4}'}
        - {name: c, image: 'nginx:<TAG>'}
        - {name: d, image: ''}
        - {name: e, image: {repository: ghcr.io/acme/e, tag: 1.2}}
";
    let missing = r#"pod.yaml:7: image was omitted: "app:${TAG}" has the variable TAG without a default. Replace it, or import rendered files"#;
    let invalid = r#"pod.yaml:9: image was omitted: "nginx:<TAG>" is not a tag: expected 1 to 128 letters, digits, _, . or -, not starting with . or -"#;
    let list = format!(
        "images:\n  # {missing}\n  - docker.io/library/redis:7.4\n  - ghcr.io/acme/e:1.2\n  # {invalid}\n"
    );
    let default = r#"pod.yaml:8: image has variables. Their defaults are used: "redis:7.4""#;
    let notes = [missing, default, invalid].map(|text| format!("note: {text}."));
    check(&sandbox, "pod.yaml", file, &list, &notes.each_ref().map(String::as_str)).await;
}
