//! Tests of `pin`, and of guesses in `pin` and `update`.

mod common;

use common::Sandbox;
use serde_json::{Value, json};

const GUESS: &str = "registry.acme.example/team/app:1";

/// Returns a template with this image reference.
fn template(reference: &str) -> String {
    format!(
        "Resources:\n  A:\n    Type: Custom::ContainerImage\n    Properties: {{ImageReference: '{reference}'}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn has_the_result_of_update() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.registry("ghcr.io");
    let files = [("a.yaml", template("python:3.9")), ("b.yaml", template("ghcr.io/acme/gone:1"))];
    let write = || files.iter().for_each(|(name, text)| sandbox.write(name, text));
    for options in
        ["", "--check", "--check --json", "--dry-run", "--platform linux/arm64", "-j 1 --exclude b.yaml"]
    {
        write();
        let update = sandbox.run(&format!("update --all --matching-tag --resolve-digest {options}")).await;
        let updated = sandbox.read("a.yaml");
        write();
        assert_eq!(sandbox.run(&format!("pin {options}")).await, update, "{options}");
        assert_eq!(sandbox.read("a.yaml"), updated, "{options}");
    }
    write();
    assert_eq!(sandbox.run("pin a.yaml").await.code, Some(0));
    assert_eq!(sandbox.read("a.yaml"), template(&format!("python:3.9@{digest}")));
    assert_eq!(sandbox.read("b.yaml"), files[1].1, "only the named file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guess_that_cannot_be_resolved_is_a_note() {
    let sandbox = Sandbox::start().await;
    sandbox.registry("registry.acme.example");
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    let notes = format!("Ask for {GUESS}.\n\nThen {GUESS} again, and {GUESS} at last.\n");
    sandbox.write("notes.md", &notes);
    sandbox.write("a.yaml", template(&format!("python:3.9@{digest}")));
    for command in ["pin", "pin --check", "pin --dry-run", "update --all --latest"] {
        let output = sandbox.run(command).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(0), ""), "{command}: {output:?}");
        let mut lines = output.stderr.lines().filter(|line| line.starts_with("note: "));
        let note = lines.next().unwrap();
        let start = format!("note: notes.md:1 and 2 other places: Image {GUESS} could not be read: ");
        let is_latest = command.contains("latest");
        assert!(note.starts_with(&start) || is_latest && note.contains("The tags of "), "{command}: {note}");
        assert!(note.ends_with(" This may not be an image, and is not a failure."), "{command}: {note}");
        assert_eq!(lines.next(), None, "{command}: {output:?}");
        assert!(!output.stderr.contains("\nerror: "), "{command}: {output:?}");
    }
    assert_eq!(sandbox.read("notes.md"), notes);
    let quiet = sandbox.run("pin --check --quiet").await;
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (Some(0), "", ""));

    // A change, a failure and a guess are three things.
    sandbox.registry("ghcr.io");
    sandbox.write("b.yaml", template("ghcr.io/acme/gone:1"));
    sandbox.write("a.yaml", template("python:3.9"));
    let output = sandbox.run("pin --check --json --quiet").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let of = |array: &str| {
        let all = document[array].as_array().unwrap().iter();
        all.map(|one| (one["reference"].clone(), one["from"].clone(), one["evidence"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(of("changes"), [(Value::Null, json!("python:3.9"), json!("field"))]);
    assert_eq!(of("failures"), [(json!("ghcr.io/acme/gone:1"), Value::Null, json!("field"))]);
    assert_eq!(of("notes"), [(json!(GUESS), Value::Null, json!("guess"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guess_that_the_registry_confirms_is_pinned() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish(GUESS, 1);
    sandbox.write("notes.md", format!("Ask for {GUESS}.\n"));
    assert_eq!(sandbox.run("pin --check").await.code, Some(3));
    assert_eq!(sandbox.run("pin").await.code, Some(0));
    assert_eq!(sandbox.read("notes.md"), format!("Ask for {GUESS}@{digest}.\n"));
}

/// One place that is known to be an image makes all places known.
#[tokio::test(flavor = "multi_thread")]
async fn a_guess_that_is_an_image_elsewhere_is_known() {
    let sandbox = Sandbox::start().await;
    sandbox.registry("registry.acme.example");
    sandbox.write("notes.md", format!("Ask for {GUESS}.\n"));
    sandbox.write("a.yaml", template(GUESS));
    let output = sandbox.run("pin --check").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("Found in a.yaml:4 and notes.md:1. "), "{output:?}");
    assert_eq!(sandbox.run("update --all").await.code, Some(0));
    assert_eq!(sandbox.read("notes.md"), "Ask for registry.acme.example/team/app:latest.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guess_does_not_change_without_a_query_unless_it_is_named() {
    let sandbox = Sandbox::start().await;
    sandbox.registry("registry.acme.example");
    let notes = format!("Ask for {GUESS}.\n");
    sandbox.write("notes.md", &notes);
    let output = sandbox.run("update --all --json").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let note = "notes.md:1: registry.acme.example/team/app may not be an image, and was not changed without a query. \
                Add --resolve-digest, or name it in --image-reference";
    assert!(output.stderr.contains(&format!("note: {note}.\n")), "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(
        (&document["changes"], &document["notes"][0]["message"]),
        (&json!([]), &json!(format!("{note}.")))
    );
    // Nothing would change, so that there is nothing to report.
    assert!(!sandbox.run("update --all --matching-tag").await.stderr.contains("note: "));
    assert_eq!(sandbox.read("notes.md"), notes);
    let named = "--image-reference registry.acme.example/team/app:2";
    let output = sandbox.run(&format!("update {named} --resolve-digest")).await;
    assert_eq!(output.code, Some(1), "the user names the image: {output:?}");
    assert_eq!(sandbox.run(&format!("update {named}")).await.code, Some(0));
    assert_eq!(sandbox.read("notes.md"), "Ask for registry.acme.example/team/app:2.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn guesses_with_the_same_cause_are_one_note() {
    let sandbox = Sandbox::start().await;
    let text: String = (0..3).map(|number| format!("see registry.acme.example/app{number}:1\n")).collect();
    sandbox.write("notes.md", text);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = sandbox.command(&["pin", "--check"]);
    command.env("HTTPS_PROXY", format!("http://{closed}"));
    let output = common::RunOutput::of(command).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let notes: Vec<&str> = output.stderr.lines().filter(|line| line.starts_with("note: ")).collect();
    let [note] = notes[..] else { panic!("{output:?}") };
    assert!(note.starts_with("note: notes.md:1: "), "{note}");
    assert!(
        note.ends_with(
            " This may not be an image, and is not a failure; 2 other references have the same failure \
             (--verbose lists them)."
        ),
        "{note}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_only_the_credentials_in_authfile() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("ghcr.io/acme/app:1", 1);
    let registry = sandbox.registry("ghcr.io");
    registry.add_user("me", "hunter2");
    registry.make_private("acme/app", &["me"]);
    let login =
        |password| json!({"auths": {"ghcr.io": {"username": "me", "password": password}}}).to_string();
    sandbox.write("right.json", login("hunter2"));
    sandbox.write("wrong.json", login("hunter3"));
    sandbox.write("a.yaml", template("ghcr.io/acme/app:1"));
    let run = async |authfile: &str| {
        let mut command = sandbox.command(&["pin", "--check", "a.yaml", "--authfile", authfile]);
        command.env("REGISTRY_AUTH_FILE", sandbox.path("wrong.json"));
        common::RunOutput::of(command).await
    };
    let output = run("right.json").await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains(&digest), "{output:?}");
    assert_eq!(run("wrong.json").await.code, Some(1));
    // A wrong option is a failure, even if all images are guesses.
    sandbox.write("a.yaml", format!("# {GUESS}\n"));
    let output = run("missing.json").await;
    let line = "error: --authfile: credentials file missing.json cannot be read: the file does not exist.\n";
    assert!(output.code == Some(1) && output.stderr.ends_with(line), "{output:?}");
    let copy = "copy ghcr.io/acme/app:1 ghcr.io/acme/app:2 --dry-run --authfile right.json";
    assert_eq!(sandbox.run(copy).await.code, Some(0));
}
