//! Symbolic links: those that the user names are followed, and no other.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use aws_emulator::{Effect, Fault};
use common::{RunOutput, Sandbox};

const PIN: &str = "update --all --matching-tag --resolve-digest --quiet";
const LINE: &str = "FROM docker.io/library/python:3.9\n";

/// Runs `update`, and changes the tree while the registry responds.
async fn update_while(sandbox: &Sandbox, argument: &str, change: impl FnOnce()) -> RunOutput {
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.emulator.faults().add(Fault::on("manifest.head", Effect::Delay { ms: 300 }));
    let mark = sandbox.emulator.log().mark();
    let changing = async {
        while sandbox.emulator.log().count(mark, "manifest.head") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        change();
    };
    let arguments = format!("{PIN} {argument}");
    let (output, ()) = tokio::join!(sandbox.run(&arguments), changing);
    output
}

/// Moves a file or folder away, and puts a link to its new place there.
fn swap(path: &Path, outside: &Path) {
    fs::rename(path, outside).unwrap();
    symlink(outside, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_becomes_a_link_is_not_changed() {
    for argument in [".", "sub", "sub/a.txt"] {
        let (sandbox, outside) = (Sandbox::start().await, tempfile::tempdir().unwrap());
        sandbox.write("sub/a.txt", LINE);
        let victim = outside.path().join("victim");
        let output = update_while(&sandbox, argument, || swap(&sandbox.path("sub/a.txt"), &victim)).await;
        let error = "error: sub/a.txt was not changed: it was replaced by a symbolic link meanwhile.\n";
        assert_eq!((output.code, output.stderr.as_str()), (Some(1), error), "{argument}");
        assert_eq!(fs::read_to_string(victim).unwrap(), LINE, "{argument}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_below_a_folder_that_becomes_a_link_is_not_changed() {
    for (argument, swapped) in
        [(".", "sub"), ("sub", "sub"), ("sub/deep/a.txt", "sub/deep"), (".", "sub/deep")]
    {
        let (sandbox, outside) = (Sandbox::start().await, tempfile::tempdir().unwrap());
        sandbox.write("sub/deep/a.txt", LINE);
        let victim = outside.path().join("victim");
        let output = update_while(&sandbox, argument, || swap(&sandbox.path(swapped), &victim)).await;
        let error = "error: sub/deep/a.txt was not changed: a folder of its path was replaced meanwhile.\n";
        assert_eq!((output.code, output.stderr.as_str()), (Some(1), error), "{argument} {swapped}");
        assert_eq!(sandbox.read("sub/deep/a.txt"), LINE, "{argument} {swapped}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_the_user_names_are_followed_and_kept() {
    let sandbox = Sandbox::start().await;
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    for argument in ["link", "folder", "folder/a.txt", "real link folder"] {
        sandbox.write("real/a.txt", LINE);
        let _ = fs::remove_file(sandbox.path("link"));
        let _ = fs::remove_file(sandbox.path("folder"));
        symlink("real/a.txt", sandbox.path("link")).unwrap();
        symlink("real", sandbox.path("folder")).unwrap();
        let output = sandbox.run(&format!("{PIN} {argument}")).await;
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{argument}");
        assert_eq!(sandbox.read("real/a.txt"), format!("FROM docker.io/library/python:3.9@{digest}\n"));
        assert!(sandbox.path("link").is_symlink() && sandbox.path("folder").is_symlink());
        assert_eq!(fs::read_dir(sandbox.path("real")).unwrap().count(), 1);
    }
}
