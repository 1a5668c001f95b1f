//! Images with `Customize`.

use serde_json::{Value, json};

use crate::{HEAD, SOUND, check_failure, plan, sandbox};

fn template(lines: &str) -> String {
    format!("{HEAD}{SOUND}      Customize: {lines}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_settings_are_a_diff_for_all_platforms() {
    let (sandbox, repository) = sandbox().await;
    let output = plan(&sandbox, &template("[ENV A=1, RUN mkdir -p /data]"), "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    // A tab ends a name with spaces, as in git.
    let header = "--- a/Image (linux/amd64, linux/arm64)\t\n+++ b/Image (linux/amd64, linux/arm64)\t\n";
    assert!(output.stdout.contains(header), "{}", output.stdout);
    for part in ["+      \"A=1\"\n", "+    \"ENV A=1\",\n", "+    \"RUN mkdir -p /data\"\n"] {
        assert_eq!(output.stdout.matches(part).count(), 1, "{part}: {}", output.stdout);
    }
    assert!(output.stdout.ends_with("\nexit code 0: nothing would fail\n"), "{output:?}");
    assert!(repository.blobs().is_empty());

    let output = plan(&sandbox, &template("ENV A=1"), "--json").await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let [change] = &document["images"][0]["config_changes"].as_array().unwrap()[..] else {
        panic!("{document}")
    };
    assert_eq!(change["platforms"], json!(["linux/amd64", "linux/arm64"]));
    assert!(change["diff"].as_str().unwrap().contains("+      \"A=1\"\n"), "{change}");
    let plain = plan(&sandbox, &format!("{HEAD}{SOUND}"), "--json").await;
    let document: Value = serde_json::from_str(&plain.stdout).unwrap();
    assert_eq!(document["images"][0]["config_changes"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_lines_are_one_failure() {
    let (sandbox, repository) = sandbox().await;
    for (lines, expected) in [
        (
            "[ENV A=1, RUN apt-get update]",
            "template.yaml:9: Image: Customize is invalid: line 2: \"apt-get\" is not supported in RUN.",
        ),
        ("{A: b}", "template.yaml:9: Image: Customize is {\"A\":\"b\"}: expected Dockerfile lines. (CI-102)"),
        ("RUN mkdir -p $HOME/x", "Correct Customize, or select other platforms in Platform. (CI-034)"),
        ("ENV A=1\n      IncludeReferrers: true", "IncludeReferrers is true with Customize"),
    ] {
        check_failure(&plan(&sandbox, &template(lines), "").await, expected);
    }
    let output = plan(&sandbox, &template("[ENV A=1, RUN apt-get update]"), "").await;
    assert!(output.stdout.contains("(CI-102)\n"), "{output:?}");
    assert!(repository.blobs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_unknown_lines_are_planned_too() {
    let (sandbox, _) = sandbox().await;
    sandbox.write("list.yaml", "images:\n- source: docker.io/acme/app:1\n  customize: USER 1000\n");
    let to = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/m";
    sandbox
        .emulator
        .ecr()
        .create_repository(&sandbox.emulator.repository_arn("m/acme/app"), aws_emulator::Mutability::Mutable);
    let output = sandbox.run(&format!("plan list.yaml --to {to}")).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let header = "+++ b/list.yaml:2 (linux/amd64, linux/arm64)\t\n";
    assert!(
        output.stdout.contains(header) && output.stdout.contains("+    \"User\": \"1000\"\n"),
        "{output:?}"
    );

    let imported = template("[ENV A=1, !ImportValue Lines]");
    let output = plan(&sandbox, &imported, "").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let line = "? template.yaml:9: Image: not checked: Customize: it imports the value Lines\n";
    assert!(output.stdout.contains(line) && !output.stdout.contains("+++ "), "{output:?}");
}
