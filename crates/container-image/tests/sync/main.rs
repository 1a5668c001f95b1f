//! `sync` copies the images of lists.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

#[path = "../common/mod.rs"]
mod common;
mod copy_script;
mod customize;
mod mirror;
mod output;
mod rules;

use std::fmt::Write as _;

use aws_emulator::{LogPosition, Mutability};
use common::Sandbox;
use mirror::Mirror;
use serde_json::Value;

/// Publishes 18 images, and returns a list of them and of two broken ones.
fn publish_eighteen(sandbox: &Sandbox) -> String {
    let mut list = "# Images of the platform team\n".to_owned();
    for at in 1..=9 {
        sandbox.publish(&format!("docker.io/library/base{at}:1.{at}"), at);
        sandbox.publish(&format!("ghcr.io/acme/team/app{at}:v{at}"), 100 + at);
        writeln!(list, "base{at}:1.{at}\nghcr.io/acme/team/app{at}:v{at}  # {at}").unwrap();
    }
    sandbox.publish("ghcr.io/acme/small:1", 300);
    list + "ghcr.io/acme/small:9\n--platform=linux/s390x ghcr.io/acme/small:1\n"
}

/// Returns successful requests to the sources, except for the broken images: operation and repository. The
/// first requests to a registry get a challenge.
fn source_requests(sandbox: &Sandbox, mark: LogPosition) -> Vec<(String, String)> {
    let log = sandbox.emulator.log().since(mark);
    let is_source = |name: &str| name != "acme/small";
    let requests = log.into_iter().filter(|entry| entry.service == "upstream" && entry.status == Some(200));
    let named = requests.filter_map(|entry| Some((entry.operation, entry.repository?)));
    named.filter(|(_, name)| is_source(name)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn eighteen_of_twenty_images_arrive_and_a_second_run_sends_eighteen_head_requests() {
    let sandbox = Mirror::start().await;
    sandbox.write("images.txt", publish_eighteen(&sandbox));
    for at in 1..=9 {
        sandbox.create(&[&format!("base/base{at}"), &format!("base/acme/team/app{at}")]);
    }
    sandbox.create(&["base/acme/small"]);
    let command = "sync images.txt --to MIRROR/base";
    let first = sandbox.run(command).await;
    assert_eq!(first.code, Some(1), "{first:?}");
    for at in 1..=9 {
        let hub = sandbox.registry("docker.io").resolve(&format!("library/base{at}"), &format!("1.{at}"));
        assert_eq!(sandbox.copied(&format!("base/base{at}"), &format!("1.{at}")), hub);
        let github = sandbox.registry("ghcr.io").resolve(&format!("acme/team/app{at}"), &format!("v{at}"));
        assert_eq!(sandbox.copied(&format!("base/acme/team/app{at}"), &format!("v{at}")), github);
        assert!(hub.is_some() && github.is_some());
    }
    let lines = |symbol: char| first.stdout.lines().filter(move |line| line.starts_with(symbol));
    assert_eq!((lines('+').count(), lines('!').count()), (18, 2), "{}", first.stdout);
    let failed: Vec<&str> = lines('!').collect();
    let gone = "! images.txt:20: Image ghcr.io/acme/small:9 was not found: ghcr.io returned 404";
    assert!(
        failed.iter().any(|line| line.starts_with(gone) && line.contains("in the list. (CI-001)")),
        "{failed:?}"
    );
    let platform =
        "! images.txt:21: Image ghcr.io/acme/small:1 is not available for linux/s390x. Available: ";
    assert!(failed.iter().any(|line| line.starts_with(platform)), "{failed:?}");
    assert!(first.stdout.contains("20 images: 18 new, 0 moved, 0 unchanged, 2 failed; "), "{}", first.stdout);
    assert!(first.stdout.ends_with("\nexit code 1: 2 images failed\n"), "{}", first.stdout);

    let mark = sandbox.emulator.log().mark();
    let second = sandbox.run(command).await;
    assert_eq!(second.code, Some(1), "{second:?}");
    assert!(
        second.stdout.contains("20 images: 0 new, 0 moved, 18 unchanged, 2 failed; 0 bytes"),
        "{}",
        second.stdout
    );
    let mut requests = source_requests(&sandbox, mark);
    assert!(requests.iter().all(|(operation, _)| operation == "manifest.head"), "{requests:?}");
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), 18);
    assert_eq!(source_requests(&sandbox, mark).len(), 18, "one request for each image");
    let log = sandbox.emulator.log().since(mark);
    let pulls: Vec<_> = log.into_iter().filter(|entry| entry.is_pull).collect();
    assert!(pulls.iter().all(|pull| pull.repository.as_deref() == Some("acme/small")), "{pulls:?}");
    let writes =
        ["upload.*", "manifest.put", "blob.get"].map(|name| sandbox.emulator.log().count(mark, name));
    assert_eq!(writes, [0, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moved_tag_is_copied_and_check_reports_it_before_without_a_pull() {
    let sandbox = Mirror::start().await;
    sandbox.publish("docker.io/library/nginx:1", 1);
    sandbox.publish("docker.io/library/redis:7", 2);
    sandbox.create(&["nginx", "redis"]);
    let check = "sync nginx:1 redis:7 --to MIRROR --check";
    let missing = sandbox.run(check).await;
    assert_eq!(missing.code, Some(3), "{missing:?}");
    assert!(
        missing.stdout.contains("2 images: 2 new, 0 moved, 0 unchanged, 0 failed\n"),
        "{}",
        missing.stdout
    );
    assert!(missing.stdout.ends_with("exit code 3: 2 images differ from the source; nothing was written\n"));
    assert_eq!(sandbox.emulator.log().pulls(sandbox.emulator.log().start()), 0);
    assert_eq!(sandbox.copied("nginx", "1"), None);
    let digest = sandbox.registry("docker.io").resolve("library/nginx", "1").unwrap();
    let by_digest = format!("sync nginx@{digest} --to MIRROR --check");
    let missing = sandbox.run(&by_digest).await;
    assert_eq!(missing.code, Some(3), "{missing:?}");
    assert!(missing.stdout.starts_with("+ docker.io/library/nginx@"), "{}", missing.stdout);
    assert!(missing.stdout.ends_with("exit code 3: 1 image differs from the source; nothing was written\n"));
    assert_eq!(sandbox.emulator.log().pulls(sandbox.emulator.log().start()), 0);

    assert_eq!(sandbox.run("sync nginx:1 redis:7 --to MIRROR").await.code, Some(0));
    for check in [check, &by_digest] {
        let current = sandbox.run(check).await;
        assert_eq!(current.code, Some(0), "{current:?}");
    }
    let old = sandbox.copied("nginx", "1").unwrap();
    let new = sandbox.publish("docker.io/library/nginx:1", 3);
    let mark = sandbox.emulator.log().mark();
    let differs = sandbox.run(check).await;
    assert_eq!(differs.code, Some(3), "{differs:?}");
    let line = format!("~ docker.io/library/nginx:1 {} (was {})\n", &new[..19], &old[..19]);
    assert!(differs.stdout.contains(&line), "{}", differs.stdout);
    assert_eq!(sandbox.emulator.log().pulls(mark), 0);
    let moved = sandbox.run("sync nginx:1 redis:7 --to MIRROR").await;
    assert_eq!(moved.code, Some(0), "{moved:?}");
    assert_eq!(sandbox.copied("nginx", "1"), Some(new));
    assert!(moved.stdout.contains("2 images: 0 new, 1 moved, 1 unchanged, 0 failed; "), "{}", moved.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reports_sizes_and_failures_and_writes_nothing() {
    let sandbox = Mirror::start().await;
    sandbox.publish("docker.io/library/nginx:1", 1);
    sandbox.create(&["nginx", "acme/gone"]);
    let output = sandbox.run("sync nginx:1 ghcr.io/acme/gone:1 --to MIRROR --dry-run").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let line =
        output.stdout.lines().find(|line| line.starts_with("+ docker.io/library/nginx:1 sha256:")).unwrap();
    assert!(line.contains(", linux/amd64, linux/arm64, ") && line.ends_with(" pulls"), "{line}");
    assert!(output.stdout.contains("; ") && output.stdout.contains(" to copy\n"), "{}", output.stdout);
    assert!(
        output.stdout.contains("\nDocker Hub: 3 pulls needed, 97 of 100 pulls left for "),
        "{}",
        output.stdout
    );
    assert_eq!(sandbox.emulator.log().count(sandbox.emulator.log().start(), "upload.*"), 0);
    assert_eq!(sandbox.copied("nginx", "1"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sources_of_one_destination_are_an_error_before_any_request() {
    let sandbox = Mirror::start().await;
    sandbox.write("a.txt", "nginx:1\nquay.io/team/nginx:1\n--alias=nginx quay.io/acme/nginx:1\n");
    sandbox.write("b.yaml", "images:\n- nginx:1\n- {source: 'nginx:1', platform: linux/arm64}\n");
    let output = sandbox.run("sync a.txt b.yaml --to MIRROR").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert_eq!(
        output.stderr.replace(&sandbox.host, "MIRROR"),
        "error: docker.io/library/nginx:1 (a.txt:1) and quay.io/acme/nginx:1 (a.txt:3) have the same destination MIRROR/nginx:1. Remove one, or change its repository (--alias in a plain list).\n\
         error: docker.io/library/nginx:1 (a.txt:1) and docker.io/library/nginx:1 (b.yaml:3) have different platforms for MIRROR/nginx:1. Remove one, or change its repository (--alias in a plain list).\n"
    );
    assert_eq!(sandbox.emulator.log().entries().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_arguments_and_lists_are_usage_errors() {
    let sandbox = Mirror::start().await;
    sandbox.write("bad.txt", "nginx\nNginx\n");
    sandbox.write("regsync.yaml", "sync:\n- {source: 'a:1', target: 'other.example/a:1', type: image}\n");
    sandbox.write("empty.txt", "# nothing\n");
    sandbox.write("good.txt", "nginx\nredis\n");
    sandbox.write("folder/images.txt", "nginx\n");
    for (arguments, expected) in [
        ("bad.txt --to MIRROR", "bad.txt:2: \"Nginx\" is not a repository name"),
        ("missing.txt --to MIRROR", "the list missing.txt was not found. Correct the path."),
        ("/dev/null --to MIRROR", "the list /dev/null is not a regular file. Pass - and use standard input."),
        ("Nginx --to MIRROR", "\"Nginx\" is neither a file nor a reference: "),
        ("nginx", "the destination nginx has no registry. Add --to.\n"),
        ("good.txt", "good.txt:1: the destination nginx has no registry. Add --to.\n"),
        (
            "nginx --to base",
            "invalid value 'base' for '--to <PREFIX>': the registry is missing; for Docker Hub, pass docker.io/base.",
        ),
        (
            "nginx --to https://MIRROR/base",
            "invalid value 'https://MIRROR/base' for '--to <PREFIX>': remove https://.",
        ),
        (
            "nginx --to MIRROR/Base",
            "invalid value 'MIRROR/Base' for '--to <PREFIX>': expected a registry, with or without lower-case names, ",
        ),
        (
            "nginx --to MIRROR --report none/out.json",
            "the report none/out.json cannot be written: No such file or directory. Correct --report, ",
        ),
        (
            "nginx --to MIRROR --report .",
            "the report . cannot be written: it is not a regular file. Correct --report",
        ),
        ("regsync.yaml --to MIRROR", "regsync.yaml:2: the destination other.example/a is not below MIRROR."),
        ("empty.txt --to MIRROR", "the list empty.txt contains no image. Add a reference.\n"),
        ("- --to MIRROR", "standard input contains no image. Add a reference.\n"),
        ("folder --to MIRROR", "folder is a folder. Pass a list, or add the tag of an image.\n"),
        ("nginx --to MIRROR --check --dry-run", "the argument '--check' cannot be used with '--dry-run'"),
    ] {
        let output = sandbox.run(&format!("sync {arguments}")).await;
        assert_eq!(output.code, Some(2), "{arguments}: {output:?}");
        let err = output.stderr.replace(&sandbox.host, "MIRROR");
        assert!(err.starts_with(&format!("error: {expected}")), "{arguments}: {err}");
        assert_eq!(err.lines().count(), 1, "{arguments}: {err}");
    }
    assert_eq!(sandbox.emulator.log().entries().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_a_regsync_list_from_standard_input_without_a_prefix() {
    let sandbox = Mirror::start().await;
    sandbox.publish("docker.io/acme/agent:1", 1);
    sandbox.publish("docker.io/acme/agent:2", 2);
    sandbox.create(&["team/agent"]);
    let list = "sync:\n- source: acme/agent\n  target: MIRROR/team/agent\n  type: repository\n  tags: {allow: ['1', '2']}\n";
    sandbox.write("list", list.replace("MIRROR", &sandbox.host));
    let mut command = sandbox.command("sync -");
    command.stdin(std::fs::File::open(sandbox.path("list")).unwrap());
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(sandbox.copied("team/agent", "1").is_some() && sandbox.copied("team/agent", "2").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_limit_fails_only_images_that_need_pulls() {
    let sandbox = Mirror::start().await;
    for reference in ["docker.io/library/old:1", "docker.io/library/new:1", "docker.io/library/other:1"] {
        sandbox.publish(reference, reference.len() as u64);
    }
    sandbox.publish("ghcr.io/acme/app:1", 50);
    sandbox.create(&["old", "new", "other", "acme/app"]);
    assert_eq!(sandbox.run("sync old:1 --to MIRROR").await.code, Some(0));
    sandbox.registry("docker.io").set_remaining_pulls(None, 0);
    let output = sandbox.run("sync old:1 new:1 other:1 ghcr.io/acme/app:1 --to MIRROR").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("4 images: 1 new, 0 moved, 1 unchanged, 2 failed"), "{}", output.stdout);
    let failed: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with('!')).collect();
    assert!(
        failed.iter().all(|line| line.contains("0 of 100 pulls left") && line.contains("(CI-010)")),
        "{failed:?}"
    );
    assert!(sandbox.copied("acme/app", "1").is_some());
}

/// A registry that cannot be reached costs its timeouts once.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_registry_fails_its_images_and_no_others() {
    let sandbox = Mirror::start().await;
    sandbox.publish("docker.io/library/nginx:1", 1);
    sandbox.create(&["nginx"]);
    (0..50).for_each(|at| sandbox.create(&[&format!("app{at}")]));
    let list: String = (0..50).map(|at| format!("unknown.example/app{at}:1\n")).collect();
    sandbox.write("images.txt", list + "nginx:1\n");
    let output = sandbox.run("sync images.txt --to MIRROR --jobs 2").await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stdout.contains("51 images: 1 new, 0 moved, 0 unchanged, 50 failed"), "{}", output.stdout);
    let attempts =
        sandbox.emulator.log().entries().iter().filter(|entry| entry.host == "unknown.example").count();
    assert!(attempts < 50, "{attempts} requests");
    let failed: Vec<&str> = output.stdout.lines().filter(|line| line.starts_with('!')).collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed[0].contains("unknown.example/app"), "{failed:?}");
    assert_eq!(
        failed[1],
        "! 49 more images of unknown.example failed for the same reason. --verbose lists them."
    );
    let quiet = sandbox.run("sync images.txt --to MIRROR --jobs 2 --quiet").await;
    assert_eq!(quiet.stderr.lines().count(), 2, "{quiet:?}");
    let verbose = sandbox.run("sync images.txt --to MIRROR --jobs 2 --verbose").await;
    assert_eq!(verbose.stdout.lines().filter(|line| line.starts_with('!')).count(), 50, "{verbose:?}");
}

/// A supervisor ends the program while an image is copied.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_reports_complete_images_and_a_second_run_skips_them() {
    use aws_emulator::{Effect, Fault};
    use rustix::process::{Pid, Signal, kill_process};
    let sandbox = Mirror::start().await;
    for at in 1..=3 {
        sandbox.publish(&format!("docker.io/library/app{at}:1"), at);
    }
    sandbox.create(&["app1", "app2", "app3"]);
    let stall = Fault::on("upload.*", Effect::Delay { ms: 60_000 }).path("/app3/");
    sandbox.emulator.faults().add(stall);
    let mut child = sandbox.command("sync app1:1 app2:1 app3:1 --to MIRROR --report out.json");
    child.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = child.spawn().unwrap();
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    let is_waiting = || {
        let complete = ["app1", "app2"].iter().all(|name| sandbox.copied(name, "1").is_some());
        complete && sandbox.emulator.faults().hit_count() > 0
    };
    for _ in 0..3000 {
        if is_waiting() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    kill_process(pid, Signal::INT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(130), "{out}{err}");
    assert!(
        err.starts_with("interrupted: ")
            && err.contains(" of 3 images are complete; a second run skips them"),
        "{err}"
    );
    assert_eq!(sandbox.copied("app3", "1"), None);
    sandbox.emulator.faults().clear();
    let again = sandbox.run("sync app1:1 app2:1 app3:1 --to MIRROR").await;
    assert!(again.stdout.contains("3 images: 1 new, 0 moved, 2 unchanged, 0 failed"), "{}", again.stdout);
}

/// A nightly run over 1500 unchanged images.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_list() {
    const MAX_KIB: u64 = 64 << 10;
    let sandbox = Mirror::start().await;
    let images = [1, 2, 3].map(common::image);
    let hub = sandbox.registry("docker.io");
    let mut list = "images:\n".to_owned();
    for at in 0..500 {
        let (source, name) = (format!("acme/app{at}"), format!("m/acme/app{at}"));
        let arn = sandbox.emulator.repository_arn(&name);
        let repository = sandbox.emulator.ecr().create_repository(&arn, Mutability::Mutable);
        for (tag, image) in ["1", "2", "3"].iter().zip(&images) {
            hub.put_image(&source, tag, image);
            repository.put_image(Some(tag), image);
        }
        writeln!(list, "- {{source: {source}, tags: [1, 2, 3]}}").unwrap();
    }
    sandbox.write("images.yaml", list);
    let mark = sandbox.emulator.log().mark();
    let started = std::time::Instant::now();
    let mut child = sandbox.command("sync images.yaml --to MIRROR/m --json");
    let mut child = child.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id().unwrap());
    let mut stdout = child.stdout.take().unwrap();
    let reading = tokio::spawn(async move {
        let mut text = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stdout, &mut text).await.map(|_| text)
    });
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let elapsed = started.elapsed();
    let summary: Value = serde_json::from_str(&reading.await.unwrap().unwrap()).unwrap();
    assert_eq!(summary["summary"]["unchanged"], 1500, "{}", summary["summary"]);
    let log = sandbox.emulator.log();
    assert_eq!(log.pulls(mark), 0);
    println!("{peak} KiB, {:.1} s, requests: {:?}", elapsed.as_secs_f64(), log.counts(mark));
    assert!(peak > 0 && peak < MAX_KIB, "{peak} KiB");
}
