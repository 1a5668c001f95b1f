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
async fn skopeo_rules_become_rules_or_comments() {
    let sandbox = Sandbox::start().await;
    let file = "\
registry.acme.example:
  images:
    all: []
  images-by-tag-regex:
    app: ^1\\.13\\.[12]-alpine$
    exact: ^latest$
    team/part: -alpine$
  images-by-semver:
    tool: ['>= 3.12.0 || 1.36', 1 - 2]
  credentials:
    username: john
    password: planted
  tls-verify: false
  cert-dir: /home/john/certs
";
    let omitted = [
        r#"skopeo.yaml:5: registry.acme.example.images-by-tag-regex.app was omitted: "registry.acme.example/app" has the regular expression "^1\.13\.[12]-alpine$". Write patterns with *, or list the tags"#,
        r#"skopeo.yaml:9: registry.acme.example.images-by-semver.tool was omitted: "registry.acme.example/tool" has the range "1 - 2". Write ranges of semver"#,
    ];
    let [app, range] = omitted;
    let list = format!(
        "images:\n  - source: registry.acme.example/all\n    tags:\n      include: [\"*\"]\n  # {app}\n  \
         - registry.acme.example/exact:latest\n  - source: registry.acme.example/team/part\n    \
         repository: part\n    tags:\n      include: [\"*-alpine\"]\n  # {range}\n  \
         - source: registry.acme.example/tool\n    tags:\n      semver: [\">=3.12.0\", \"=1.36\"]\n"
    );
    let mut notes = vec![
        "note: skopeo.yaml:11: registry.acme.example.credentials has no equivalent. Log in to the registry."
            .into(),
        "note: skopeo.yaml:13: registry.acme.example.tls-verify has no equivalent. Set --ca-file, or \
         --plain-http for a registry without TLS."
            .into(),
        "note: skopeo.yaml:14: registry.acme.example.cert-dir has no equivalent. Set --ca-file.".into(),
    ];
    notes.extend(omitted.iter().map(|text| format!("note: {text}.")));
    notes.push(
        "note: skopeo.yaml is imported like skopeo sync without --scoped: copies are named after the last part of \
         the path."
            .into(),
    );
    let notes: Vec<&str> = notes.iter().map(String::as_str).collect();
    check(&sandbox, "skopeo.yaml", file, &list, &notes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_with_one_destination_get_two_and_a_list_keeps_its_settings() {
    let sandbox = Sandbox::start().await;
    let file = "\
defaults: {min_age: 48h}
images:
- {source: docker.io/acme/app, tags: {semver: ^3, suffix: '', newest: 2, exact: '1.36'}, prune: true}
- {source: quay.io/acme/app, tags: {exclude: 3*}}
- {source: 'quay.io/acme/app:1', shared: true}
";
    sandbox.write("old.yaml", file);
    let output = sandbox.run("import old.yaml").await;
    let list = "\
images:
  - source: docker.io/acme/app
    tags:
      exact: [\"1.36\"]
      semver: [\"^3\"]
      newest: 2
    min_age: 48h
    prune: true
  - source: quay.io/acme/app
    repository: quay-io/acme/app
    tags:
      exclude: [\"3*\"]
    min_age: 48h
  - source: quay.io/acme/app:1
    min_age: 48h
    shared: true
";
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), list), "{output:?}");
    assert_eq!(
        output.stderr,
        "note: old.yaml:4: quay.io/acme/app is copied to quay-io/acme/app, because docker.io/acme/app has the same \
         destination.\n"
    );
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
