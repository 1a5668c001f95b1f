//! Unusual files, full disks and interruptions: no file is lost or half-written.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use aws_emulator::{Effect, Fault};
use common::{PROGRAM, Sandbox, image};

const PIN: &str = "update --all --matching-tag --resolve-digest";
const LINE: &str = "FROM docker.io/library/python:3.9\n";

#[tokio::test(flavor = "multi_thread")]
async fn updates_large_and_unusual_files() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    let pinned = format!("FROM docker.io/library/python:3.9@{digest}\n");
    let filling = "# nothing to see here/there: 1\n".repeat(25 * 1024 * 1024 / 31);
    sandbox.write("large.txt", format!("{filling}{LINE}{filling}"));
    sandbox.write("latin", [b"# \xe9\n", LINE.as_bytes(), b"\xff\xfe"].concat());
    sandbox.write("binary", [b"\x7fELF\0", LINE.as_bytes()].concat());
    let mut bomb = String::from("a0: &a0 [x]\n");
    for level in 1..200 {
        writeln!(bomb, "a{level}: &a{level} [{}*a{}]", format!("*a{}, ", level - 1).repeat(9), level - 1)
            .unwrap();
    }
    let image =
        "Resources: {I: {Type: Custom::ContainerImage, Properties: {ImageReference: 'python:3.9'}}}\n";
    sandbox.write("bomb.yaml", format!("{bomb}{image}"));
    sandbox.write("deep.json", format!("{{\"Resources\": \"AWS::\", \"x\": {}", "[".repeat(200_000)));

    let output = sandbox.run(PIN).await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let note = "note: deep.json:1: the template is invalid (";
    assert!(output.stderr.contains(note), "{}", output.stderr);
    assert!(sandbox.read("large.txt") == format!("{filling}{pinned}{filling}"));
    assert_eq!(
        fs::read(sandbox.path("latin")).unwrap(),
        [b"# \xe9\n", pinned.as_bytes(), b"\xff\xfe"].concat()
    );
    assert_eq!(fs::read(sandbox.path("binary")).unwrap(), [b"\x7fELF\0", LINE.as_bytes()].concat());
    let after = image.replace("python:3.9", &format!("python:3.9@{digest}"));
    assert_eq!(sandbox.read("bomb.yaml"), format!("{bomb}{after}"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn reports_a_read_only_file_and_updates_the_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    for name in ["a", "b", "c"] {
        sandbox.write(name, LINE);
    }
    fs::set_permissions(sandbox.path("b"), fs::Permissions::from_mode(0o444)).unwrap();
    let output = sandbox.run(PIN).await;
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("error: b was not changed: it is read-only.\n"), "{output:?}");
    assert!(output.stderr.ends_with("INFO: updated a total of 2 files\n"), "{output:?}");
    let json = sandbox.run(&format!("{PIN} --json")).await;
    assert!(json.stdout.contains("\"message\": \"b was not changed: it is read-only.\""), "{json:?}");
    assert!(json.stdout.contains("\"changes\": []"), "{json:?}");
    assert_eq!(sandbox.read("b"), LINE);
    assert_eq!(sandbox.read("c"), format!("FROM docker.io/library/python:3.9@{digest}\n"));
}

/// A file size limit makes writing fail like a full disk.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_file() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    let content = LINE.repeat(40);
    sandbox.write("a", &content);
    let script = format!("trap '' XFSZ; ulimit -f 1; exec {PROGRAM} {PIN}");
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", &script]).current_dir(sandbox.folder()).env_clear().envs(sandbox.environment());
    let output = command.output().await.unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    let line = "error: a was not changed: the new content cannot be written: File too large.\n";
    assert!(err.contains(line), "{err}");
    assert_eq!(sandbox.read("a"), content);
    assert_eq!(sandbox.names(), ["a"]);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_during_requests_changes_no_file() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("a", LINE);
    let slow = Effect::Delay { ms: 60_000 };
    sandbox.emulator.faults().add(Fault::on("manifest.head", slow));
    let mark = sandbox.emulator.log().mark();
    let mut command = sandbox.command(&PIN.split(' ').collect::<Vec<_>>());
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let first_request = async {
        while sandbox.emulator.log().count(mark, "manifest.head") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), first_request).await.unwrap();
    let id = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let ended =
        tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await.unwrap().unwrap();
    let err = common::without_times(&String::from_utf8(ended.stderr).unwrap());
    assert_eq!(ended.status.code(), Some(130), "{err}");
    assert_eq!(err, "INFO: 1 image references found\ninterrupted: no file was changed.\n");
    assert_eq!((sandbox.read("a").as_str(), sandbox.names()), (LINE, vec!["a".to_owned()]));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_between_two_files_leaves_each_file_old_or_new() {
    const FILES: usize = 1000;
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    for number in 0..FILES {
        sandbox.write(&format!("{number:04}"), LINE);
    }
    let mut command = sandbox.command(&PIN.split(' ').collect::<Vec<_>>());
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let begun = async {
        while sandbox.read("0000") == LINE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    let id = rustix::process::Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let ended =
        tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await.unwrap().unwrap();
    let err = String::from_utf8(ended.stderr).unwrap();
    let pinned = format!("FROM docker.io/library/python:3.9@{digest}\n");
    let contents: Vec<String> = sandbox.names().iter().map(|name| sandbox.read(name)).collect();
    let new = contents.iter().filter(|content| **content == pinned).count();
    let old = contents.iter().filter(|content| **content == LINE).count();
    assert_eq!((contents.len(), new + old), (FILES, FILES), "{err}");
    assert_eq!(ended.status.code(), Some(130), "{err}");
    let files = if new == 1 { "1 file was".to_owned() } else { format!("{new} files were") };
    assert!(
        err.ends_with(&format!("interrupted: {files} updated, and no other was changed.\n")),
        "{new}: {err}"
    );
}

/// The file changes while the registry responds.
#[tokio::test(flavor = "multi_thread")]
async fn does_not_overwrite_a_file_that_changed_meanwhile() {
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("a", LINE);
    let slow = Effect::Delay { ms: 300 };
    sandbox.emulator.faults().add(Fault::on("manifest.head", slow));
    let mark = sandbox.emulator.log().mark();
    let editor = async {
        while sandbox.emulator.log().count(mark, "manifest.head") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sandbox.write("a", "theirs\n");
    };
    let (output, ()) = tokio::join!(sandbox.run(PIN), editor);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stderr.contains("error: a was not changed: another program changed it meanwhile.\n"),
        "{output:?}"
    );
    assert_eq!(sandbox.read("a"), "theirs\n");

    sandbox.write("a", LINE);
    let mark = sandbox.emulator.log().mark();
    let remover = async {
        while sandbox.emulator.log().count(mark, "manifest.head") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        fs::remove_file(sandbox.path("a")).unwrap();
    };
    let (output, ()) = tokio::join!(sandbox.run(PIN), remover);
    assert!(output.stderr.contains("error: a was not changed: No such file or directory.\n"), "{output:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_to_stdout_is_a_failure_unless_the_pipe_is_closed() {
    let sandbox = Sandbox::start().await;
    sandbox.write("a", LINE.repeat(3));
    let run = async |script: &str| {
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", script]).current_dir(sandbox.folder()).env_clear().envs(sandbox.environment());
        let output = command.output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, err) = run(&format!("{PROGRAM} list > /dev/full")).await;
    assert_eq!(code, Some(1));
    assert!(err.starts_with("error: standard output cannot be written: No space left"), "{err}");
    sandbox.publish("docker.io/library/python:3.9", 1);
    let check = format!("{PROGRAM} update --all --matching-tag --resolve-digest --check");
    assert_eq!(run(&check).await.0, Some(3));
    assert_eq!(run(&format!("{check} > /dev/full")).await.0, Some(1));
    let mut many = String::new();
    for number in 0..20_000 {
        writeln!(many, "a/b{number}:1").unwrap();
    }
    sandbox.write("many", many);
    let (code, err) = run(&format!("{PROGRAM} list | head -n 1")).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("run.sh", LINE);
    fs::set_permissions(sandbox.path("run.sh"), fs::Permissions::from_mode(0o751)).unwrap();
    assert_eq!(sandbox.run(PIN).await.code, Some(0));
    let mode = fs::metadata(sandbox.path("run.sh")).unwrap().permissions().mode();
    assert_eq!((mode & 0o777, sandbox.names().len()), (0o751, 1));
    assert!(sandbox.read("run.sh").contains(image(1).digest()));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn reports_unreadable_files_and_lists_the_rest() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::start().await;
    for name in ["closed/a", "secret", "open"] {
        sandbox.write(name, LINE);
    }
    let set = |name: &str, mode| {
        fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    [("", 0o755), ("closed", 0), ("secret", 0)].into_iter().for_each(|(name, mode)| set(name, mode));
    let mut command = unprivileged_command(&sandbox, "list");
    let output = command.output().await.unwrap();
    set("closed", 0o755);
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), out.as_str()), (Some(1), "open:docker.io/library/python:3.9\n"));
    let expected = "error: closed cannot be read: Permission denied. It was skipped.\nerror: secret cannot be read: Permission denied.\n";
    assert_eq!(err, expected);
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn reports_a_read_only_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::start().await;
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("ro/b.txt", LINE);
    let set = |name: &str, mode| {
        fs::set_permissions(sandbox.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    [("", 0o755), ("ro/b.txt", 0o666), ("ro", 0o555)].into_iter().for_each(|(name, mode)| set(name, mode));
    let output = unprivileged_command(&sandbox, &format!("{PIN} ro")).output().await.unwrap();
    set("ro", 0o755);
    let err = String::from_utf8(output.stderr).unwrap();
    let line = "error: ro/b.txt was not changed: its folder must be writable, because a new file replaces it: Permission denied.\n";
    assert!(output.status.code() == Some(1) && err.contains(line), "{err}");
    assert_eq!(sandbox.read("ro/b.txt"), LINE);
}

/// Returns a command without privileges.
///
/// The superuser can do anything, and other users cannot reach the build folder. `cp` copies the program,
/// so that no child of a concurrent test has the copy open.
#[cfg(unix)]
fn unprivileged_command(sandbox: &Sandbox, arguments: &str) -> tokio::process::Command {
    let program = sandbox.path("program");
    assert!(
        std::process::Command::new("cp").arg(PROGRAM).arg(&program).status().expect("cp exists").success()
    );
    let mut command = tokio::process::Command::new(program);
    command.args(arguments.split(' ')).current_dir(sandbox.folder());
    command.env_clear().envs(sandbox.environment()).env("HOME", sandbox.folder());
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    command
}
