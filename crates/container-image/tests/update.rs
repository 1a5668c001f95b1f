//! Tests of `list` and `update` with local registries.

mod common;

use common::{RunOutput, Sandbox};

/// Template and command of the demonstration.
#[tokio::test(flavor = "multi_thread")]
async fn pins_the_demonstration_template() {
    let sandbox = Sandbox::start().await;
    let old = sandbox.publish("docker.io/library/python:3.7", 1);
    let new = sandbox.publish("docker.io/library/python:3.9", 2);
    let template = include_str!("fixtures/session/demo.yaml");
    sandbox.write("demo.yaml", template);

    let listed = sandbox.run("list demo.yaml").await;
    assert_eq!(listed.stdout, "demo.yaml:docker.io/library/python:3.7\ndemo.yaml:python:3.9\n");
    assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""));

    let command = "update --resolve-digest --all --matching-tag demo.yaml";
    let output = sandbox.run(command).await;
    let expected = format!(
        "INFO: 2 image references found\n\
         resolving repository docker.io/library/python Tag 3.7 to Digest {old}\n\
         resolving repository python Tag 3.9 to Digest {new}\n\
         INFO: updated a total of 1 files\n"
    );
    assert_eq!(output, RunOutput { code: Some(0), stdout: String::new(), stderr: expected });
    let pinned = template
        .replace("docker.io/library/python:3.7\n", &format!("docker.io/library/python:3.7@{old}\n"))
        .replace("python:3.9   #", &format!("python:3.9@{new}   #"));
    assert_eq!(sandbox.read("demo.yaml"), pinned);

    let again = sandbox.run(&format!("{command} --verbose")).await;
    assert!(
        again.stderr.contains(&format!("INFO: python:3.9@{new} already up-to-date in demo.yaml\n")),
        "{again:?}"
    );
    assert!(again.stderr.ends_with("INFO: no files were updated\n"), "{again:?}");

    // The tag moves, and the pin follows.
    let moved = sandbox.publish("docker.io/library/python:3.9", 3);
    let output = sandbox.run(&format!("{command} --verbose")).await;
    let line = format!("INFO: updating reference python:3.9@{new} to python:3.9@{moved} in demo.yaml\n");
    assert!(output.stderr.contains(&line), "{output:?}");
    assert_eq!(sandbox.read("demo.yaml"), pinned.replace(&new, &moved));
    // An update without `--resolve-digest` removes the digests.
    assert_eq!(sandbox.run("update --all --matching-tag demo.yaml").await.code, Some(0));
    assert_eq!(sandbox.read("demo.yaml"), template);
}

/// Examples of cru's documentation, and corrections of its errors.
#[tokio::test(flavor = "multi_thread")]
async fn matches_cru_and_corrects_its_errors() {
    let sandbox = Sandbox::start().await;
    let digest = |reference, seed| format!("@{}", sandbox.publish(reference, seed));
    let monitor = digest("gcr.io/acme/monitor:v3.2.4-5-g49d6871", 1);
    assert_eq!(digest("gcr.io/acme/monitor:latest", 1), monitor);
    let old = digest("gcr.io/acme/monitor:v0.3.1", 2);
    let paas = digest("docker.io/acme/paas:latest", 3);
    let three = digest("docker.io/library/nginx:3", 4);
    let dotted = digest("ghcr.io/foo/bar.baz:1.2", 5);
    let under = digest("docker.io/my_org/app:1.0", 6);

    let v = "gcr.io/acme/monitor:v3.2.4-5-g49d6871";
    let rows: &[(&str, &str, &str, &str)] = &[
        (
            "set a tag",
            "--image-reference gcr.io/acme/monitor:v0.3.2",
            "image = \"gcr.io/acme/monitor:v0.3.1\"",
            "image = \"gcr.io/acme/monitor:v0.3.2\"",
        ),
        (
            "only this name",
            "--image-reference gcr.io/acme/monitor:v1",
            "a gcr.io/acme/monitor:v0 b acme/monitor:v0 c acme/monitor",
            "a gcr.io/acme/monitor:v1 b acme/monitor:v0 c acme/monitor",
        ),
        (
            "set a tag with its digest",
            &format!("--resolve-digest --image-reference {v}"),
            "gcr.io/acme/monitor:v0.3.1",
            &format!("{v}{monitor}"),
        ),
        ("remove the digest", &format!("--image-reference {v}"), &format!("{v}{old}"), v),
        (
            "replace a digest by a tag",
            "--image-reference gcr.io/acme/monitor:latest",
            &format!("gcr.io/acme/monitor{old}"),
            "gcr.io/acme/monitor:latest",
        ),
        (
            "all to latest",
            "--all --resolve-digest",
            "docker pull acme/paas:1.0 gcr.io/acme/monitor:v0.3.1",
            &format!("docker pull acme/paas:latest{paas} gcr.io/acme/monitor:latest{monitor}"),
        ),
        (
            "all keep their tags",
            "--all --matching-tag --resolve-digest",
            "gcr.io/acme/monitor:v0.3.1",
            &format!("gcr.io/acme/monitor:v0.3.1{old}"),
        ),
        (
            "resolve to the most specific tag",
            "--resolve-tag --image-reference gcr.io/acme/monitor:latest",
            "gcr.io/acme/monitor:v0.3.1",
            v,
        ),
        // Corrected.
        (
            "one character",
            "--all --matching-tag --resolve-digest",
            "FROM docker.io/library/nginx:3",
            &format!("FROM docker.io/library/nginx:3{three}"),
        ),
        (
            "a dot",
            "--all --matching-tag --resolve-digest",
            "ghcr.io/foo/bar.baz:1.2",
            &format!("ghcr.io/foo/bar.baz:1.2{dotted}"),
        ),
        (
            "an underscore",
            "--all --matching-tag --resolve-digest",
            "image: my_org/app:1.0",
            &format!("image: my_org/app:1.0{under}"),
        ),
        (
            "only a digest",
            "--all --resolve-digest",
            &format!("gcr.io/acme/monitor{old}"),
            &format!("gcr.io/acme/monitor{old}"),
        ),
        ("a URL", "--all", "see http://foo.com/bar:8080", "see http://foo.com/bar:8080"),
        (
            "an ARN",
            "--all",
            "arn:aws:ecr:eu-west-1:1:repository/python:3",
            "arn:aws:ecr:eu-west-1:1:repository/python:3",
        ),
        ("no evidence", "--all", "acme/paas:1.0 nginx:3", "acme/paas:1.0 nginx:3"),
        (
            "a part of a name",
            "--all",
            "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/app:1.0",
            "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/app:1.0",
        ),
    ];
    sandbox.write("nothing.txt", "nginx:3\n");
    let output = sandbox.run("update --all --resolve-digest nothing.txt").await;
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), "INFO: 0 image references found\n"));
    for (case, arguments, before, after) in rows {
        sandbox.write("file.txt", before);
        let output = sandbox.run(&format!("update {arguments} file.txt")).await;
        assert_eq!(sandbox.read("file.txt"), *after, "{case}: {output:?}");
        assert_eq!(output.code, Some(0), "{case}: {output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_unresolved_references_and_updates_the_rest() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.registry("ghcr.io");
    sandbox.write("a.yaml", "image: docker.io/library/python:3.9 # and ghcr.io/acme/gone:1\n");
    sandbox.write("b.yaml", "\nimage: ghcr.io/acme/gone:1\n");
    let output = sandbox.run("update --all --matching-tag --resolve-digest").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let line = output.stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(
        line.starts_with("error: Image ghcr.io/acme/gone:1 could not be read: ghcr.io returned 40"),
        "{line}"
    );
    assert!(line.contains("Found in a.yaml:1 and b.yaml:2. "), "{line}");
    assert!(output.stderr.ends_with("INFO: updated a total of 1 files\n"), "{output:?}");
    let expected = format!("image: docker.io/library/python:3.9@{digest} # and ghcr.io/acme/gone:1\n");
    assert_eq!(sandbox.read("a.yaml"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_as_text_and_as_json() {
    let sandbox = Sandbox::start().await;
    let digest = format!("sha256:{}", "a".repeat(64));
    sandbox.write("b.txt", format!("é ghcr.io/acme/app:1@{digest}\n"));
    sandbox.write("a/Dockerfile", "FROM docker.io/library/python:3.9\nFROM docker.io/library/python:3.9\n");
    sandbox.write("out.log", "docker.io/library/python:2\n");
    let output = sandbox.run("list --exclude *.log").await;
    let expected = format!("a/Dockerfile:docker.io/library/python:3.9\nb.txt:ghcr.io/acme/app:1@{digest}\n");
    assert_eq!((output.code, output.stdout, output.stderr.as_str()), (Some(0), expected, ""));
    let output = sandbox.run("list --no-filename a out.log").await;
    assert_eq!(output.stdout, "docker.io/library/python:3.9\ndocker.io/library/python:2\n");
    let json = sandbox.run("list --json b.txt").await;
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let meaning = format!("ghcr.io/acme/app:1@{digest}");
    let expected = serde_json::json!([{"path": "b.txt", "line": 1, "column": 3, "reference": meaning,
        "name": "ghcr.io/acme/app", "tag": "1", "digest": digest, "evidence": "registry",
        "normalized": meaning}]);
    assert_eq!(document, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_changes_nothing_and_exits_with_3() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    let text = "services:\n  a: {image: docker.io/library/python:3.9}\n";
    sandbox.write("compose.yml", text);
    let command = "update --all --matching-tag --resolve-digest --check";
    let output = sandbox.run(command).await;
    let line =
        format!("compose.yml:2: docker.io/library/python:3.9 -> {}\n", &digest[.."sha256:".len() + 12]);
    assert_eq!((output.code, output.stdout), (Some(3), line));
    assert_eq!(sandbox.read("compose.yml"), text);
    let json = sandbox.run(&format!("{command} --json --quiet")).await;
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let change = serde_json::json!({
        "path": "compose.yml", "line": 2, "column": 14,
        "from": "docker.io/library/python:3.9", "to": format!("docker.io/library/python:3.9@{digest}"),
        "evidence": "field",
        "new_major": false,
    });
    assert_eq!(document, serde_json::json!({"changes": [change], "failures": [], "notes": []}));
    assert_eq!((json.code, json.stderr.as_str()), (Some(3), ""));
    assert_eq!(sandbox.run("update --all --matching-tag --resolve-digest").await.code, Some(0));
    assert_eq!(sandbox.run(command).await.code, Some(0));
    // A failure takes precedence, because the check is incomplete.
    sandbox.write("other.yml", "docker.io/library/python:9");
    sandbox.write("compose.yml", text);
    assert_eq!(sandbox.run(command).await.code, Some(1));
}

/// `git apply` and `patch` reject `../compose.yaml` in every folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_names_the_folder_of_a_patch_outside_of_the_current_folder() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    for name in [".git/config", "compose.yaml", "sub/app/x.txt"] {
        sandbox.write(name, "# docker.io/library/python:3.9\n");
    }
    let run = async |folder: &str, path: &str| {
        let mut command = sandbox.command(&["pin", "--dry-run", path]);
        command.current_dir(sandbox.path(folder));
        RunOutput::of(command).await
    };
    let top = sandbox.folder().canonicalize().unwrap().display().to_string();
    for (folder, path) in
        [("sub", "../compose.yaml"), ("sub/app", "../.."), ("sub", &format!("{top}/compose.yaml"))]
    {
        let output = run(folder, path).await;
        let note = format!(
            "compose.yaml: git apply and patch reject this path. To apply the patch, run both commands in the folder {top}.\n"
        );
        assert!(output.code == Some(0) && output.stderr.contains(&note), "{path}: {output:?}");
    }
    for (folder, path) in [("sub", "app"), (".", "compose.yaml")] {
        let output = run(folder, path).await;
        assert!(!output.stderr.contains("git apply"), "{output:?}");
    }
    // The named folder.
    std::fs::remove_dir_all(sandbox.path(".git")).unwrap();
    sandbox.write("the.patch", run(".", "compose.yaml").await.stdout);
    let mut git = std::process::Command::new("git");
    assert!(git.args(["apply", "the.patch"]).current_dir(&top).status().unwrap().success());
    assert_eq!(sandbox.read("compose.yaml"), format!("# docker.io/library/python:3.9@{digest}\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_a_patch() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    for name in ["a.txt", "sub/b.txt"] {
        sandbox.write(
            name,
            "1\r\n2\n3\n4 docker.io/library/python:3.9\n5\n6\n7\n8\n9 docker.io/library/python:3.9",
        );
    }
    let output = sandbox.run("update --all --matching-tag --resolve-digest --dry-run").await;
    assert!(output.stderr.ends_with("INFO: would update a total of 2 files\n"), "{output:?}");
    let before = sandbox.read("sub/b.txt");
    sandbox.write("patch", &output.stdout);
    let git =
        std::process::Command::new("git").args(["apply", "patch"]).current_dir(sandbox.folder()).status();
    assert!(git.unwrap().success(), "{}", output.stdout);
    std::fs::remove_file(sandbox.path("patch")).unwrap();
    let patched = sandbox.read("sub/b.txt");
    assert_ne!(patched, before);
    let output = sandbox.run("update --all --matching-tag --resolve-digest").await;
    assert!(output.stderr.ends_with("INFO: no files were updated\n"), "{output:?}");
    assert_eq!(sandbox.read("sub/b.txt"), patched);
}
