//! Errors of the argument parser, completions and manual pages.

mod common;

use common::{RunOutput, Sandbox};

#[tokio::test(flavor = "multi_thread")]
async fn reports_invalid_usage_in_one_line() {
    let sandbox = Sandbox::start().await;
    for (arguments, expected) in [
        (
            "update",
            "error: the following required arguments were not provided: <--all|--image-reference <REF>>. Tip: to pin all images to digests, use the command pin. For more information, try '--help'.\n",
        ),
        (
            "update --al",
            "error: unexpected argument '--al' found. Tip: a similar argument exists: '--all'. For more information, try '--help'.\n",
        ),
        (
            "update --all --commit x",
            "error: the following required arguments were not provided: --git-repo <URL>. For more information, try '--help'.\n",
        ),
        (
            "update --image-reference a/b",
            "error: --image-reference a/b: expected a tag or a digest, such as a/b:1.2. To move the image to its newest version, add --latest.\n",
        ),
        (
            "copy a.example/app:1",
            "error: the following required arguments were not provided: <DESTINATION>. For more information, try '--help'.\n",
        ),
        (
            "copy a.example/app:1 b.example/app --to c.example/app",
            "error: the argument '[DESTINATION]' cannot be used with '--to <DESTINATION>'. For more information, try '--help'.\n",
        ),
        (
            "copy images.txt b.example/mirror",
            "error: invalid value 'images.txt' for '<SOURCE>': expected an image; the command sync copies lists. For more information, try '--help'.\n",
        ),
        (
            "copy a.example/a:1 a.example/b:1 b.example/mirror",
            "error: unexpected argument 'b.example/mirror' found. Tip: the command sync copies several images. For more information, try '--help'.\n",
        ),
        (
            "--quiet pin --all",
            "error: unexpected argument '--all' found. Tip: remove --all, because pin does this without an option. For more information, try '--help'.\n",
        ),
        (
            "pin --semver ^3",
            "error: unexpected argument '--semver' found. Tip: the command update has the option --semver. For more information, try '--help'.\n",
        ),
        (
            "list --username me --email me@example.org",
            "error: unexpected argument '--username' found. Tip: remove --username, because list makes no commit. For more information, try '--help'.\n",
        ),
        (
            "copy -a a.example/a:1 b.example/b",
            "error: unexpected argument '-a' found. Tip: all platforms are copied unless you pass --platform. For more information, try '--help'.\n",
        ),
        (
            "copy --all a.example/a:1 b.example/b",
            "error: unexpected argument '--all' found. Tip: all platforms are copied unless you pass --platform. For more information, try '--help'.\n",
        ),
        (
            "copy -p linux/arm64 a.example/a:1 b.example/b",
            "error: unexpected argument '-p' found. Tip: the option is --platform. For more information, try '--help'.\n",
        ),
        (
            "copy --insecure a.example/a:1 b.example/b",
            "error: unexpected argument '--insecure' found. Tip: --plain-http is for a registry without TLS, and --ca-file for one with a private CA. For more information, try '--help'.\n",
        ),
        (
            "inspect --tls-verify=false a.example/a:1",
            "error: unexpected argument '--tls-verify' found. Tip: --plain-http is for a registry without TLS, and --ca-file for one with a private CA. For more information, try '--help'.\n",
        ),
        (
            "copy --src-creds me:planted a.example/a:1 b.example/b",
            "error: unexpected argument '--src-creds' found. Tip: pass a file of docker login or skopeo login in --authfile. For more information, try '--help'.\n",
        ),
        (
            "digest a.example/a:1",
            "error: unrecognized subcommand 'digest'. Tip: the command inspect prints the digest of an image. For more information, try '--help'.\n",
        ),
        (
            "ls a.example/a",
            "error: unrecognized subcommand 'ls'. Tip: the command tags lists the tags of a repository. For more information, try '--help'.\n",
        ),
        (
            "login a.example",
            "error: unrecognized subcommand 'login'. Tip: credentials of docker login, podman login and skopeo login are used. For more information, try '--help'.\n",
        ),
        (
            "pull a.example/a:1",
            "error: unrecognized subcommand 'pull'. Tip: the command copy copies an image from one registry to another. For more information, try '--help'.\n",
        ),
        (
            "push a.example/a:1",
            "error: unrecognized subcommand 'push'. Tip: the command copy copies an image from one registry to another. For more information, try '--help'.\n",
        ),
        (
            "lst",
            "error: unrecognized subcommand 'lst'. Tip: a similar subcommand exists: 'list'. For more information, try '--help'.\n",
        ),
    ] {
        let output = sandbox.run(arguments).await;
        assert_eq!(
            output,
            RunOutput { code: Some(2), stdout: String::new(), stderr: expected.into() },
            "{arguments}"
        );
    }
    let output = sandbox.run("pin a.example/app:1").await;
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (
            Some(1),
            "error: a.example/app:1 does not exist, or is neither a file nor a folder. Pass the file that contains this image.\n"
        )
    );
    let output = sandbox.run("list nowhere").await;
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(1), "error: nowhere does not exist, or is neither a file nor a folder. Check the path.\n")
    );
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn reports_a_command_that_is_not_text() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::start().await;
    let mut command = sandbox.command(&[]);
    command.arg(std::ffi::OsStr::from_bytes(b"pin\xff"));
    let output = RunOutput::of(command).await;
    let start = "error: unrecognized subcommand 'pin\u{fffd}'. ";
    assert!(output.code == Some(2) && output.stderr.starts_with(start), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_completions_and_manual_pages() {
    let sandbox = Sandbox::start().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = sandbox.run(&format!("completions {shell}")).await;
        assert!(output.code == Some(0) && output.stdout.contains("resolve-digest"), "{shell}");
    }
    for (page, expected) in
        [("", "container\\-image"), ("update", "\\-\\-matching\\-tag"), ("list", "\\-\\-no\\-filename")]
    {
        let output = sandbox.run(&format!("man {page}")).await;
        assert!(
            output.code == Some(0) && output.stdout.contains(".TH") && output.stdout.contains(expected),
            "{page}"
        );
    }
    let version = sandbox.run("--version").await.stdout;
    assert!(version.starts_with(concat!("container-image ", env!("CARGO_PKG_VERSION"))), "{version}");
}
