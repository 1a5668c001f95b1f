//! What `list` and `update` promise, tried on the program with registries on this machine.

mod common;

use common::{Said, World, image};

/// The first write-up's session: its template and its very command.
#[tokio::test(flavor = "multi_thread")]
async fn pins_the_demonstration_template_to_what_its_tags_name() {
    let world = World::start().await;
    let old = world.publish("docker.io/library/python:3.7", 1);
    let new = world.publish("docker.io/library/python:3.9", 2);
    let template = include_str!("fixtures/session/demo.yaml");
    world.write("demo.yaml", template);

    let listed = world.run("list demo.yaml").await;
    assert_eq!(listed.out, "demo.yaml:docker.io/library/python:3.7\ndemo.yaml:python:3.9\n");
    assert_eq!((listed.code, listed.err.as_str()), (Some(0), ""));

    let command = "update --resolve-digest --all --matching-tag demo.yaml";
    let said = world.run(command).await;
    let expected = format!(
        "INFO: 2 image references found\n\
         resolving repository docker.io/library/python Tag 3.7 to Digest {old}\n\
         resolving repository python Tag 3.9 to Digest {new}\n\
         INFO: updated a total of 1 files\n"
    );
    assert_eq!(said, Said { code: Some(0), out: String::new(), err: expected });
    let pinned = template
        .replace("docker.io/library/python:3.7\n", &format!("docker.io/library/python:3.7@{old}\n"))
        .replace("python:3.9   #", &format!("python:3.9@{new}   #"));
    assert_eq!(world.read("demo.yaml"), pinned);

    let again = world.run(&format!("{command} --verbose")).await;
    assert!(
        again.err.contains(&format!("INFO: python:3.9@{new} already up-to-date in demo.yaml\n")),
        "{again:?}"
    );
    assert!(again.err.ends_with("INFO: no files were updated\n"), "{again:?}");

    // The tag moves, and its pin follows.
    let moved = world.publish("docker.io/library/python:3.9", 3);
    let said = world.run(&format!("{command} --verbose")).await;
    let line = format!("INFO: updating reference python:3.9@{new} to python:3.9@{moved} in demo.yaml\n");
    assert!(said.err.contains(&line), "{said:?}");
    assert_eq!(world.read("demo.yaml"), pinned.replace(&new, &moved));
    // A tag without a digest takes the digests away again.
    assert_eq!(world.run("update --all --matching-tag demo.yaml").await.code, Some(0));
    assert_eq!(world.read("demo.yaml"), template);
}

/// What cru's documentation shows, and beside it what cru does wrong.
#[tokio::test(flavor = "multi_thread")]
async fn does_what_cru_documents_and_mends_what_it_does_wrong() {
    let world = World::start().await;
    let digest = |reference, seed| format!("@{}", world.publish(reference, seed));
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
            "an image to a tag",
            "--image-reference gcr.io/acme/monitor:v0.3.2",
            "image = \"gcr.io/acme/monitor:v0.3.1\"",
            "image = \"gcr.io/acme/monitor:v0.3.2\"",
        ),
        (
            "of this name alone",
            "--image-reference gcr.io/acme/monitor:v1",
            "a gcr.io/acme/monitor:v0 b acme/monitor:v0 c acme/monitor",
            "a gcr.io/acme/monitor:v1 b acme/monitor:v0 c acme/monitor",
        ),
        (
            "to its digest",
            &format!("--resolve-digest --image-reference {v}"),
            "gcr.io/acme/monitor:v0.3.1",
            &format!("{v}{monitor}"),
        ),
        ("the tag back", &format!("--image-reference {v}"), &format!("{v}{old}"), v),
        (
            "from a digest to a tag",
            "--image-reference gcr.io/acme/monitor:latest",
            &format!("gcr.io/acme/monitor{old}"),
            "gcr.io/acme/monitor:latest",
        ),
        (
            "all to latest",
            "--all --resolve-digest",
            "acme/paas:1.0 gcr.io/acme/monitor:v0.3.1",
            &format!("acme/paas:latest{paas} gcr.io/acme/monitor:latest{monitor}"),
        ),
        (
            "all to what they are",
            "--all --matching-tag --resolve-digest",
            "gcr.io/acme/monitor:v0.3.1",
            &format!("gcr.io/acme/monitor:v0.3.1{old}"),
        ),
        (
            "another tag",
            "--resolve-tag --image-reference gcr.io/acme/monitor:latest",
            "gcr.io/acme/monitor:v0.3.1",
            v,
        ),
        // Mended.
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
            "my_org/app:1.0",
            &format!("my_org/app:1.0{under}"),
        ),
        (
            "a digest alone",
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
        (
            "the tail of a name",
            "--all",
            "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/app:1.0",
            "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/app:1.0",
        ),
    ];
    world.write("nothing.txt", "nginx:3\n");
    let said = world.run("update --all --resolve-digest nothing.txt").await;
    assert_eq!((said.code, said.err.as_str()), (Some(0), "INFO: 0 image references found\n"));
    for (what, arguments, before, after) in rows {
        world.write("file.txt", before);
        let said = world.run(&format!("update {arguments} file.txt")).await;
        assert_eq!(world.read("file.txt"), *after, "{what}: {said:?}");
        assert_eq!(said.code, Some(0), "{what}: {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_what_cannot_be_resolved_and_updates_the_rest() {
    let world = World::start().await;
    let digest = world.publish("docker.io/library/python:3.9", 1);
    world.registry("ghcr.io");
    world.write("a.yaml", "image: docker.io/library/python:3.9 # and ghcr.io/acme/gone:1\n");
    world.write("b.yaml", "\nimage: ghcr.io/acme/gone:1\n");
    let said = world.run("update --all --matching-tag --resolve-digest").await;
    assert_eq!(said.code, Some(1), "{said:?}");
    let line = said.err.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(line.starts_with("error: ghcr.io/acme/gone:1 cannot be read: registry says 40"), "{line}");
    assert!(line.contains("It stands in a.yaml:1 and b.yaml:2. "), "{line}");
    assert!(said.err.ends_with("INFO: updated a total of 1 files\n"), "{said:?}");
    let expected = format!("image: docker.io/library/python:3.9@{digest} # and ghcr.io/acme/gone:1\n");
    assert_eq!(world.read("a.yaml"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_changes_nothing_and_says_so_by_its_code() {
    let world = World::start().await;
    let digest = world.publish("docker.io/library/python:3.9", 1);
    let text = "services:\n  a: {image: docker.io/library/python:3.9}\n";
    world.write("compose.yml", text);
    let command = "update --all --matching-tag --resolve-digest --check";
    let said = world.run(command).await;
    let line = format!(
        "compose.yml:2: docker.io/library/python:3.9 would become docker.io/library/python:3.9@{digest}\n"
    );
    assert_eq!((said.code, said.out), (Some(3), line));
    assert_eq!(world.read("compose.yml"), text);
    let json = world.run(&format!("{command} --json --quiet")).await;
    let document: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let change = serde_json::json!({
        "path": "compose.yml", "line": 2, "column": 14,
        "from": "docker.io/library/python:3.9", "to": format!("docker.io/library/python:3.9@{digest}"),
    });
    assert_eq!(document, serde_json::json!({"changes": [change], "failures": []}));
    assert_eq!((json.code, json.err.as_str()), (Some(3), ""));
    assert_eq!(world.run("update --all --matching-tag --resolve-digest").await.code, Some(0));
    assert_eq!(world.run(command).await.code, Some(0));
    // Failing comes first: what could not be asked is not known.
    world.write("other.yml", "docker.io/library/python:9");
    world.write("compose.yml", text);
    assert_eq!(world.run(command).await.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_prints_a_patch() {
    let world = World::start().await;
    world.publish("docker.io/library/python:3.9", 1);
    for name in ["a.txt", "sub/b.txt"] {
        world.write(
            name,
            "1\r\n2\n3\n4 docker.io/library/python:3.9\n5\n6\n7\n8\n9 docker.io/library/python:3.9",
        );
    }
    let said = world.run("update --all --matching-tag --resolve-digest --dry-run").await;
    assert!(said.err.ends_with("INFO: would update a total of 2 files\n"), "{said:?}");
    let before = world.read("sub/b.txt");
    world.write("patch", &said.out);
    let git = std::process::Command::new("git").args(["apply", "patch"]).current_dir(world.folder()).status();
    assert!(git.unwrap().success(), "{}", said.out);
    std::fs::remove_file(world.path("patch")).unwrap();
    let patched = world.read("sub/b.txt");
    assert_ne!(patched, before);
    let said = world.run("update --all --matching-tag --resolve-digest").await;
    assert!(said.err.ends_with("INFO: no files were updated\n"), "{said:?}");
    assert_eq!(world.read("sub/b.txt"), patched);
}

#[tokio::test(flavor = "multi_thread")]
async fn moves_to_the_newest_version_of_the_same_kind_with_its_digest() {
    let world = World::start().await;
    for (seed, tag) in (1..).zip(["3.9", "3.10", "3.13", "4.0", "3.9-slim", "3.12-slim", "3.14rc1"]) {
        world.publish(&format!("docker.io/library/python:{tag}"), seed);
    }
    // More than one page of tags.
    let many = world.registry("ghcr.io");
    many.put_image("acme/app", "1.0.0", &image(20));
    for number in 0..2345 {
        many.tag("acme/app", &format!("0.{number}.0"), image(20).digest());
    }
    many.put_image("acme/app", "2.0.0", &image(21));
    let text = "docker.io/library/python:3.9 docker.io/library/python:3.9-slim ghcr.io/acme/app:1.0.0\n";
    world.write("a.txt", text);
    let digest = |seed| image(seed).digest().to_owned();
    let mark = world.emulator.log().mark();
    let said = world.run("update --all --latest").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let expected = format!(
        "docker.io/library/python:4.0@{} docker.io/library/python:3.12-slim@{} ghcr.io/acme/app:2.0.0@{}\n",
        digest(4),
        digest(6),
        digest(21)
    );
    assert_eq!(world.read("a.txt"), expected);
    assert_eq!(world.emulator.log().pulls(mark), 0);
    let lists = world.emulator.log().of(mark, "tags.list");
    let lists: Vec<_> =
        lists.iter().filter(|entry| entry.status == Some(200)).map(|entry| &entry.target).collect();
    assert_eq!(lists.len(), 1 + 3, "one page of python, three of app: {lists:?}");

    world.write("a.txt", text);
    let said = world.run_with(&["update", "--all", "--semver", "^3.9", "-v"]).await;
    assert!(
        said.err.contains("ghcr.io/acme/app:1.0.0 is left alone: no tag like it is within ^3.9"),
        "{said:?}"
    );
    let expected = format!(
        "docker.io/library/python:3.13@{} docker.io/library/python:3.12-slim@{} ghcr.io/acme/app:1.0.0\n",
        digest(3),
        digest(6)
    );
    assert_eq!(world.read("a.txt"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_the_image_for_a_platform() {
    let world = World::start().await;
    world.publish("docker.io/library/python:3.9", 1);
    world.write("a.txt", "docker.io/library/python:3.9");
    let command = "update --all --matching-tag --resolve-digest --platform";
    assert_eq!(world.run(&format!("{command} linux/arm64")).await.code, Some(0));
    let child = image(1).child("linux/arm64").unwrap().digest.clone();
    assert_eq!(world.read("a.txt"), format!("docker.io/library/python:3.9@{child}"));
    let said = world.run(&format!("{command} linux/s390x")).await;
    let expected = "error: docker.io/library/python:3.9 has no image for platform linux/s390x; it has linux/amd64 and linux/arm64. It stands in a.txt:1. Change --platform, or leave that file out by --exclude.\n";
    assert!(said.err.contains(expected), "{said:?}");
}

/// A login goes to the registry that it is for, and is never shown.
#[tokio::test(flavor = "multi_thread")]
async fn logs_in_as_docker_does() {
    let world = World::start().await;
    let digest = world.publish("ghcr.io/acme/app:1", 1);
    world.publish("docker.io/library/python:3.9", 2);
    let registry = world.registry("ghcr.io");
    registry.add_user("me", "hunter2");
    registry.make_private("acme/app", &["me"]);
    world.write("a.txt", "ghcr.io/acme/app:1 docker.io/library/python:3.9");
    let login = |password: &str| {
        use base64::Engine as _;
        let auth = base64::prelude::BASE64_STANDARD.encode(format!("me:{password}"));
        serde_json::json!({"auths": {"ghcr.io": {"auth": auth}}}).to_string()
    };
    let run = async |config: &str| {
        std::fs::write(world.path(".auth.json"), config).unwrap();
        let mut command =
            world.command(&["update", "--all", "--matching-tag", "--resolve-digest", "-v", "a.txt"]);
        let output = command.env("REGISTRY_AUTH_FILE", world.path(".auth.json")).output().await.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("hunter") && !err.contains("aHVudGVy"), "{err}");
        (output.status.code(), err)
    };
    let (code, err) = run(&login("hunter3")).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("error: ghcr.io/acme/app:1 cannot be read: registry says 40"), "{err}");
    assert!(world.read("a.txt").starts_with("ghcr.io/acme/app:1 docker.io/library/python:3.9@"), "{err}");
    let (code, err) = run(&login("hunter2")).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(world.read("a.txt").starts_with(&format!("ghcr.io/acme/app:1@{digest} ")), "{err}");
    let hub = world.emulator.log().entries().into_iter().filter(|entry| entry.host.ends_with("docker.io"));
    assert!(hub.into_iter().all(|entry| entry.authorization != aws_emulator::Authorization::Basic));
}

/// Docker Hub counts no pull, and each reference is asked for once, however often it is named.
#[tokio::test(flavor = "multi_thread")]
async fn asks_for_each_of_many_references_once_and_pulls_nothing() {
    let world = World::start().await;
    let images: Vec<_> = (0..10).map(image).collect();
    for number in 0..400 {
        let name = format!("library/app{}", number / 4);
        world.registry("docker.io").put_image(&name, &format!("1.{}", number % 4), &images[number % 10]);
    }
    for file in 0..300 {
        let mut text = String::from("Resources:\n");
        for place in 0..7 {
            let number = (file * 7 + place) % 400;
            let name = if place % 2 == 0 { "" } else { "docker.io/library/" };
            text.push_str(&format!(
                "  R{place}:\n    Type: Custom::ContainerImage\n    Properties:\n      ImageReference: {name}app{}:1.{} # {place}\n      RepositoryArn: !GetAtt Repository.Arn\n",
                number / 4,
                number % 4
            ));
        }
        world.write(&format!("stack{}/template{file}.yaml", file % 10), text);
    }
    let mark = world.emulator.log().mark();
    let listed = world.run("list").await;
    assert_eq!(listed.out.lines().count(), 2100, "{}", listed.err);
    assert_eq!(world.emulator.log().since(mark).len(), 0, "listing asks nobody");
    let said = world.run("update --resolve-digest --all --matching-tag").await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.err.ends_with("INFO: updated a total of 300 files\n"), "{}", said.err);
    let log = world.emulator.log();
    let heads: Vec<_> =
        log.of(mark, "manifest.head").into_iter().filter(|entry| entry.status == Some(200)).collect();
    let distinct: std::collections::BTreeSet<_> = heads.iter().map(|entry| entry.target.clone()).collect();
    assert_eq!((heads.len(), distinct.len()), (400, 400), "{:?}", log.counts(mark));
    assert_eq!((log.pulls(mark), log.count(mark, "manifest.get")), (0, 0));
    assert_eq!(world.emulator.docker_hub().remaining(None), Some(100));
}

#[tokio::test(flavor = "multi_thread")]
async fn speaks_in_one_line_of_what_it_does_not_understand() {
    let world = World::start().await;
    for (arguments, expected) in [
        (
            "update",
            "error: the following required arguments were not provided: <--all|--image-reference <REF>>. container-image update --help has the rest.\n",
        ),
        (
            "update --al",
            "error: unexpected argument '--al' found. Perhaps a similar argument exists: '--all'. container-image update --help has the rest.\n",
        ),
        (
            "update --all --commit x",
            "error: the following required arguments were not provided: --repository <URL>. container-image update --help has the rest.\n",
        ),
        (
            "update --image-reference a/b",
            "error: invalid value 'a/b' for '--image-reference <REF>': expected a tag or a digest, such as docker.io/library/python:3.13. container-image update --help has the rest.\n",
        ),
        (
            "lst",
            "error: unrecognized subcommand 'lst'. Perhaps a similar subcommand exists: 'list'. container-image --help has the rest.\n",
        ),
    ] {
        let said = world.run(arguments).await;
        assert_eq!(said, Said { code: Some(2), out: String::new(), err: expected.into() }, "{arguments}");
    }
    let said = world.run("list nowhere").await;
    assert_eq!(
        (said.code, said.err.as_str()),
        (Some(1), "error: nowhere is neither a file nor a folder. Check its spelling.\n")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_completions_and_manual_pages() {
    let world = World::start().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = world.run(&format!("completions {shell}")).await;
        assert!(said.code == Some(0) && said.out.contains("resolve-digest"), "{shell}");
    }
    for (page, holds) in
        [("", "container\\-image"), ("update", "\\-\\-matching\\-tag"), ("list", "\\-\\-no\\-filename")]
    {
        let said = world.run(&format!("man {page}")).await;
        assert!(said.code == Some(0) && said.out.contains(".TH") && said.out.contains(holds), "{page}");
    }
    let version = world.run("--version").await.out;
    assert!(version.starts_with(concat!("container-image ", env!("CARGO_PKG_VERSION"))), "{version}");
}
