//! Tables of lists, entries and errors.

mod customize;

use super::*;
use crate::oci::Tag;

/// Formats an entry: `LINE SOURCE -> TARGET:TAG [PLATFORMS] (CREDENTIALS)`.
fn formatted(entry: &Entry) -> String {
    let target = match &entry.target {
        Target::Below(path) => path.clone(),
        Target::Repository(name) => format!("={name}"),
    };
    let tag = entry.tag.as_ref().map_or("-", Tag::as_str);
    let platforms = entry.platforms.as_ref().map(|all| format!(" [{all}]")).unwrap_or_default();
    let credentials = entry.credentials.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{} {} -> {target}:{tag}{platforms}{credentials}", entry.line, entry.source)
}

#[track_caller]
fn check(list: &str, expected: &[&str]) {
    let entries = parse("list", list.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}"));
    let found: Vec<String> = entries.iter().map(formatted).collect();
    assert_eq!(found, expected, "{list}");
}

#[track_caller]
fn check_errors(list: impl AsRef<[u8]>, expected: &[&str]) {
    let errors = parse("list", list.as_ref()).unwrap_err();
    let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(list.as_ref()));
}

/// `rke2-images.linux-amd64.txt`, and the list that a mirror script passes to `docker pull`.
const PLAIN: &str = "\
docker.io/rancher/hardened-etcd:v3.5.21-k3s1-build20250612\r
docker.io/rancher/mirrored-pause:3.6\r
\r
# databases
  mysql:8.4.3   # comment
#redis:7.4.1
--platform=linux/arm64 xhofe/alist
--platform linux/x86_64 --alias=tools/alpine:edge alpine:latest
quay.io/prometheus/prometheus:v3.1.0 --alias=prometheus
nginx@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
--platform=linux/amd64,linux/arm64 --alias=registry.example/a/b ghcr.io/acme/app:1";

#[test]
fn reads_plain_lines() {
    check(
        PLAIN,
        &[
            "1 docker.io/rancher/hardened-etcd:v3.5.21-k3s1-build20250612 -> rancher/hardened-etcd:v3.5.21-k3s1-build20250612",
            "2 docker.io/rancher/mirrored-pause:3.6 -> rancher/mirrored-pause:3.6",
            "5 docker.io/library/mysql:8.4.3 -> mysql:8.4.3",
            "7 docker.io/xhofe/alist:latest -> xhofe/alist:latest [linux/arm64]",
            "8 docker.io/library/alpine:latest -> tools/alpine:edge [linux/x86_64]",
            "9 quay.io/prometheus/prometheus:v3.1.0 -> prometheus:v3.1.0",
            "10 docker.io/library/nginx@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa -> nginx:-",
            "11 ghcr.io/acme/app:1 -> =registry.example/a/b:1 [[linux/amd64,linux/arm64]]",
        ],
    );
    check(
        "\u{feff}public.ecr.aws/docker/library/nginx:1",
        &["1 public.ecr.aws/docker/library/nginx:1 -> docker/library/nginx:1"],
    );
    check("localhost:5000/app", &["1 localhost:5000/app:latest -> app:latest"]);
    check("# only a comment\n\n", &[]);
    check("", &[]);
}

#[test]
fn plain_lines_report_each_error_with_its_line() {
    check_errors(
        "nginx\n\nNginx:1\nnginx redis\n--arch=x nginx\n--platform=linux nginx\n--platform= nginx\n\
         --platform\n--alias=a --alias=b nginx\n--alias=A nginx\n--alias=a:.b nginx\n--platform=linux/amd64\n",
        &[
            "list:3: \"Nginx\" is not a repository name: expected lower-case letters and digits, separated by ., _, - or /. Correct the reference.",
            "list:4: \"redis\" follows the reference. Write one image on each line, and its new name in --alias.",
            "list:5: \"--arch\" is not an option. Use --platform or --alias.",
            "list:6: --platform: \"linux\" is not a platform: expected os/architecture or os/architecture/variant, such as linux/arm64 or linux/arm/v7. Correct the platform.",
            "list:7: --platform has no value. Write --platform=VALUE.",
            "list:8: --platform has no value. Write --platform=VALUE.",
            "list:9: --alias occurs twice. Keep one.",
            "list:10: --alias: \"A\" is not a repository name: expected lower-case letters and digits, separated by ., _, - or /. Correct the name.",
            "list:11: --alias: \".b\" is not a tag: expected 1 to 128 letters, digits, _, . or -, not starting with . or -. Correct the name.",
            "list:12: the line has no image. Add a reference.",
        ],
    );
}

const IMAGES: &str = r#"# Base images of the team.
unused: 1
x-anchors: {}
defaults:
  platform: [linux/amd64, linux/arm64]
  credentials: &secret arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub
images:
  - nginx:1.27
  - source: ghcr.io/acme/app
    tags: [3.10, "2.2"]
    repository: team/app
    platform: all
  - {source: "docker.io/library/python:3.13", repository: registry.example/base/python, platform: linux/arm64}
  - source: quay.io/acme/tool
    tags: v1
    credentials: *secret
"#;

#[test]
fn reads_the_yaml_of_this_project() {
    let list = IMAGES.replace("unused: 1\n", "");
    let several = "[[linux/amd64,linux/arm64]]";
    let secret = "(arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub)";
    check(
        &list,
        &[
            &format!("7 docker.io/library/nginx:1.27 -> nginx:1.27 {several} {secret}"),
            &format!("9 ghcr.io/acme/app:3.10 -> team/app:3.10 [all] {secret}"),
            &format!("9 ghcr.io/acme/app:2.2 -> team/app:2.2 [all] {secret}"),
            &format!(
                "12 docker.io/library/python:3.13 -> =registry.example/base/python:3.13 [linux/arm64] {secret}"
            ),
            &format!("14 quay.io/acme/tool:v1 -> acme/tool:v1 {several} {secret}"),
        ],
    );
    check(r#"{"images": ["redis"]}"#, &["1 docker.io/library/redis:latest -> redis:latest"]);
    check("---\nimages: []\n", &[]);
    check("defaults:\nimages:\n- redis\n", &["3 docker.io/library/redis:latest -> redis:latest"]);
}

#[test]
fn yaml_reports_each_error_with_its_line_and_key() {
    check_errors(IMAGES, &["list:2: unused is not a key of a list. Use one of defaults, images."]);
    check_errors(
        "images:\n- source: a\n  customise: ENV A=1\n- tags: [1]\n- source: a:1\n  tags: [2]\n- source: a\n  \
         tags: {range: ^1, newest: 1}\n- source: a\n  size: x\n- source: a\n  platform: linux\n- source: a\n  \
         repository: A\n- source: a\n  source: b\n- B\n- [c]\n- source: [a]\n- source: a\n  tags: [.x]\n",
        &[
            "list:3: images[0].customise is not a key of a list. Use one of source, repository, tags, platform, customize, credentials, min_age, prune, shared.",
            "list:4: images[1].source is missing. Add it.",
            "list:6: images[2].tags conflicts with the tag in source. Remove one of them.",
            "list:8: images[3].tags.range is not a tag rule. Use one of exact, semver, include, exclude, suffix, newest.",
            "list:10: images[4].size is not a key of a list. Use one of source, repository, tags, platform, customize, credentials, min_age, prune, shared.",
            "list:12: images[5].platform: \"linux\" is not a platform: expected os/architecture or os/architecture/variant, such as linux/arm64 or linux/arm/v7. Correct it.",
            "list:14: images[6].repository: \"A\" is not a repository name: expected lower-case letters and digits, separated by ., _, - or /. Correct it.",
            "list:16: images[7].source occurs twice. Keep one.",
            "list:17: images[8]: \"B\" is not a repository name: expected lower-case letters and digits, separated by ., _, - or /. Correct it.",
            "list:18: images[9] is not a mapping. Write keys with a colon.",
            "list:19: images[10].source is not a short text. Write one value.",
            "list:21: images[11].tags: \".x\" is not a tag: expected 1 to 128 letters, digits, _, . or -, not starting with . or -. Correct it.",
        ],
    );
    check_errors("images: nginx\n", &["list:1: images is not a list. Start each item with a dash."]);
    check_errors("images:\n", &["list:1: images has no items. Add a reference, such as - nginx:1.27."]);
    check_errors("image: [nginx]\n", &["list:1: image is not a key of a list. Rename it to images."]);
    check_errors("- nginx\n", &["list:1: the list has no key. Write images: above the references."]);
    check_errors(
        "docker.io:\n  images:\n    nginx: []\n",
        &[
            "list:1: the list has no images. Add the key images, or convert the file of another tool with container-image import.",
        ],
    );
    check_errors(
        "images: [a]\nsync: [b]\n",
        &["list:2: images and sync are different formats. Keep one of these keys."],
    );
    check_errors(
        "images: [a]\n---\nimages: [b]\n",
        &[
            "list:3: the file has several YAML documents. Keep one, or convert manifests with container-image import.",
        ],
    );
    let errors = parse("list", b"images:\n  - a: [\n").unwrap_err();
    assert!(errors[0].to_string().starts_with("list:2: the YAML is invalid: "), "{errors:?}");
}

/// In the style of public regsync files: generated ones of Rancher, and one that shares tags by an anchor.
const REGSYNC: &str = r#"---
x-tags: &tags
  allow:
    - latest
    - "v1\\.2\\.3"
    - ^3.9$
version: 1
creds:
  - registry: docker.io
defaults:
  interval: 24h
  parallel: 8
  ratelimit: {min: 100, retry: 5m}
  digestTags: false
sync:
  - source: amazon/aws-cli:2.0.52
    target: docker.io/rancher/mirrored-amazon-aws-cli:2.0.52
    type: image
  - source: ghcr.io/acme/agent
    target: registry.example:5000/acme/agent
    type: repository
    tags: *tags
    platforms: [linux/amd64, linux/arm64]
    schedule: "15 3 * * *"
"#;

#[test]
fn reads_the_sync_section_of_regsync() {
    let agent = "registry.example:5000/acme/agent";
    let platforms = "[[linux/amd64,linux/arm64]]";
    check(
        REGSYNC,
        &[
            "16 docker.io/amazon/aws-cli:2.0.52 -> =docker.io/rancher/mirrored-amazon-aws-cli:2.0.52",
            &format!("4 ghcr.io/acme/agent:latest -> ={agent}:latest {platforms}"),
            &format!("5 ghcr.io/acme/agent:v1.2.3 -> ={agent}:v1.2.3 {platforms}"),
            &format!("6 ghcr.io/acme/agent:3.9 -> ={agent}:3.9 {platforms}"),
        ],
    );
}

#[test]
fn regsync_reports_keys_without_an_equivalent() {
    check_errors(
        "version: 2\ncreds:\n- registry: a\n  user: x\n  pass: '{{ env \"P\" }}'\ndefaults:\n  backup: b\n\
         hooks: []\nsync:\n- source: a:1\n  target: b.example/a:1\n  type: image\n  digestTags: true\n\
         - source: a\n  target: b.example/a\n  type: repository\n- source: a\n  target: b.example/a\n  \
         type: repository\n  tags: {allow: [1, '2.(*'], regex: [x]}\n- source: a\n  target: b.example\n  \
         type: registry\n- source: '{{ .A }}'\n  type: image\n- source: a:1\n  target: b.example/a:1\n  \
         type: repository\n- source: a:1\n  target: b.example/a:1\n",
        &[
            "list:1: version is not 1. Write the list in version 1 of regsync.",
            "list:8: hooks has no equivalent. Remove it.",
            "list:4: creds[0].user has no equivalent. Remove it, and log in to the registry.",
            "list:5: creds[0].pass has no equivalent. Remove it, and log in to the registry.",
            "list:7: defaults.backup has no equivalent. Remove it.",
            "list:13: sync[0].digestTags has no equivalent. Remove it.",
            "list:20: sync[2].tags.regex has no equivalent. Use allow, deny or semverRange.",
            "list:20: sync[2].tags.allow: \"2.(*\" is not a supported regular expression: uncounted repetition operator must be applied to a sub-expression. Correct it.",
            "list:23: sync[3].type is not image or repository. List each repository.",
            "list:24: sync[4].source contains a template, which is not supported. Write the reference.",
            "list:24: sync[4].target is missing. Add it.",
            "list:26: sync[5].source has a tag, but type is repository. Write type: image.",
            "list:29: sync[6].type is missing. Add it.",
        ],
    );
}

#[test]
fn messages_show_no_control_characters_and_no_passwords() {
    check_errors(
        "a\u{1b}[31mb\n",
        &[
            "list:1: \"ab\" is not a repository name: expected lower-case letters and digits, separated by ., _, - or /. Correct the reference.",
        ],
    );
    let errors = parse("list", b"https://me:planted@h.example/app\nme:planted@h.example/app\n").unwrap_err();
    assert!(errors.iter().all(|error| !error.to_string().contains("planted")), "{errors:?}");
    check_errors(
        [b"nginx\n".as_slice(), b"\xff\xfe"].concat(),
        &["list:2: the list is not UTF-8 text. Save it as UTF-8."],
    );
}

#[test]
fn sizes_and_counts_are_bounded() {
    check_errors(vec![b'\n'; MAX_LIST_BYTES + 1], &["list:1: the list is larger than 4 MiB. Split it."]);
    let full = "a\n".repeat(MAX_ENTRIES);
    assert_eq!(parse("list", full.as_bytes()).unwrap().len(), MAX_ENTRIES);
    let more = format!("list:{}: the list has more than 20000 images. Split it.", MAX_ENTRIES + 1);
    check_errors(format!("{full}b\nc\n"), &[&more]);
    assert_eq!(parse("list", "A\n".repeat(100).as_bytes()).unwrap_err().len(), 20);
    let keys: String = (0..=100).map(|at| format!("  k{at}: 1\n")).collect();
    check_errors(
        format!("images:\n- source: a\n{keys}"),
        &["list:2: images[0] has more than 100 keys. Remove some."],
    );
}

/// Aliases repeat large nodes for each image.
#[test]
fn aliases_cannot_multiply_work_or_memory() {
    let tags: String = (0..20_000).map(|at| format!("t{at},")).collect();
    let list = format!(
        "images:\n- {{source: a, tags: &t [{tags}]}}\n{}",
        "- {source: a, tags: *t}\n".repeat(20_000)
    );
    assert_eq!(parse("list", list.as_bytes()).unwrap_err().len(), 1);
    let keys: String = (0..50_000).map(|at| format!("k{at}: 1,")).collect();
    let list = format!("x-a: &a {{{keys}}}\nsync:\n{}", "- {<<: *a}\n".repeat(50_000));
    assert_eq!(parse("list", list.as_bytes()).unwrap_err().len(), 20);
    let platforms = "a/b,".repeat(33);
    check_errors(
        format!("images:\n- {{source: a, platform: [{platforms}]}}\n"),
        &["list:2: images[0].platform has more than 32 platforms. Remove some."],
    );
    let many = format!("x: &x {}\nimages:\n{}", "y".repeat(1 << 20), "- {source: *x}\n".repeat(1000));
    assert!(parse("list", many.as_bytes()).unwrap_err()[1].to_string().len() < 400);
}

/// Damaged lists return entries or errors of one visible line.
#[test]
fn never_panics() {
    let mut random = fastrand::Rng::with_seed(15);
    let pieces: [&[u8]; 16] = [
        b"\n",
        b" ",
        b": ",
        b"- ",
        b"#",
        b"&a ",
        b"*a",
        b"<<: ",
        b"[",
        b"}",
        b"\"",
        b"'",
        b"\t",
        b"\xff",
        b"---\n",
        b"--alias=",
    ];
    let rules = "images:\n- {source: a, min_age: 48h, tags: {semver: '^3, <4', include: '*-b', suffix: -b, newest: 3}}\n";
    for list in [PLAIN, IMAGES, REGSYNC, rules] {
        for _ in 0..5_000 {
            let mut bytes = list.as_bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..=bytes.len());
                let end = (at + random.usize(0..4)).min(bytes.len());
                let piece = pieces[random.usize(..pieces.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
            for error in parse("list", &bytes).err().into_iter().flatten() {
                let line = error.to_string();
                assert!(line.chars().count() < 400 && line.chars().all(crate::text::is_visible), "{line}");
            }
        }
    }
}

#[test]
fn resolves_the_destination() {
    let entry = |line: &str| parse("list", line.as_bytes()).unwrap().remove(0);
    for (line, prefix, expected) in [
        ("nginx", Some("ghcr.io/acme/mirror"), Ok("ghcr.io/acme/mirror/nginx")),
        ("quay.io/a/b", Some("localhost:5000"), Ok("localhost:5000/a/b")),
        ("nginx", None, Err("the destination nginx has no registry")),
        ("--alias=ghcr.io/a/b nginx", None, Ok("ghcr.io/a/b")),
        ("--alias=ghcr.io/a/b nginx", Some("ghcr.io/a"), Ok("ghcr.io/a/b")),
        (
            "--alias=ghcr.io/a/b nginx",
            Some("quay.io"),
            Err("the destination ghcr.io/a/b is not below quay.io"),
        ),
    ] {
        let prefix: Option<crate::oci::Prefix> = prefix.map(|text| text.parse().unwrap());
        let found = entry(line).destination(prefix.as_ref()).map(|name| name.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{line}");
    }
    let long = format!("ghcr.io/{}", "a".repeat(255));
    let error = entry("nginx").destination(Some(&long.parse().unwrap())).unwrap_err();
    assert!(error.ends_with("/nginx is not a valid repository name"), "{error}");
}
