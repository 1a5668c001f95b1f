//! Tests of `--git-repo` with the user's git and local repositories.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::Sandbox;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity =
        ["-c", "user.name=Test", "-c", "user.email=test@acme.example", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").args(identity).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Creates a bare repository with one file on `main` and `next`.
fn serve_repository(sandbox: &Sandbox) {
    sandbox.write("work/app.yaml", "image: docker.io/library/python:3.9\n");
    let work = sandbox.path("work");
    git(&work, &["init", "--quiet"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    git(&work, &["branch", "next"]);
    git(sandbox.folder(), &["clone", "--quiet", "--bare", "work", "served.git"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_commits_and_pushes() {
    let sandbox = Sandbox::start().await;
    serve_repository(&sandbox);
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    let url = format!("file://{}", sandbox.path("served.git").display());
    let listed = sandbox.run(&format!("list --git-repo {url}")).await;
    assert_eq!(sandbox.run(&format!("list --repository {url}")).await, listed, "the name of cru");
    assert_eq!(listed.stdout, "app.yaml:docker.io/library/python:3.9\n", "{listed:?}");

    let update = ["update", "--all", "--matching-tag", "--resolve-digest", "--git-repo", &url];
    let output = sandbox.run_with(&update).await;
    let would = "INFO: would update a total of 1 files\nINFO: no commit message, skipping commit and push\n";
    assert!(output.stderr.ends_with(would), "{output:?}");

    let commit =
        ["--branch", "next", "--commit", "Pin images", "--username", "Bot", "--email", "bot@acme.example"];
    let output = sandbox.run_with(&[&update[..], &commit[..]].concat()).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let end = format!("INFO: updated a total of 1 files\nINFO: committed to next, and pushed to {url}\n");
    assert!(output.stderr.ends_with(&end), "{output:?}");
    let served = sandbox.path("served.git");
    let text = git(&served, &["show", "next:app.yaml"]);
    assert_eq!(text, format!("image: docker.io/library/python:3.9@{digest}"));
    let author = git(&served, &["log", "-1", "--format=%an %ae %s", "next"]);
    assert_eq!(author, "Bot bot@acme.example Pin images");
    assert_eq!(git(&served, &["rev-list", "--count", "main"]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_only_its_own_changes_in_a_work_tree() {
    let sandbox = Sandbox::start().await;
    serve_repository(&sandbox);
    sandbox.publish("docker.io/library/python:3.9", 1);
    let work = sandbox.path("work");
    sandbox.write("work/other.txt", "not committed by us");
    git(&work, &["add", "other.txt"]);
    let update =
        ["update", "--all", "--matching-tag", "--resolve-digest", "--git-repo", "work", "--commit", "Pin"];
    let output = sandbox.run_with(&update).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    let expected = "INFO: committed to main by container-image <container-image@localhost>, because git has no author configured\n";
    assert!(output.stderr.ends_with(expected), "{output:?}");
    assert_eq!(git(&work, &["log", "-1", "--format=%an %s"]), "container-image Pin");
    assert_eq!(git(&work, &["status", "--porcelain"]), "A  other.txt");
    let output = sandbox.run_with(&["list", "--git-repo", "work", "--branch", "next"]).await;
    assert_eq!(
        output.stderr,
        "error: --branch next: the work tree work is on main. Switch to next, or remove --branch.\n"
    );
    let output = sandbox.run_with(&["list", "--git-repo", "work", "../served.git"]).await;
    assert_eq!(output.stderr, "error: ../served.git is not in the repository. Check the path.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_errors_of_git() {
    let sandbox = Sandbox::start().await;
    let output = sandbox.run("list --git-repo ./nowhere.git").await;
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.starts_with(
            "error: --git-repo ./nowhere.git: the repository cannot be cloned: git failed with \"fatal: "
        ),
        "{output:?}"
    );
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    let output = sandbox.run_with(&["update", "--all", "--git-repo", ".", "--commit", ""]).await;
    assert!(output.code == Some(2) && output.stderr.contains("'--commit <MESSAGE>'"), "{output:?}");
    let secret = sandbox.run("list --git-repo https://me:hunter2@nowhere.invalid/x.git").await;
    assert!(secret.code == Some(1) && !secret.stderr.contains("hunter2"), "{secret:?}");
}

/// Arguments that commit in `work`.
const COMMIT: [&str; 8] =
    ["update", "--all", "--matching-tag", "--resolve-digest", "--git-repo", "work", "--commit", "Pin"];

#[tokio::test(flavor = "multi_thread")]
async fn rejects_files_with_uncommitted_changes() {
    let sandbox = Sandbox::start().await;
    serve_repository(&sandbox);
    let digest = sandbox.publish("docker.io/library/python:3.9", 1);
    let work = sandbox.path("work");
    let own = "image: docker.io/library/python:3.9\n# mine\n";
    sandbox.write("work/app.yaml", own);
    sandbox.write("work/[a]*.yaml", own);
    sandbox.write("work/new.yaml", own);
    sandbox.write("work/none.yaml", "of no image\n");
    sandbox.write("work/hidden.yaml", own);
    sandbox.write("work/.git/info/exclude", "hidden.yaml\n");
    git(&work, &["add", ":(literal)[a]*.yaml"]);
    let output = sandbox.run_with(&[&COMMIT[..], &[".", "hidden.yaml"]].concat()).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let error = "error: these files have uncommitted changes, which --commit would include: [a]*.yaml (staged), \
                 app.yaml (modified), hidden.yaml (untracked), new.yaml (untracked). Commit or stash them first, with git add for \
                 untracked files, or remove --commit. Nothing was changed.\n";
    assert!(output.stderr.ends_with(error), "{}", output.stderr);
    for name in ["app.yaml", "[a]*.yaml", "new.yaml", "hidden.yaml"] {
        assert_eq!(sandbox.read(&format!("work/{name}")), own);
    }
    assert_eq!(git(&work, &["rev-list", "--count", "HEAD"]), "1");

    sandbox.write("work/.git/info/exclude", "hidden.yaml\nlink.yaml\n");
    std::os::unix::fs::symlink("app.yaml", sandbox.path("work/link.yaml")).unwrap();
    for spelled in [sandbox.path("work/app.yaml").display().to_string(), "link.yaml".into()] {
        let output = sandbox.run_with(&[&COMMIT[..], &[&spelled]].concat()).await;
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(
            output.stderr.contains("--commit would include: app.yaml (modified). Commit"),
            "{}",
            output.stderr
        );
    }

    git(&work, &["add", "--force", "hidden.yaml", "new.yaml"]);
    git(&work, &["commit", "--quiet", "--all", "-m", "mine"]);
    let output = sandbox.run_with(&COMMIT).await;
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(sandbox.read("work/[a]*.yaml").contains(&digest));
    assert_eq!(git(&work, &["status", "--porcelain"]), "?? none.yaml");
}

#[tokio::test(flavor = "multi_thread")]
async fn restores_files_that_cannot_be_committed() {
    let sandbox = Sandbox::start().await;
    serve_repository(&sandbox);
    sandbox.write("work/other.yaml", "image: docker.io/library/python:3.9\n");
    let work = sandbox.path("work");
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "second"]);
    sandbox.publish("docker.io/library/python:3.9", 1);
    sandbox.write("work/.git/index.lock", "");
    let output = sandbox.run_with(&COMMIT).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let end = "index.lock': File exists.\". All files were restored.\n";
    assert!(
        output.stderr.contains("error: the changes cannot be committed: git failed with \"fatal: "),
        "{output:?}"
    );
    assert!(output.stderr.ends_with(end), "{output:?}");
    std::fs::remove_file(sandbox.path("work/.git/index.lock")).unwrap();
    assert_eq!(git(&work, &["status", "--porcelain"]), "");

    hook(
        &sandbox,
        "work/.git/hooks/pre-commit",
        "echo '# formatted' >> other.yaml; echo not today >&2; exit 1",
    );
    let output = sandbox.run_with(&COMMIT).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    let error = "error: the changes cannot be committed: git failed with \"not today\". Not restored: other.yaml \
                 (another program changed it meanwhile). Inspect them with git diff, then commit or restore them.\n";
    assert!(output.stderr.ends_with(error), "{output:?}");
    assert_eq!(git(&work, &["status", "--porcelain"]), "M other.yaml");
    assert!(sandbox.read("work/other.yaml").ends_with("# formatted\n"));
}

fn hook(sandbox: &Sandbox, name: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    sandbox.write(name, format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(sandbox.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Interrupts an update while git waits for a hook, which a file `ended` ends.
async fn interrupt_in_hook(sandbox: &Sandbox, repository: &str, name: &str) -> String {
    let (started, end) = (sandbox.path("started"), sandbox.path("ended"));
    let (start, end) = (started.display(), end.display());
    hook(sandbox, name, &format!("touch {start}; until test -e {end}; do sleep 0.05; done"));
    let mut arguments = COMMIT;
    arguments[5] = repository;
    let mut command = sandbox.command(&arguments);
    let running = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    wait_until(|| started.exists()).await;
    let id = rustix::process::Pid::from_raw(running.id().unwrap().cast_signed()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = tokio::time::timeout(Duration::from_secs(20), running.wait_with_output());
    let output = output.await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130));
    common::without_times(&String::from_utf8(output.stderr).unwrap())
}

async fn wait_until(done: impl Fn() -> bool) {
    for _ in 0..800 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("timed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_the_state_of_an_interrupted_push() {
    let sandbox = Sandbox::start().await;
    serve_repository(&sandbox);
    sandbox.publish("docker.io/library/python:3.9", 1);
    let url = format!("file://{}", sandbox.path("served.git").display());
    let output = interrupt_in_hook(&sandbox, &url, "served.git/hooks/pre-receive").await;
    sandbox.write("ended", "");
    let state = format!("interrupted: the push to {url} may have succeeded; check the log of the branch.\n");
    assert!(output.ends_with(&state), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_git_without_a_lock_when_interrupted() {
    let sandbox = Sandbox::start().await;
    serve_repository(&sandbox);
    sandbox.publish("docker.io/library/python:3.9", 1);
    let output = interrupt_in_hook(&sandbox, "work", "work/.git/hooks/pre-commit").await;
    let state = "interrupted: 1 file was updated, and the commit may have succeeded; check git status.\n";
    assert!(output.ends_with(state), "{output}");
    let work = sandbox.path("work");
    wait_until(|| !work.join(".git/index.lock").exists()).await;
    sandbox.write("ended", "");
    assert_eq!(git(&work, &["rev-list", "--count", "HEAD"]), "1");
    git(&work, &["commit", "--quiet", "--message", "again", "app.yaml"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requires_the_top_folder_and_a_branch() {
    let sandbox = Sandbox::start().await;
    serve_repository(&sandbox);
    sandbox.write("work/deep/er/file.yaml", "");
    let output = sandbox.run_with(&["list", "--git-repo", "work/deep/er"]).await;
    let top = sandbox.path("work").canonicalize().unwrap();
    let error = format!(
        "error: --git-repo work/deep/er: this is a folder inside a work tree. Use --git-repo {} deep/er.\n",
        top.display()
    );
    assert_eq!((output.code, output.stderr), (Some(1), error));

    git(&sandbox.path("served.git"), &["tag", "v1", "main"]);
    let mut arguments = COMMIT;
    let url = format!("file://{}", sandbox.path("served.git").display());
    arguments[5] = &url;
    let output = sandbox.run_with(&[&arguments[..], &["--branch", "v1"]].concat()).await;
    let error = "error: --branch v1 is not a branch, but --commit requires one. Set --branch to a branch of the repository.\n";
    assert_eq!((output.code, output.stderr.as_str()), (Some(1), error));
    let output = sandbox.run_with(&["list", "--git-repo", &url, "--branch", "v1"]).await;
    assert_eq!(output.stdout, "app.yaml:docker.io/library/python:3.9\n", "{output:?}");
}
