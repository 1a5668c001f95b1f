//! `import` turns files of other tools into a list, and `sync` accepts it.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod compose;
mod kubernetes;
mod regsync;
mod skopeo;
mod terraform;

use std::collections::HashSet;
use std::process::Stdio;

use common::{RunOutput, Sandbox};
use image_copy::list;
use tokio::io::AsyncWriteExt as _;

/// Tags of sources with rules. Each rule selects at least one.
const TAGS: [&str; 3] = ["1.36", "3.13", "1.13.2-alpine"];

/// Imports a file, and checks list and notes. Then a dry run of `sync` accepts the list, and plans each image.
async fn check(sandbox: &Sandbox, file: &str, content: &str, list: &str, notes: &[&str]) {
    sandbox.write(file, content);
    let output = sandbox.run(&format!("import {file}")).await;
    check_output(sandbox, &output, list, notes).await;
}

async fn check_output(sandbox: &Sandbox, output: &RunOutput, list: &str, notes: &[&str]) {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stdout, list, "{}", output.stdout);
    let found: Vec<&str> = output.stderr.lines().collect();
    assert_eq!(found, notes, "{}", output.stderr);
    let images = list::parse("list", list.as_bytes()).unwrap();
    let mut planned = HashSet::new();
    for image in &images {
        let tags = TAGS.map(|tag| tag.parse().unwrap());
        let selected = image.select(&tags);
        assert!(!selected.is_empty(), "{image:?}");
        planned.extend(selected.iter().map(|image| format!("{} {:?}", image.source, image.target)));
        for image in selected.iter().filter(|image| image.source.digest.is_none()) {
            sandbox.publish(&image.source.to_string(), 1);
        }
    }
    sandbox.registry("registry.example");
    sandbox.write("list.yaml", list);
    let is_complete = list.contains("repository: registry.example/");
    let to = if is_complete { "" } else { "--to registry.example/mirror" };
    let output = sandbox.run(&format!("sync list.yaml --dry-run {to}")).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let count = format!("{} new, 0 moved, 0 unchanged, 0 failed", planned.len());
    assert!(output.stdout.contains(&count), "{}", output.stdout);
}

/// Runs `import` with standard input.
async fn import_stdin(sandbox: &Sandbox, arguments: &[&str], input: &str) -> RunOutput {
    let mut command = sandbox.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    RunOutput { code: output.status.code(), stdout, stderr }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_kubectl_and_docker_become_a_list() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/nginx:1.27", 21);
    let words = format!("nginx:1.27 ghcr.io/acme/app:1 docker.io/library/nginx@{digest} redis nginx:1.27 ");
    let list = format!(
        "images:\n  - docker.io/library/nginx:1.27\n  - docker.io/library/nginx@{digest}\n  \
         - docker.io/library/redis:latest\n  - ghcr.io/acme/app:1\n"
    );
    let output = import_stdin(&sandbox, &["import"], &words).await;
    check_output(&sandbox, &output, &list, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_docker_become_a_list() {
    let sandbox = Sandbox::start().await;
    let table = "\
REPOSITORY                TAG       IMAGE ID       CREATED       SIZE
ghcr.io/acme/app          2.1       0a399eb16751   2 weeks ago   81MB
nginx                     1.27      5c8ddc08c6b0   3 weeks ago   192MB
registry.example/unused   <none>    5c8ddc08c6b1   3 weeks ago   192MB
";
    let none = r#"standard input:4: the image was omitted: "registry.example/unused:<none>" is not a tag: expected 1 to 128 letters, digits, _, . or -, not starting with . or -"#;
    let list = format!("images:\n  - docker.io/library/nginx:1.27\n  - ghcr.io/acme/app:2.1\n  # {none}\n");
    let output = import_stdin(&sandbox, &["import"], table).await;
    check_output(&sandbox, &output, &list, &[&format!("note: {none}.")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_files_become_one_list_in_a_file() {
    let sandbox = Sandbox::start().await;
    sandbox.write("images.txt", "# tools\nredis:7\n--alias=tools/alpine --platform=linux/arm64 alpine:3\n");
    sandbox.write("list.yaml", "images:\n  - {source: nginx, tags: ['1', '2']}\n  - redis:7\n");
    sandbox.write("empty.yaml", "apiVersion: v1\nkind: ConfigMap\ndata:\n  page: |\n    image: ignored:1\n");
    sandbox.write("out.yaml", "old");
    let output = sandbox.run("import images.txt list.yaml empty.yaml -o out.yaml").await;
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{output:?}");
    let list = "\
images:
  - source: docker.io/library/alpine:3
    repository: tools/alpine
    platform: linux/arm64
  - docker.io/library/nginx:1
  - docker.io/library/nginx:2
  - docker.io/library/redis:7
";
    let written = RunOutput { stdout: sandbox.read("out.yaml"), ..output };
    check_output(&sandbox, &written, list, &["note: empty.yaml contains no image."]).await;
    let quiet = sandbox.run("import --quiet images.txt empty.yaml").await;
    assert_eq!(quiet.stderr, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_two_lists_keeps_the_more_careful_settings() {
    let sandbox = Sandbox::start().await;
    sandbox.write("a.yaml", "images:\n  - {source: 'nginx:1', prune: true, shared: true}\n");
    sandbox.write("b.yaml", "images:\n  - {source: 'nginx:1', min_age: 48h}\n");
    for files in ["a.yaml b.yaml", "b.yaml a.yaml"] {
        let output = sandbox.run(&format!("import {files}")).await;
        let list = "images:\n  - source: docker.io/library/nginx:1\n    min_age: 48h\n";
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), list), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_file_and_print_no_list() {
    let sandbox = Sandbox::start().await;
    sandbox.write("chart/deployment.yaml", "apiVersion: v1\nkind: Pod\nspec: {{ .Values.spec }}\nb: [\n");
    sandbox.write("values.yaml", "app:\n  image: nginx:1\n");
    sandbox.write("main.tf", "containers = [\n");
    sandbox.write("latin1.txt", b"nginx:1\nr\xe9dis\n");
    for (arguments, code, start) in [
        ("chart/deployment.yaml", 2, "error: chart/deployment.yaml:"),
        ("main.tf", 2, "error: main.tf:"),
        ("latin1.txt", 2, "error: latin1.txt:2: the file is not UTF-8 text. Save it as UTF-8.\n"),
        (
            "values.yaml",
            2,
            "error: no image was found in values.yaml. Set --format if it is not recognized.\n",
        ),
        ("missing.yaml", 2, "error: the file missing.yaml was not found. Correct the path.\n"),
        ("chart", 2, "error: chart is a folder. Name its files, such as chart/*.yaml.\n"),
        (
            "values.yaml -o missing/x.yaml --format kubernetes",
            1,
            "error: the list missing/x.yaml cannot be written: ",
        ),
    ] {
        let output = sandbox.run(&format!("import {arguments}")).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(code), ""), "{output:?}");
        assert!(output.stderr.starts_with(start), "{output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    }
    let forced = sandbox.run("import values.yaml --format kubernetes").await;
    assert_eq!(forced.stdout, "images:\n  - docker.io/library/nginx:1\n");
}
