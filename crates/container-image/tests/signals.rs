//! Signals: every command ends soon, also while it reads, computes or prints.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use common::Sandbox;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

/// Longest wait for a process. No test is this slow.
const LIMIT: Duration = Duration::from_secs(30);

fn id(child: &Child) -> Pid {
    Pid::from_raw(child.id().unwrap().cast_signed()).unwrap()
}

/// Waits until the program handles SIGTERM.
async fn wait_for_handler(child: &Child) {
    let status = format!("/proc/{}/status", child.id().unwrap());
    let is_handled = || {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
        u64::from_str_radix(mask.trim(), 16).unwrap_or_default() & (1 << (Signal::TERM.as_raw() - 1)) != 0
    };
    let handled = async {
        while !is_handled() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, handled).await.unwrap();
}

/// Starts a command, and sends a signal when `is_busy`.
async fn interrupt(mut command: Command, signal: Signal, is_busy: impl Fn() -> bool) -> (ExitStatus, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // Otherwise waiting closes it.
    let _stdin = child.stdin.take();
    wait_for_handler(&child).await;
    while !is_busy() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    kill_process(id(&child), signal).unwrap();
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.unwrap().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_read_standard_input_end() {
    let sandbox = Sandbox::start().await;
    for arguments in [
        "import -",
        "sync - --to registry.example/mirror",
        "tags --rules -",
        "copy docker.io/acme/app:1 --to registry.example/app --customize -",
        "refresh --list -",
    ] {
        for (signal, code, word) in [(Signal::INT, 130, "interrupted: "), (Signal::TERM, 143, "terminated: ")]
        {
            let mut command = sandbox.command(&arguments.split(' ').collect::<Vec<_>>());
            command.stdin(Stdio::piped());
            let (status, err) = interrupt(command, signal, || true).await;
            assert_eq!((status.code(), err.starts_with(word)), (Some(code), true), "{arguments}: {err}");
            assert_eq!(err.lines().count(), 1, "{err}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_read_large_files_end_with_their_state() {
    let sandbox = Sandbox::start().await;
    // The program still reads when the signal arrives.
    let line = "docker.io/library/python:3.9 ".repeat(400_000);
    for number in 0..10 {
        sandbox.write(&format!("{number}.txt"), &line);
    }
    for (arguments, state) in [
        ("list --quiet", "nothing was changed"),
        ("update --all --quiet", "no file was changed"),
        ("update --all --dry-run --quiet", "no file was changed"),
    ] {
        let mut command = sandbox.command(&arguments.split(' ').collect::<Vec<_>>());
        command.stdout(Stdio::null());
        let (status, err) = interrupt(command, Signal::TERM, || true).await;
        assert_eq!((status.code(), err), (Some(143), format!("terminated: {state}.\n")), "{arguments}");
    }
    assert!((0..10).all(|number| sandbox.read(&format!("{number}.txt")) == line));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_output_nobody_reads_ends() {
    let sandbox = Sandbox::start().await;
    let mut many = String::new();
    for number in 0..20_000 {
        writeln!(many, "docker.io/a/b{number}:1").unwrap();
    }
    sandbox.write("many", many);
    let mut command = sandbox.command(&["list"]);
    let (reader, writer) = std::io::pipe().unwrap();
    command.stdout(writer);
    // A pipe holds 64 KiB.
    let is_full = || rustix::io::ioctl_fionread(&reader).unwrap() >= 60_000;
    let (status, err) = interrupt(command, Signal::INT, is_full).await;
    let state = "interrupted: each file and each tag has its old or its new content.\n";
    assert_eq!((status.code(), err.as_str()), (Some(130), state));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_deleted_and_git_ends() {
    let sandbox = Sandbox::start().await;
    let (pid, folder) = (sandbox.path("pid"), sandbox.path("bin"));
    let script = format!("#!/bin/sh\nsleep 1000 &\necho $! > {0}.new\nmv {0}.new {0}\nwait\n", pid.display());
    sandbox.write("bin/git", script);
    sandbox.write("tmp/x", "");
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder.join("git"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = sandbox.command(&["list", "--repository", "https://git.example/a.git"]);
    command.env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()));
    command.env("TMPDIR", sandbox.path("tmp"));
    let (status, err) = interrupt(command, Signal::TERM, || pid.exists()).await;
    assert_eq!((status.code(), err.as_str()), (Some(143), "terminated: nothing was changed.\n"));
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 1);
    let child = fs::read_to_string(pid).unwrap();
    let state = || fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    while !(state().is_empty() || state().contains(") Z ")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
