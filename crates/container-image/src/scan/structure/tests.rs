use super::super::scan;
use super::*;
use crate::scan::Evidence;

/// Returns the images of a file. The evidence follows, unless it is a field.
fn found(name: &str, text: &str) -> Vec<String> {
    let scan = scan(Path::new(name), text.as_bytes());
    assert_eq!((scan.notes, scan.errors), (vec![], vec![]), "{text}");
    for one in &scan.images {
        if let Some(range) = one.whole() {
            assert_eq!(text[range], one.image.to_string(), "{text}");
        }
    }
    let describe = |one: ImageMatch| match one.evidence {
        Evidence::Field => one.image.to_string(),
        other => format!("{} {}", one.image, other.name()),
    };
    scan.images.into_iter().map(describe).collect()
}

#[track_caller]
fn check(name: &str, text: &str, expected: &[&str]) {
    assert_eq!(found(name, text), expected, "{name}\n{text}");
}

#[test]
fn reads_compose() {
    let text = "\
x-app: &app
  image: acme/app
x-image: &image redis:7
services:
  web: {<<: *app, ports: ['8080:80']}
  db:
    image: postgres
    labels: {acme.example/image: 'a:1', owner: 'a/b:c'}
  cache: {image: *image}
  own:
    build: {context: ., tags: ['ghcr.io/acme/own:1'], args: {BASE_IMAGE: 'node:20', TAG: 'a:1'}}
    image: acme/own:1
  same: {image: 'acme/own:1'}
  tagged: {image: 'ghcr.io/acme/own:1'}
  pulled: {image: acme/pulled:1, build: null}
  default: {image: '${IMAGE:-nginx:1}'}
  other: {image: \"${IMAGE-nginx:2}\"}
  variable: {image: 'nginx:${TAG:-1}'}
";
    let expected = ["acme/app", "redis:7", "postgres", "node:20", "acme/pulled:1", "nginx:1", "nginx:2"];
    check("compose.yaml", text, &expected);
    check("stack.yml", text, &expected);
    check("app.json", r#"{"services": {"a": {"image": "nginx"}}}"#, &["nginx"]);
    check("a.yml", "services: {a: {ports: ['80:80']}}\nimage: nginx\n", &[]);
}

#[test]
fn reads_kubernetes() {
    let text = "\
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata:
    labels: {acme.example/image: 'a:1'}
    annotations:
      acme.example/image: a:2
      kubectl.kubernetes.io/last-applied-configuration: '{\"image\": \"ghcr.io/acme/a:3\"}'
  spec:
    imagePullSecrets: [{name: a}]
    containers: [{image: nginx, imagePullPolicy: Always, args: [--image=redis:7]}]
    volumes: [{image: {reference: acme/data:1, pullPolicy: Always}}]
  status: {containerStatuses: [{image: 'ghcr.io/acme/a:4', imageID: 'ghcr.io/acme/a@sha256:0'}]}
---
apiVersion: acme.example/v1
kind: Agent
spec: {image: agent, initImage: 'init:1', sideImage: 'other', version: 'a:1'}
---
# Replaces ghcr.io/acme/comment:1
apiVersion: kops.k8s.io/v1alpha2
kind: InstanceGroup
spec: {image: 099720109477/ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server-20210720}
";
    let expected = ["nginx", "redis:7", "acme/data:1", "agent", "init:1", "ghcr.io/acme/comment:1 registry"];
    check("a.yaml", text, &expected);
}

#[test]
fn reads_github_actions() {
    let text = "\
env: {IMAGE: 'ghcr.io/${{ github.repository }}:1', BASE_IMAGE: 'debian:12'}
jobs:
  a:
    container: node
    services: {db: {image: postgres}, cache: {image: 'redis:7'}}
    steps:
      - uses: actions/checkout@v4
      - uses: acme/tools@1f3a9c0be2d7b07e44d1c95a0123456789abcdef
      - uses: docker://alpine
      - uses: docker/build-push-action@v6
        with: {tags: 'ghcr.io/acme/a:1', cache-from: 'type=registry,ref=ghcr.io/acme/a:cache'}
  b: {container: {image: 'node:22', options: '--user 1:1'}, strategy: {matrix: {image: ['a:1', \"b:2\"]}}}
  c: {container: '${{ matrix.image }}'}
";
    let expected = ["debian:12", "node", "postgres", "redis:7", "alpine", "node:22", "a:1", "b:2"];
    check(".github/workflows/ci.yml", text, &expected);
    check("a.yml", &format!("on: push\n{text}"), &expected);
    let action = |image: &str| format!("runs: {{using: docker, image: {image}}}\n");
    check("action.yml", &action("docker://debian"), &["debian"]);
    check("action.yaml", &action("Dockerfile"), &[]);
    check("action.yaml", &action("build/image"), &[]);
    check("action.yaml", &action("'ghcr.io/acme/lint:1'"), &["ghcr.io/acme/lint:1 registry"]);
}

#[test]
fn reads_other_pipelines() {
    let gitlab = "\
image: ruby
services: [postgres, {name: redis, alias: cache}]
variables: {IMAGE: 'a:1', APP: '$CI_REGISTRY_IMAGE:1'}
test: {image: {name: alpine, entrypoint: ['']}, services: ['docker:dind'], script: [make]}
own: {image: '$CI_REGISTRY_IMAGE/a:1', script: [!reference [.a, script]]}
";
    let expected = ["ruby", "postgres", "redis", "a:1", "alpine", "docker:dind"];
    for name in [".gitlab-ci.yml", "ci/deploy.gitlab-ci.yml", "templates/build.yml"] {
        check(name, gitlab, &expected);
    }
    let circle = "\
executors:
  a: {docker: [{image: cimg/go}, {image: 'redis:7'}]}
  b: {machine: {image: 'ubuntu-2204:2024.05.1'}}
";
    check(".circleci/config.yml", circle, &["cimg/go", "redis:7"]);
    let azure = "\
pool: {vmImage: 'ubuntu:1'}
resources: {containers: [{container: 'build', image: acme/build}]}
jobs: [{container: build}, {container: 'node:22'}, {container: {image: alpine}}]
";
    check("azure-pipelines.yml", azure, &["acme/build", "node:22", "alpine"]);
    check("ci/a.yml", azure, &["acme/build", "node:22", "alpine"]);
    let bitbucket = "\
image: node
pipelines: {default: [{step: {image: {name: alpine}, script: [{pipe: 'docker://acme/pipe:1'}, {pipe: 'atlassian/a:1'}]}}]}
";
    check("bitbucket-pipelines.yml", bitbucket, &["node", "alpine", "acme/pipe:1"]);
    let drone = "{kind: pipeline, steps: [{image: golang, settings: {repo: a/b, tags: ['1']}}]}";
    check(".drone.yml", drone, &["golang"]);
    check("a.yml", drone, &["golang"]);
    check(".woodpecker/a.yml", "steps: {build: {image: golang}}", &["golang"]);
    let cloud_build = "\
steps:
- {name: gcr.io/cloud-builders/docker, args: [build, -t, 'gcr.io/acme/a:1', .]}
- {name: node, args: [--image, 'x']}
images: ['gcr.io/acme/a:1']
";
    check("cloudbuild.yaml", cloud_build, &["gcr.io/cloud-builders/docker", "node"]);
    let buildspec = "\
version: 0.2
batch: {build-list: [{env: {image: 'aws/codebuild/standard:7.0'}}, {env: {image: 'public.ecr.aws/acme/a:1'}}]}
";
    check("buildspec.yml", buildspec, &["public.ecr.aws/acme/a:1"]);
    let skaffold = "\
apiVersion: skaffold/v4beta6
kind: Config
build: {artifacts: [{image: acme/a, kaniko: {image: 'gcr.io/kaniko-project/executor:v1'}}]}
verify: [{container: {image: alpine}}]
";
    check("skaffold.yaml", skaffold, &["gcr.io/kaniko-project/executor:v1", "alpine"]);
    let bake = r#"{"target": {"a": {"tags": ["ghcr.io/acme/a:1"], "contexts": {"base": "docker-image://alpine:3"}}}}"#;
    check("docker-bake.json", bake, &["alpine:3"]);
}

#[test]
fn reads_values_of_charts() {
    let text = "\
image: {registry: docker.io, repository: acme/a, tag: '1', digest: ''}
b: {sideImage: {repository: acme/b, version: v2}}
c: {image: {registry: registry.acme.example/, image: c, tag: 1.30}}
d: {image: {repository: acme/d, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000'}}
e: {image: acme/e, tag: '5'}
f: {repository: acme/f, tag: 6, pullPolicy: Always}
g: {image: 'acme/g:7'}
h: {image: {name: acme/h, tag: 8}}
images: {app: {repository: redis, tag: '7.4'}, list: [{repository: acme/i, tag: 9}]}
j: {imageName: acme/j, imageTag: 10}
k: {repository: ghcr.io/acme/k, tag: 11}
l: {repository: registry.acme.example/l, tag: 12}
";
    let expected = [
        "docker.io/acme/a:1",
        "acme/b:v2",
        "registry.acme.example/c:1.30",
        "acme/d@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "acme/e:5",
        "acme/f:6",
        "acme/g:7",
        "acme/h:8",
        "redis:7.4",
        "acme/i:9",
        "acme/j:10",
        "ghcr.io/acme/k:11 registry",
        "registry.acme.example/l:12 guess",
    ];
    check("values.yaml", text, &expected);
    let resource = format!(
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec:\n  values:\n    {}",
        text.replace('\n', "\n    ")
    );
    check("release.yaml", &resource, &expected);
    for other in [
        "image: {repository: acme/a, tag: ''}",
        "image: {repository: acme/a, tag: }",
        "image: {repository: acme/a}",
        "image: acme/a",
        "image: acme/a\ntag: ''",
        "image: {repository: 'acme/a@sha256', tag: 00}",
        "image: {repository: 'acme/a:1', tag: 1}",
        "image: {repository: '{{ a }}', tag: 1}",
        "dependencies: [{name: a, repository: 'https://charts.acme.example', version: 1.0.0}]",
        "source: {repository: acme/a, tag: 1}",
        "source: {repository: github.com/acme/a, tag: ''}",
        "source: {repository: 'https://ghcr.io/acme/a', tag: 1}",
        "chart: {repository: 'oci://ghcr.io/acme/a', tag: 1}",
        "images: {app: {repository: redis}}",
        "imageName: acme/a",
        // Other mappings share the tag.
        "a: {image: {repository: acme/a, tag: &tag 1}}\nb: {image: {repository: acme/b, tag: *tag}}",
        "a: {image: {repository: acme/a, tag: \"\\x31\"}}",
        "image:\n  repository: acme/a\n  tag: |-\n    v1\n",
        "image:\n  repository: acme/a\n  tag: |-\n    v1",
        "image:\n  repository: acme/a\n  tag: |\n    v1\n",
        "image:\n  repository: acme/a\n  tag: > # b\n    v1\n\nc: d\n",
    ] {
        check("values.yaml", other, &[]);
    }
    let merged = "base: &base {repository: acme/a, tag: 1}\nimage: {<<: *base, tag: 2}\n";
    check("values.yaml", merged, &["acme/a:2"]);
}

#[test]
fn reads_variables() {
    let pod = "\
apiVersion: v1
kind: Pod
spec:
  containers:
  - env:
    - {name: SIDECAR_IMAGE, value: 'busybox:1.36'}
    - name: REDIS_ADDR
      value: redis:6379
    - {name: IMAGE, value: nginx}
    - {name: OTHER_IMAGE, valueFrom: {configMapKeyRef: {name: 'a', key: 'b:1'}}}
";
    check("pod.yaml", pod, &["busybox:1.36"]);
    let patch = "containers: [{env: [{name: SIDECAR_IMAGE, value: 'busybox:1.36'}]}]";
    check("patch.yaml", patch, &["busybox:1.36"]);
    let task = r#"{"containerDefinitions": [{"image": "nginx", "environment": [
        {"name": "BASE_IMAGE", "value": "redis:7"}, {"name": "ADDRESS", "value": "redis:6379"}]}]}"#;
    check("task.json", task, &["nginx", "redis:7"]);
    check(
        "compose.yaml",
        "services: {a: {image: b, environment: ['IMAGE=redis:7', 'C=redis:8']}}",
        &["b", "redis:7"],
    );
    let run = "apiVersion: tekton.dev/v1\nkind: TaskRun\nspec: {params: [{name: IMAGE, value: 'acme/a:1'}]}";
    check("run.yaml", run, &[]);
}

#[test]
fn reads_kustomize() {
    let text = "\
images:
- {name: web, newName: ghcr.io/acme/web, newTag: v1}
- name: nginx
  newTag: '1.27'
- {name: redis, newName: acme/redis}
- {name: db, digest: 'sha256:0000000000000000000000000000000000000000000000000000000000000000'}
- {name: APP, newName: acme/app, newTag: 1@sha256:0000000000000000000000000000000000000000000000000000000000000000}
";
    let expected = [
        "ghcr.io/acme/web:v1",
        "nginx:1.27",
        "db@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        "acme/app:1@sha256:0000000000000000000000000000000000000000000000000000000000000000",
    ];
    check("kustomization.yaml", text, &expected);
    check(
        "a.yaml",
        &format!(
            "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nspec:\n  {}",
            text.replace('\n', "\n  ")
        ),
        &expected,
    );
}

#[test]
fn reads_other_documents() {
    check(
        ".devcontainer/devcontainer.json",
        "// ghcr.io/acme/a:1\n{\"image\": \"node\", /* b */ \"features\": {\"ghcr.io/acme/feature:1\": {}},}",
        &["ghcr.io/acme/a:1 registry", "node"],
    );
    check("a.json", r#"{"containerDefinitions": [{"image": "nginx", "name": "a"}]}"#, &["nginx"]);
    check(
        "a.json",
        r#"[{"image": "nginx"}, {"Image": "nginx:1"}, {"imageUri": "a/b:2"}]"#,
        &["nginx:1", "a/b:2"],
    );
    let playbook = "\
- tasks:
  - community.docker.docker_container: {name: a, image: redis}
  - docker_image: {name: acme/b, tag: 1, source: build, build: {path: .}}
  - docker_image: {name: acme/c, tag: '2', source: pull}
  - docker_image: {name: acme/d, source: pull}
  - docker_image: {name: acme/e, source: local}
  - docker_container: {image: '{{ image }}:1'}
";
    check("playbook.yml", playbook, &["redis", "acme/c:2", "acme/d"]);
    for other in [
        "extra: {image: assets/cover.png, coverImage: a, emoji: !!python/name:material.extensions.emoji}",
        "image: 16:9",
        "image: https://acme.example/logo:1",
        "image: 'data:image/png;base64,iVBORw0KGgo='",
        "properties: {image: {type: string, description: 'such as ghcr.io/acme/a:1'}}",
        "ghcr.io/acme/key:1: a\n? ghcr.io/acme/key:2\n: b",
        "a: !<tag:yaml.org,2002:str> b\nc: &a/b:1 d",
    ] {
        check("a.yaml", other, &[]);
    }
}

#[test]
fn reads_scripts_and_skips_what_they_write() {
    let text = "\
test:
  image: docker:27
  script:
    - docker build -t registry.gitlab.com/acme/api:1 .
    - docker run registry.gitlab.com/acme/api:1
    - |
      docker run --rm \\
        -v $PWD:/src alpine:3 sh
      docker push registry.gitlab.com/acme/api:1
own: {image: registry.gitlab.com/acme/api:1, script: [\"docker pull ghcr.io/acme/tool:1\\n\"]}
";
    check(".gitlab-ci.yml", text, &["docker:27", "alpine:3", "ghcr.io/acme/tool:1"]);
    let args = "\
steps:
- {name: docker, args: [build, -t, 'ghcr.io/acme/a:1', --tag, 'ghcr.io/acme/b:1', .]}
- {name: kaniko, args: [--destination=ghcr.io/acme/c:1, --destination, 'ghcr.io/acme/d:1']}
- {name: docker, args: [run, -t, 'ghcr.io/acme/e:1']}
";
    check("cloudbuild.yaml", args, &["docker", "kaniko", "docker", "ghcr.io/acme/e:1 registry"]);
}

#[test]
fn reads_a_value_behind_aliases_once() {
    let text = "a: &a {image: 'a:1'}\nb: [*a, *a]\nc: &c 'c:1'\nimage: *c\nd: {image: *c}\n";
    check("a.yaml", text, &["a:1", "c:1"]);
    let mut bomb = String::from("l0: &l0 [{image: 'a:1'}]\n");
    for level in 1..=60 {
        let below = level - 1;
        bomb.push_str(&format!("l{level}: &l{level} [*l{below}, *l{below}]\n"));
    }
    check("a.yaml", &bomb, &["a:1"]);
}

#[test]
fn reads_aliases_of_a_long_text_in_linear_time() {
    let long = "a".repeat(1 << 20);
    for list in ["image: [VALUE]", "b: [VALUE]", "services: {a: {build: {tags: [VALUE]}}}"] {
        let list = list.replace("VALUE", &"*a,".repeat(50_000));
        assert!(found("compose.yaml", &format!("a: &a {long}\n{list}\nx: {{image: 'a:1'}}\n")) == ["a:1"]);
    }
    for item in ["{repository: *a, tag: 1, pullPolicy: b},", "{*a : {image: b, tag: ''}},"] {
        let list = item.repeat(20_000);
        assert!(found("a.yaml", &format!("a: &a {long}\nb: [{list}]\nx: {{image: 'a:1'}}\n")) == ["a:1"]);
    }
}

#[test]
fn text_that_is_not_yaml_is_plain_text() {
    let chart = "spec:\n  {{- if .Values.a }}\n  image: \"{{ .Values.image }}\"\n  args: [ghcr.io/acme/a:1]\n  {{- end }}\n";
    check("templates/a.yaml", chart, &["ghcr.io/acme/a:1 registry"]);
    check("a.json", "{\"a\": \"ghcr.io/acme/a:1\",,}", &["ghcr.io/acme/a:1 registry"]);
}
