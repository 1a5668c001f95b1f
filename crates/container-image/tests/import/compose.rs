//! Compose files.

use crate::check;
use crate::common::Sandbox;

#[tokio::test(flavor = "multi_thread")]
async fn compose_reads_services_with_defaults_and_anchors() {
    let sandbox = Sandbox::start().await;
    let file = "\
x-base: &base
  image: ${REGISTRY:-ghcr.io}/acme/app:${TAG-2.1}
  platform: linux/amd64
services:
  web:
    <<: *base
  worker:
    <<: *base
    platform: linux/arm64
  db: {image: 'postgres:17'}
  old: {image: 'postgres:16', volumes: [{type: image, source: ghcr.io/acme/data:1, target: /data}]}
";
    let list = "\
images:
  - docker.io/library/postgres:16
  - docker.io/library/postgres:17
  - source: ghcr.io/acme/app:2.1
    platform: [linux/amd64, linux/arm64]
  - ghcr.io/acme/data:1
";
    let notes = [
        "note: compose.yaml:2: services.web.image has variables. Their defaults are used: \"ghcr.io/acme/app:2.1\" \
         (also in 1 other place).",
    ];
    check(&sandbox, "compose.yaml", file, list, &notes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_notes_local_builds_and_other_files() {
    let sandbox = Sandbox::start().await;
    let file = "\
include: [other.yaml]
services:
  built: {build: ., image: 'acme/built:1'}
  local: {build: .}
  extended: {extends: {file: base.yaml, service: web}}
  same: {extends: {service: proxy}}
  proxy: {image: traefik, platform: arm64}
  worker: {image: 'docker.io/acme/built:1', volumes: [{type: image, source: 'acme/built:1', target: /x}]}
  next: {image: 'acme/built:2'}
";
    let built = "compose.yaml:3: services.built.image was omitted: \"acme/built:1\" is built locally. Add it if a \
                 registry has it";
    let image = built.replace(":3: services.built.image", ":8: services.worker.image");
    let image = image.replace("acme/built:1", "docker.io/acme/built:1");
    let volume = built.replace(":3: services.built.image", ":8: services.worker.volumes");
    let list = format!(
        "images:\n  # {built}\n  # {image}\n  # {volume}\n  - docker.io/acme/built:2\n  - docker.io/library/traefik:latest\n"
    );
    let notes = [
        "note: compose.yaml:1: include is not read. Import the included files, too.",
        &format!("note: {built}."),
        "note: compose.yaml:4: services.local.build is not copied: the image is built locally.",
        "note: compose.yaml:5: services.extended.extends is not read. Import the file, too.",
        "note: compose.yaml:7: services.proxy.platform is not a platform. All platforms are copied.",
        &format!("note: {volume}."),
        &format!("note: {image}."),
    ];
    check(&sandbox, "compose.yaml", file, &list, &notes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compose_without_a_default_is_a_comment() {
    let sandbox = Sandbox::start().await;
    let file = "services:\n  a:\n    image: app:$TAG\n  b:\n    image: redis:${TAG:?set TAG}\n  c:\n    image: nginx\n";
    let lines = [
        r#"compose.yaml:3: services.a.image was omitted: "app:$TAG" has the variable TAG without a default. Replace it, or import rendered files"#,
        r#"compose.yaml:5: services.b.image was omitted: "redis:${TAG:?set TAG}" has the variable TAG without a default. Replace it, or import rendered files"#,
    ];
    let [app, redis] = lines;
    let list = format!("images:\n  # {app}\n  - docker.io/library/nginx:latest\n  # {redis}\n");
    let notes = lines.map(|line| format!("note: {line}."));
    check(&sandbox, "compose.yaml", file, &list, &notes.each_ref().map(String::as_str)).await;
}
