//! Files of `skopeo sync`.

use crate::check;
use crate::common::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_keeps_tags_digests_and_names() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/redis:7", 7);
    let file = format!(
        "docker.io:
  images:
    redis: ['7.2', '{digest}', 'not a tag']
    grafana/grafana:
      - 11.0.0
quay.io:
  tls-verify: true
  images:
    coreos/etcd: [v3.5]
    team/grafana: [11.0.0]
"
    );
    let wrong = "skopeo.yaml:3: docker.io.images.redis was omitted: \"docker.io/library/redis\" has the invalid \
                 tag \"not a tag\". Correct it";
    let list = format!(
        "images:
  - source: docker.io/grafana/grafana:11.0.0
    repository: grafana
  # {wrong}
  - docker.io/library/redis:7.2
  - docker.io/library/redis@{digest}
  - source: quay.io/coreos/etcd:v3.5
    repository: etcd
  - quay.io/team/grafana:11.0.0
"
    );
    let notes = [
        &format!("note: {wrong}."),
        "note: skopeo.yaml is imported like skopeo sync without --scoped: copies are named after the last part of \
         the path.",
        "note: skopeo.yaml:10: quay.io/team/grafana:11.0.0 is copied to team/grafana:11.0.0, because \
         docker.io/grafana/grafana:11.0.0 has the same destination.",
    ];
    check(&sandbox, "skopeo.yaml", &file, &list, &notes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_rules_and_credentials_become_comments_and_notes() {
    let sandbox = Sandbox::start().await;
    let file = "\
registry.acme.example:
  images:
    all: []
  images-by-tag-regex:
    app: ^1\\.13\\.[12]-alpine$
    exact: ^latest$
  images-by-semver:
    tool: ['>= 3.12.0', 2.x]
  credentials:
    username: john
    password: planted
  tls-verify: false
  cert-dir: /home/john/certs
";
    let omitted = [
        r#"skopeo.yaml:3: registry.acme.example.images.all was omitted: "registry.acme.example/all" has no tags, which means all tags. List the tags"#,
        r#"skopeo.yaml:5: registry.acme.example.images-by-tag-regex.app was omitted: "registry.acme.example/app" has the regular expression "^1\.13\.[12]-alpine$". List the tags"#,
        r#"skopeo.yaml:8: registry.acme.example.images-by-semver.tool was omitted: "registry.acme.example/tool" has the semver range ">= 3.12.0". List the tags"#,
        r#"skopeo.yaml:8: registry.acme.example.images-by-semver.tool was omitted: "registry.acme.example/tool" has the semver range "2.x". List the tags"#,
    ];
    let [all, app, first, second] = omitted;
    let list = format!(
        "images:\n  # {all}\n  # {app}\n  - registry.acme.example/exact:latest\n  # {second}\n  # {first}\n"
    );
    let mut notes = vec![
        "note: skopeo.yaml:10: registry.acme.example.credentials has no equivalent. Log in to the registry.".into(),
        "note: skopeo.yaml:12: registry.acme.example.tls-verify has no equivalent. Set --certificate-authority, or \
         --plain-http for a registry without TLS."
            .into(),
        "note: skopeo.yaml:13: registry.acme.example.cert-dir has no equivalent. Set --certificate-authority.".into(),
    ];
    notes.extend(omitted.iter().map(|text| format!("note: {text}.")));
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    check(&sandbox, "skopeo.yaml", file, &list, &notes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_needs_hosts_of_registries() {
    let sandbox = Sandbox::start().await;
    let file = "\
---
mirror: {images: {app: ['1']}}
localhost:5000: {images: {Team/app: ['1'], ok: ['1']}}
";
    sandbox.write("skopeo.yaml", file);
    let output = sandbox.run("import skopeo.yaml").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(output.stdout.contains("\n  - localhost:5000/ok:1\n"), "{}", output.stdout);
    for problem in
        ["\"mirror/app\" has no host of a registry", "\"localhost:5000/Team/app\" is not a repository"]
    {
        assert!(output.stdout.contains(problem) && output.stderr.contains(problem), "{output:?}");
    }
}
