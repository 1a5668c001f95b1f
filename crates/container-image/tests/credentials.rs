//! Credential files, credential helpers and URLs with secrets.

#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use common::Sandbox;
use rustix::process::{Pid, Signal, kill_process};

const COPY: &str = "copy docker.io/acme/app:1 docker.io/acme/copy:1";

async fn failed(sandbox: &Sandbox, variables: &[(&str, String)]) -> String {
    let mut command = sandbox.command(&COPY.split(' ').collect::<Vec<_>>());
    let output = command.envs(variables.iter().map(|(name, value)| (name, value))).output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .expect("the program ends")
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(err.lines().count(), 1, "{err}");
    err
}

#[tokio::test(flavor = "multi_thread")]
async fn credential_files_must_be_regular_files() {
    let sandbox = Sandbox::start().await;
    let fifo = sandbox.path("config.json");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let folder = sandbox.folder().display().to_string();
    let err = failed(&sandbox, &[("DOCKER_CONFIG", folder.clone())]).await;
    assert!(err.contains("config.json cannot be read: it is not a regular file"), "{err}");
    let err = failed(&sandbox, &[("REGISTRY_AUTH_FILE", "/dev/zero".into())]).await;
    assert!(err.contains("/dev/zero cannot be read: it is not a regular file"), "{err}");
    let err = failed(&sandbox, &[("REGISTRY_AUTH_FILE", folder)]).await;
    assert!(err.contains("cannot be read: it is a folder"), "{err}");
    sandbox.write("large.json", " ".repeat((1 << 20) + 1));
    let large = sandbox.path("large.json").display().to_string();
    let err = failed(&sandbox, &[("REGISTRY_AUTH_FILE", large)]).await;
    assert!(err.contains("cannot be read: it is larger than 1 MiB"), "{err}");
}

/// Only the program receives the signal, as from a supervisor, so that nothing else ends its children.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn kills_the_children_of_a_helper_on_interrupt() {
    let sandbox = Sandbox::start().await;
    let (helper, pid) = (sandbox.path("docker-credential-hang"), sandbox.path("pid"));
    let script = format!("#!/bin/sh\nsleep 1000 &\necho $! > {0}.new\nmv {0}.new {0}\nwait\n", pid.display());
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.write("config.json", r#"{"credsStore": "hang"}"#);
    let folder = sandbox.folder().display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let mut command = sandbox.command(&COPY.split(' ').collect::<Vec<_>>());
    command.env("DOCKER_CONFIG", &folder).env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    while !pid.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    kill_process(Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap(), Signal::INT).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    let pid = fs::read_to_string(pid).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    while !(state().is_empty() || state().contains(") Z ")) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_contains_the_secrets_of_a_url() {
    let sandbox = Sandbox::start().await;
    for arguments in [
        "update --all --git-repo https://x-access-token:planted-1@127.0.0.1:1/acme/app",
        "update --all --git-repo https://planted-1@127.0.0.1:1/acme/app",
        "update --all --git-repo https://me:pl%61nted-1@127.0.0.1:1/acme/app --json",
        "update --all --git-repo http://127.0.0.1:1/acme/app?private_token=planted-1",
        "list --git-repo https://me:planted-1@127.0.0.1:1/acme/app",
        "list https://me:planted-1@127.0.0.1:1/acme/app",
        "refresh me:planted-1@127.0.0.1:1/acme/list.yaml",
        "copy https://me:planted-1@127.0.0.1:1/acme/app:1 --to open.example/x",
    ] {
        let output = sandbox.run(arguments).await;
        assert_ne!(output.code, Some(0), "{output:?}");
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(output.stderr.starts_with("error: ") && !all.contains("nted-1"), "{arguments}: {all}");
    }
    for reference in ["https://me:planted-1@h.example/app:1", "me:planted-1@h.example/app:1"] {
        let properties = format!("Properties:\n      ImageReference: {reference}\n");
        let template = format!("Resources:\n  Image:\n    Type: Custom::ContainerImage\n    {properties}");
        sandbox.write("template.yaml", template);
        let file = sandbox.path("template.yaml").display().to_string();
        for command in ["list", "update --all --json"] {
            let output = sandbox.run(&format!("{command} {file}")).await;
            let all = format!("{}{}", output.stdout, output.stderr);
            assert!(
                output.stderr.contains("***@h.example/app:1") && !all.contains("ted-1"),
                "{command}: {all}"
            );
        }
    }
    for (arguments, shown) in [
        ("copy https://me:planted-1@h.example/app:1 --to open.example/x", "https://***@h.example/app:1"),
        ("copy me:plan@ted-1@h.example/app:1 --to open.example/x", "***@h.example/app:1"),
        ("copy a.example/x:1 --to open.example/x me:planted-1@h.example/app", "***@h.example/app"),
        ("copy a.example/x:1 --to https://me:planted-1@h.example/app:1", "https://***@h.example/app:1"),
        ("copy a.example/x:1 --to b.example/x:1 --plain-http me:planted-1@h:5000", "***@h:5000"),
        (
            "copy a.example/x:1 --to b.example/x:1 --mirror a.example=https://me:planted-1@h/x",
            "https://***@h/x",
        ),
    ] {
        let output = sandbox.run(arguments).await;
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains(shown) && !all.contains("ted-1"), "{arguments}: {all}");
    }
}
