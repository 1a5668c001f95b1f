//! `--repository`: the user's own git, with repositories on this machine.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod common;

use std::path::Path;
use std::process::Command;

use common::World;

fn git(folder: &Path, arguments: &[&str]) -> String {
    let identity =
        ["-c", "user.name=Test", "-c", "user.email=test@acme.example", "-c", "init.defaultBranch=main"];
    let output = Command::new("git").args(identity).args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A bare repository with one file on `main` and `next`, as a server has it.
fn served(world: &World) {
    world.write("work/app.yaml", "image: docker.io/library/python:3.9\n");
    let work = world.path("work");
    git(&work, &["init", "--quiet"]);
    git(&work, &["add", "."]);
    git(&work, &["commit", "--quiet", "-m", "first"]);
    git(&work, &["branch", "next"]);
    git(world.folder(), &["clone", "--quiet", "--bare", "work", "served.git"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clones_commits_and_pushes() {
    let world = World::start().await;
    served(&world);
    let digest = world.publish("docker.io/library/python:3.9", 1);
    let url = format!("file://{}", world.path("served.git").display());
    let listed = world.run(&format!("list --repository {url}")).await;
    assert_eq!(listed.out, "app.yaml:docker.io/library/python:3.9\n", "{listed:?}");

    let update = ["update", "--all", "--matching-tag", "--resolve-digest", "--repository", &url];
    let said = world.run_with(&update).await;
    assert!(said.err.ends_with("INFO: no commit message, skipping commit and push\n"), "{said:?}");

    let commit =
        ["--branch", "next", "--commit", "Pin images", "--username", "Bot", "--email", "bot@acme.example"];
    let said = world.run_with(&[&update[..], &commit[..]].concat()).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let served = world.path("served.git");
    let text = git(&served, &["show", "next:app.yaml"]);
    assert_eq!(text, format!("image: docker.io/library/python:3.9@{digest}"));
    let author = git(&served, &["log", "-1", "--format=%an %ae %s", "next"]);
    assert_eq!(author, "Bot bot@acme.example Pin images");
    assert_eq!(git(&served, &["rev-list", "--count", "main"]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_in_a_work_tree_only_what_it_changed() {
    let world = World::start().await;
    served(&world);
    world.publish("docker.io/library/python:3.9", 1);
    let work = world.path("work");
    world.write("work/other.txt", "not committed by us");
    git(&work, &["add", "other.txt"]);
    let update =
        ["update", "--all", "--matching-tag", "--resolve-digest", "--repository", "work", "--commit", "Pin"];
    let said = world.run_with(&update).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(git(&work, &["log", "-1", "--format=%an %s"]), "container-image Pin");
    assert_eq!(git(&work, &["status", "--porcelain"]), "A  other.txt");
    let said = world.run_with(&["list", "--repository", "work", "--branch", "next"]).await;
    assert_eq!(
        said.err,
        "error: --branch next: work is on main. Switch it to next, or leave out --branch.\n"
    );
    let said = world.run_with(&["list", "--repository", "work", "../served.git"]).await;
    assert_eq!(said.err, "error: ../served.git is not in the repository. Check its spelling.\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_in_gits_words_what_went_wrong() {
    let world = World::start().await;
    let said = world.run("list --repository ./nowhere.git").await;
    assert_eq!(said.code, Some(1));
    assert!(
        said.err.starts_with("error: --repository ./nowhere.git: it cannot be cloned: git says \"fatal: "),
        "{said:?}"
    );
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
    let said = world.run_with(&["update", "--all", "--repository", ".", "--commit", ""]).await;
    assert!(said.code == Some(2) && said.err.contains("'--commit <MESSAGE>'"), "{said:?}");
    let secret = world.run("list --repository https://me:hunter2@nowhere.invalid/x.git").await;
    assert!(secret.code == Some(1) && !secret.err.contains("hunter2"), "{secret:?}");
}
