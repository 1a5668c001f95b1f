//! Requests of `update` to registries, and their results.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use common::{Sandbox, image};

#[tokio::test(flavor = "multi_thread")]
async fn moves_to_the_newest_version_of_the_same_kind_with_its_digest() {
    let sandbox = Sandbox::start().await;
    for (seed, tag) in (1..).zip(["3.9", "3.10", "3.13", "4.0", "3.9-slim", "3.12-slim", "3.14rc1"]) {
        sandbox.publish(&format!("docker.io/library/python:{tag}"), seed);
    }
    // The list of tags has several pages.
    let many = sandbox.registry("ghcr.io");
    many.put_image("acme/app", "1.0.0", &image(20));
    for number in 0..2345 {
        many.tag("acme/app", &format!("0.{number}.0"), image(20).digest());
    }
    many.put_image("acme/app", "2.0.0", &image(21));
    let text = "docker.io/library/python:3.9 docker.io/library/python:3.9-slim ghcr.io/acme/app:1.0.0\n";
    sandbox.write("a.txt", text);
    let digest = |seed| image(seed).digest().to_owned();
    let mark = sandbox.emulator.log().mark();
    let output = sandbox.run("update --all --latest").await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let expected = format!(
        "docker.io/library/python:4.0@{} docker.io/library/python:3.12-slim@{} ghcr.io/acme/app:2.0.0@{}\n",
        digest(4),
        digest(6),
        digest(21)
    );
    assert_eq!(sandbox.read("a.txt"), expected);
    assert_eq!(sandbox.emulator.log().pulls(mark), 0);
    let lists = sandbox.emulator.log().matching(mark, "tags.list");
    let lists: Vec<_> =
        lists.iter().filter(|entry| entry.status == Some(200)).map(|entry| &entry.target).collect();
    assert_eq!(lists.len(), 1 + 3, "one page of python, three of app: {lists:?}");

    sandbox.write("a.txt", text);
    let output = sandbox.run_with(&["update", "--all", "--semver", "^3.9"]).await;
    assert!(
        output
            .stderr
            .contains("ghcr.io/acme/app:1.0.0 was not changed: no tag of the same kind is within ^3.9"),
        "{output:?}"
    );
    let expected = format!(
        "docker.io/library/python:3.13@{} docker.io/library/python:3.12-slim@{} ghcr.io/acme/app:1.0.0\n",
        digest(3),
        digest(6)
    );
    assert_eq!(sandbox.read("a.txt"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn pins_the_image_for_a_platform() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("a.txt", "docker.io/library/python:3.9");
    let command = "update --all --matching-tag --resolve-digest --platform";
    let mark = sandbox.emulator.log().mark();
    assert_eq!(sandbox.run(&format!("{command} linux/arm64")).await.code, Some(0));
    let log = sandbox.emulator.log();
    assert_eq!((log.pulls(mark), log.count(mark, "manifest.head")), (1, 0), "{:?}", log.counts(mark));
    let child = image(1).child("linux/arm64").unwrap().digest.clone();
    assert_eq!(sandbox.read("a.txt"), format!("docker.io/library/python:3.9@{child}"));
    let output = sandbox.run(&format!("{command} linux/s390x")).await;
    let expected = "error: Image docker.io/library/python:3.9 is not available for linux/s390x. Available: linux/amd64 and linux/arm64. Found in a.txt:1. Change --platform, or exclude the file with --exclude. (CI-029)\n";
    assert!(output.stderr.contains(expected), "{output:?}");
}

/// Credentials reach only their registry, and are never printed.
#[tokio::test(flavor = "multi_thread")]
async fn sends_the_credentials_of_docker() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("ghcr.io/acme/app:1", 1);
    sandbox.publish("docker.io/library/python:3.9", 2);
    let registry = sandbox.registry("ghcr.io");
    registry.add_user("me", "hunter2");
    registry.make_private("acme/app", &["me"]);
    sandbox.write("a.txt", "ghcr.io/acme/app:1 docker.io/library/python:3.9");
    let config_with = |password: &str| {
        use base64::Engine as _;
        let auth = base64::prelude::BASE64_STANDARD.encode(format!("me:{password}"));
        serde_json::json!({"auths": {"ghcr.io": {"auth": auth}}}).to_string()
    };
    let run = async |config: &str| {
        std::fs::write(sandbox.path(".auth.json"), config).unwrap();
        let mut command =
            sandbox.command(&["update", "--all", "--matching-tag", "--resolve-digest", "-v", "a.txt"]);
        let output = command.env("REGISTRY_AUTH_FILE", sandbox.path(".auth.json")).output().await.unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!err.contains("hunter") && !err.contains("aHVudGVy"), "{err}");
        (output.status.code(), err)
    };
    let (code, err) = run(&config_with("hunter3")).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("error: Image ghcr.io/acme/app:1 could not be read: ghcr.io returned 40"), "{err}");
    assert!(sandbox.read("a.txt").starts_with("ghcr.io/acme/app:1 docker.io/library/python:3.9@"), "{err}");
    let (code, err) = run(&config_with("hunter2")).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(sandbox.read("a.txt").starts_with(&format!("ghcr.io/acme/app:1@{digest} ")), "{err}");
    let hub = sandbox.emulator.log().entries().into_iter().filter(|entry| entry.host.ends_with("docker.io"));
    assert!(hub.into_iter().all(|entry| entry.authorization != aws_emulator::Authorization::Basic));
}

/// Docker Hub counts no pulls, and each reference is requested once.
#[tokio::test(flavor = "multi_thread")]
async fn sends_one_head_request_per_reference() {
    let sandbox = Sandbox::start().await;
    let images: Vec<_> = (0..10).map(image).collect();
    for number in 0..400 {
        let name = format!("library/app{}", number / 4);
        sandbox.registry("docker.io").put_image(&name, &format!("1.{}", number % 4), &images[number % 10]);
    }
    for file in 0..300 {
        let mut text = String::from("Resources:\n");
        for index in 0..7 {
            let number = (file * 7 + index) % 400;
            let name = if index % 2 == 0 { "" } else { "docker.io/library/" };
            text.push_str(&format!(
                "  R{index}:\n    Type: Custom::ContainerImage\n    Properties:\n      ImageReference: {name}app{}:1.{} # {index}\n      RepositoryArn: !GetAtt Repository.Arn\n",
                number / 4,
                number % 4
            ));
        }
        sandbox.write(&format!("stack{}/template{file}.yaml", file % 10), text);
    }
    let mark = sandbox.emulator.log().mark();
    let listed = sandbox.run("list").await;
    assert_eq!(listed.stdout.lines().count(), 2100, "{}", listed.stderr);
    assert_eq!(sandbox.emulator.log().since(mark).len(), 0, "list sends no requests");
    #[cfg(unix)]
    assert!(cpu_seconds_of_list(&sandbox).await < 1.0, "CPU seconds of the unoptimized program");
    let output = sandbox.run("update --resolve-digest --all --matching-tag").await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.ends_with("INFO: updated a total of 300 files\n"), "{}", output.stderr);
    let log = sandbox.emulator.log();
    let heads: Vec<_> =
        log.matching(mark, "manifest.head").into_iter().filter(|entry| entry.status == Some(200)).collect();
    let distinct: std::collections::BTreeSet<_> = heads.iter().map(|entry| entry.target.clone()).collect();
    assert_eq!((heads.len(), distinct.len()), (400, 400), "{:?}", log.counts(mark));
    assert_eq!((log.pulls(mark), log.count(mark, "manifest.get")), (0, 0));
    assert_eq!(sandbox.emulator.docker_hub().remaining_pulls(None), Some(100));
}

/// Returns the CPU seconds of `list`, user and system, from the shell's `times`.
#[cfg(unix)]
async fn cpu_seconds_of_list(sandbox: &Sandbox) -> f64 {
    let mut command = tokio::process::Command::new("sh");
    let script = format!("{} list > list.txt; times", common::PROGRAM);
    command.args(["-c", &script]).current_dir(sandbox.folder()).env_clear().envs(sandbox.environment());
    let output = command.output().await.unwrap();
    std::fs::remove_file(sandbox.path("list.txt")).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // The second line has the times of child processes: 0m0.123000s 0m0.045000s
    let times = text.lines().nth(1).unwrap().split_whitespace();
    let seconds = times.map(|time| {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    });
    let used = seconds.sum();
    assert!(used > 0.0, "{text}");
    used
}

/// One token serves all references in a Region.
#[tokio::test(flavor = "multi_thread")]
async fn uses_aws_credentials_for_ecr() {
    let sandbox = Sandbox::start().await;
    let arn = sandbox.emulator.repository_arn("base/python");
    let repository = sandbox.emulator.ecr().create_repository(&arn, aws_emulator::Mutability::Mutable);
    for tag in ["3.9", "3.13"] {
        repository.put_image(Some(tag), &image(1));
    }
    let uri = repository.uri();
    sandbox.write("a.txt", format!("{uri}:3.9 {uri}:3.13\n"));
    let command = "update --all --matching-tag --resolve-digest a.txt";
    let output = sandbox.run_without_aws_credentials(command).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let expected = "no AWS credentials are configured. Found in a.txt:1; 1 other reference has the same failure (--verbose lists it). Sign in to AWS (aws login, or aws sso login), or select a profile with --profile. (CI-009)\n";
    assert!(output.stderr.contains(expected), "{output:?}");
    let mark = sandbox.emulator.log().mark();
    let output = sandbox.run(command).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let digest = image(1).digest().to_owned();
    assert_eq!(sandbox.read("a.txt"), format!("{uri}:3.9@{digest} {uri}:3.13@{digest}\n"));
    assert_eq!(sandbox.emulator.log().count(mark, "ecr:GetAuthorizationToken"), 1);
}
