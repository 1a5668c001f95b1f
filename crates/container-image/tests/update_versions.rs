//! Versions in `update --latest` and `update --semver`.

mod common;

use aws_emulator::{Effect, Fault};
use common::{RunOutput, Sandbox};
use serde_json::Value;

/// Publishes the tags of a repository of `ghcr.io`.
fn publish(sandbox: &Sandbox, repository: &str, tags: &[&str]) {
    for (seed, tag) in (1..).zip(tags) {
        sandbox.publish(&format!("ghcr.io/{repository}:{tag}"), seed);
    }
}

fn notes(output: &RunOutput) -> Vec<&str> {
    output.stderr.lines().filter(|line| line.starts_with("note: ")).collect()
}

/// <https://github.com/dependabot/dependabot-core/issues/11680> and
/// <https://github.com/dependabot/dependabot-core/issues/11198>
#[tokio::test(flavor = "multi_thread")]
async fn dates_and_counters_move_to_the_newest() {
    let sandbox = Sandbox::start().await;
    publish(&sandbox, "a/date", &["2023-10-01", "2023-12-05", "2024-10-01", "2025-03-03"]);
    let releases =
        ["RELEASE.2025-01-20T14-49-07Z", "RELEASE.2024-12-18T13-15-44Z", "RELEASE.2025-02-18T16-25-55Z"];
    publish(&sandbox, "a/time", &releases);
    publish(&sandbox, "a/counter", &["997", "999", "1000", "1007"]);
    publish(&sandbox, "a/build", &["1.2.0-debian-12-r3", "1.2.0-debian-12-r5", "1.3.0-debian-13-r0"]);
    sandbox.write(
        "a.txt",
        format!(
            "ghcr.io/a/date:2023-10-01\nghcr.io/a/time:{}\nghcr.io/a/counter:999\nghcr.io/a/build:1.2.0-debian-12-r3\n",
            releases[0]
        ),
    );
    let output = sandbox.run("update --all --latest").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let content = sandbox.read("a.txt");
    let updated: Vec<&str> = content.lines().map(|line| line.split_once('@').unwrap().0).collect();
    let expected = [
        "ghcr.io/a/date:2025-03-03",
        &format!("ghcr.io/a/time:{}", releases[2]),
        "ghcr.io/a/counter:1007",
        "ghcr.io/a/build:1.2.0-debian-12-r5",
    ];
    assert_eq!(updated, expected);
    let note = "note: a.txt:4: ghcr.io/a/build:1.2.0-debian-12-r3 keeps its base; the newer tag 1.3.0-debian-13-r0 has another one.";
    assert_eq!(notes(&output), [note]);
}

/// The notes name the places, and a new major version is a note before the change.
#[tokio::test(flavor = "multi_thread")]
async fn notes_name_major_versions_and_tags_without_a_version() {
    let sandbox = Sandbox::start().await;
    publish(&sandbox, "a/app", &["3.12", "3.13", "4.0", "stable"]);
    let text = "x\nghcr.io/a/app:3.12 ghcr.io/a/app:stable\nghcr.io/a/app:3.12\n";
    sandbox.write("a.txt", text);
    sandbox.write("b.txt", "ghcr.io/a/app:3.12\n");
    let major = "note: a.txt:2: ghcr.io/a/app 3.12 -> 4.0 is a new major version (and in 2 other places).";
    let stable = "note: a.txt:2: ghcr.io/a/app:stable has no version in its tag; --latest keeps the tag.";
    for mode in ["--check", "--dry-run", "--json --dry-run", "--json --check"] {
        let output = sandbox.run(&format!("update --all --latest {mode}")).await;
        assert_eq!(notes(&output), [major, stable], "{output:?}");
        assert_eq!(sandbox.read("a.txt"), text);
        if mode.starts_with("--json") {
            let document: Value = serde_json::from_str(&output.stdout).unwrap();
            let changes = document["changes"].as_array().unwrap();
            let majors = changes.iter().map(|change| change["new_major"].as_bool().unwrap());
            assert_eq!(majors.collect::<Vec<_>>(), [true, false, true, true], "{document:#}");
        }
    }
    let quiet = sandbox.run("update --all --latest --check --quiet").await;
    assert_eq!((quiet.code, quiet.stderr.as_str()), (Some(3), ""));

    let ranged = sandbox.run("update --all --semver ^3 --check").await;
    let stable = "note: a.txt:2: ghcr.io/a/app:stable has no version in its tag; --semver keeps the tag.";
    assert_eq!(notes(&ranged), [stable], "{ranged:?}");
    let moved = ranged.stdout.matches("ghcr.io/a/app:3.12 -> 3.13@").count();
    assert_eq!(moved, 3, "{ranged:?}");

    let output = sandbox.run("update --all --latest").await;
    assert_eq!(notes(&output).len(), 2, "{output:?}");
    assert!(output.stderr.find(major).unwrap() < output.stderr.find("INFO: updated a total of").unwrap());
    let again = sandbox.run("update --all --latest").await;
    assert_eq!(notes(&again).len(), 1, "{again:?}");
    let pin = sandbox.run("update --all --matching-tag --resolve-digest").await;
    assert_eq!(notes(&pin), [""; 0], "{pin:?}");
}

/// A tag without a version needs no list of tags.
#[tokio::test(flavor = "multi_thread")]
async fn a_tag_without_a_version_needs_no_list() {
    let sandbox = Sandbox::start().await;
    publish(&sandbox, "a/app", &["stable", "1.0"]);
    sandbox.write("a.txt", "ghcr.io/a/app:stable\n");
    let mark = sandbox.emulator.log().mark();
    assert_eq!(sandbox.run("update --all --latest").await.code, Some(0));
    assert!(sandbox.read("a.txt").starts_with("ghcr.io/a/app:stable@sha256:"));
    assert_eq!(sandbox.emulator.log().matching(mark, "tags.list").len(), 0);
}

/// The list of each repository is read once, also if its references are resolved one by one.
#[tokio::test(flavor = "multi_thread")]
async fn reads_each_list_once() {
    let sandbox = Sandbox::start().await;
    publish(&sandbox, "a/app", &["1.0", "1.1", "2", "3"]);
    publish(&sandbox, "a/other", &["1.0", "1.1"]);
    sandbox.write("a.txt", "ghcr.io/a/app:1.0 ghcr.io/a/other:1.0 ghcr.io/a/app:2\n");
    for jobs in [1, 8] {
        let mark = sandbox.emulator.log().mark();
        let output = sandbox.run(&format!("update --all --latest --check --jobs {jobs}")).await;
        assert_eq!(output.code, Some(3), "{output:?}");
        let lists = sandbox.emulator.log().matching(mark, "tags.list");
        assert_eq!(lists.iter().filter(|list| list.status == Some(200)).count(), 2, "{lists:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limits_of_a_list_are_in_the_error() {
    let sandbox = Sandbox::start().await;
    publish(&sandbox, "a/app", &["1.0", "1.1"]);
    sandbox.write("a.txt", "ghcr.io/a/app:1.0\n");
    let tags =
        |count: usize, tag: &str| format!("{{\"tags\":[{}\"1\"]}}", format!("\"{tag}\",").repeat(count));
    let page = |body: &str, last: Option<&str>| {
        let link = |last| format!("</v2/a/app/tags/list?last={last}>; rel=\"next\"");
        let headers = last.map(|last| ("link".to_owned(), link(last))).into_iter().collect();
        let effect = Effect::Status { code: 200, headers, body: body.to_owned() };
        Fault::on("tags.list", effect).host("ghcr.io")
    };
    let (many, large) = (tags(200_000, "1"), tags(140_000, &"x".repeat(120)));
    for (faults, limit) in [
        (vec![page(&many, None)], "the tag list has more than 200000 tags"),
        (vec![page(&large, None)], "the tag list is larger than 16 MiB"),
        // Each page leads to the other one.
        (
            vec![page("{}", Some("b")).path("last=a"), page("{}", Some("a"))],
            "the tag list has more than 1000 pages",
        ),
    ] {
        sandbox.emulator.faults().clear();
        faults.into_iter().for_each(|fault| sandbox.emulator.faults().add(fault));
        let output = sandbox.run("update --all --latest").await;
        assert_eq!(output.code, Some(1), "{output:?}");
        let errors: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert!(matches!(errors[..], [error] if error.contains(limit)), "{limit}: {output:?}");
        let listed = sandbox.run("tags ghcr.io/a/app").await;
        assert!(listed.code == Some(1) && listed.stderr.contains(limit), "{limit}: {listed:?}");
        assert_eq!(sandbox.read("a.txt"), "ghcr.io/a/app:1.0\n");
    }
}
