//! Files of regsync.

use crate::check;
use crate::common::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn regsync_keeps_complete_destinations_and_shared_tags() {
    let sandbox = Sandbox::start().await;
    let file = "\
version: 1
x-tags: &tags {allow: ['1.0', 'v2\\.1', ^3$], deny: ['1.0']}
x-item: &item
  type: repository
  tags: *tags
creds:
  - registry: docker.io
    user: me
    pass: planted
defaults:
  interval: 1h
  parallel: 4
  digestTags: false
sync:
  - source: redis:7.4
    target: registry.example/cache/redis:7.4
    type: image
  - <<: *item
    source: ghcr.io/acme/app
    target: registry.example/team/app
    platforms: [linux/amd64, linux/arm64]
    interval: 5m
  - source: redis:7.4
    target: registry.example/other/redis:7.4
    type: image
    platform: linux/arm64
    interval: 6m
";
    let list = "\
images:
  - source: docker.io/library/redis:7.4
    repository: registry.example/cache/redis
  - source: docker.io/library/redis:7.4
    repository: registry.example/other/redis
    platform: linux/arm64
  - source: ghcr.io/acme/app:3
    repository: registry.example/team/app
    platform: [linux/amd64, linux/arm64]
  - source: ghcr.io/acme/app:v2.1
    repository: registry.example/team/app
    platform: [linux/amd64, linux/arm64]
";
    let notes = [
        "note: regsync.yaml:8: creds[0].user has no equivalent. Log in to the registry.",
        "note: regsync.yaml:9: creds[0].pass has no equivalent. Log in to the registry.",
        "note: regsync.yaml:11: defaults.interval has no equivalent. Run sync on a schedule (also in 2 other places).",
        "note: regsync.yaml:12: defaults.parallel has no equivalent. Set --jobs.",
    ];
    check(&sandbox, "regsync.yaml", file, list, &notes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn regsync_rules_become_rules_of_the_list() {
    let sandbox = Sandbox::start().await;
    let file = "\
version: 1
sync:
  - source: busybox
    target: registry.example/busybox
    type: repository
    platform: linux/arm64
    tags:
      allow: ['1\\..*', '3.13']
      deny: ['.*rc.*']
      semverRange: ['>=1.36 <2', '^3']
  - source: quay.io/acme/tool
    target: registry.example/tool
    type: repository
    tagSets: [{allow: ['1.36', latest], deny: ['l[a]test']}, {deny: [latest]}]
  - {source: alpine, target: registry.example/alpine, type: repository}
";
    let list = "\
images:
  - source: docker.io/library/alpine
    repository: registry.example/alpine
    tags:
      include: [\"*\"]
  - source: docker.io/library/busybox
    repository: registry.example/busybox
    platform: linux/arm64
    tags:
      semver: [\">=1.36.0, <2.0.0\", \"^3.0.0\"]
      include: [\"1.*\", \"3.13\"]
      exclude: [\"*rc*\"]
  - source: quay.io/acme/tool
    repository: registry.example/tool
    tags:
      include: [\"*\"]
      exclude: [latest]
  - source: quay.io/acme/tool:1.36
    repository: registry.example/tool
";
    let note = "note: regsync.yaml:10: sync[0].tags.semverRange becomes semver, which leaves out pre-releases, and \
                text after a version (also in 1 other place).";
    check(&sandbox, "regsync.yaml", file, list, &[note]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn regsync_rules_without_an_equivalent_become_comments() {
    let sandbox = Sandbox::start().await;
    let file = "\
version: 1
sync:
  - source: busybox
    target: registry.example/busybox
    type: repository
    tags:
      allow: ['1\\.[3]+', '1.36', '3\\..*']
      deny: ['.*rc\\d']
  - {source: redis, target: registry.example/redis, type: repository, tags: {semverRange: ['1.x']}}
  - {source: quay.io, target: registry.example, type: registry}
  - {source: 'nginx:{{ .Tag }}', target: registry.example/nginx, type: image}
";
    let regexp = r#"regsync.yaml:7: sync[0].tags.allow was omitted: "docker.io/library/busybox" has the regular expression "1\.[3]+". Write patterns with *, or list the tags"#;
    let deny = r#"regsync.yaml:8: sync[0].tags.deny was omitted: "docker.io/library/busybox" denies tags by the regular expression ".*rc\d". Check the tags"#;
    let range = r#"regsync.yaml:9: sync[1].tags.semverRange was omitted: "docker.io/library/redis" has the range "1.x". Write ranges of semver"#;
    let registry = r#"regsync.yaml:10: sync[2] was omitted: "quay.io" is not of type image or repository. List each image of the registry"#;
    let template = r#"regsync.yaml:11: sync[3].source was omitted: "nginx:{{ .Tag }}" contains a template. Render it first, for example with helm template"#;
    let list = format!(
        "images:\n  # {regexp}\n  # {deny}\n  - source: docker.io/library/busybox\n    \
         repository: registry.example/busybox\n    tags:\n      include: [\"1.36\", \"3.*\"]\n  \
         # {registry}\n  # {range}\n  # {template}\n"
    );
    let notes = [regexp, deny, range, registry, template].map(|text| format!("note: {text}."));
    check(&sandbox, "regsync.yaml", file, &list, &notes.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn regsync_tags_that_change_become_comments() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/nginx:1", 5);
    let file = format!(
        "sync:
  - {{source: alpine:latest, target: registry.example/alpine:edge, type: image}}
  - {{source: 'nginx@{digest}', target: registry.example/nginx:stable, type: image}}
"
    );
    let note = "regsync.yaml:2: the image was omitted: \"docker.io/library/alpine:latest\" is copied to tag edge, \
                which only plain lines with --alias can express";
    let list = format!(
        "images:\n  # {note}\n  - source: docker.io/library/nginx:stable@{digest}\n    \
         repository: registry.example/nginx\n"
    );
    check(&sandbox, "regsync.yaml", &file, &list, &[&format!("note: {note}.")]).await;
}
