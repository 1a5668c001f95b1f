//! Files in the styles of real repositories, and the images in them.
//!
//! `corpus/expected.txt` has all images with their positions. A change of this list needs a reason in the
//! documentation of the file's format.

#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use aws_emulator::Mutability;
use common::{RunOutput, Sandbox, image};
use regex::Regex;
use serde_json::Value;

/// Folder with registries on this machine and in its network, which the emulator does not have.
const LOCAL: &str = "local";

#[tokio::test(flavor = "multi_thread")]
async fn lists_the_images_and_nothing_else() {
    let sandbox = with_corpus(true).await;
    let output = sandbox.run("list --json .").await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let found: BTreeSet<String> = listed(&output).iter().map(Listed::line).collect();
    let expected: BTreeSet<String> = expected().iter().map(Listed::line).collect();
    let missing: Vec<_> = expected.difference(&found).map(|line| format!("missing: {line}")).collect();
    let wrong: Vec<_> = found.difference(&expected).map(|line| format!("not an image: {line}")).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "{} of {} missing, {} too many:\n{}\n{}",
        missing.len(),
        expected.len(),
        wrong.len(),
        missing.join("\n"),
        wrong.join("\n")
    );
}

/// The exit codes of a check in CI: 3, then 0 after the pins, 3 if a tag moves, and 1 if an image is missing.
#[tokio::test(flavor = "multi_thread")]
async fn pins_the_corpus() {
    let sandbox = with_corpus(false).await;
    publish(&sandbox);
    let output = sandbox.run("pin --check .").await;
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    let output = sandbox.run("pin .").await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);

    // Each image has its digest, except guesses: no registry has them.
    let output = sandbox.run("list --json .").await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let pinned: Vec<String> = listed(&output).iter().map(Listed::without_position).collect();
    let before = expected().into_iter().filter(|image| !image.is_local());
    let expected: Vec<String> = before.map(|image| image.pinned().without_position()).collect();
    assert_eq!(count(&pinned), count(&expected));
    // The rest of each file is unchanged, except tags of untagged images.
    let pin = Regex::new(":latest|@?sha256:[0-9a-f]{64}").unwrap();
    for name in files() {
        let original = fs::read_to_string(corpus().join(&name)).unwrap();
        let kept = |text: &str| pin.replace_all(text, "").into_owned();
        if !name.starts_with(LOCAL) {
            assert_eq!(kept(&sandbox.read(name.to_str().unwrap())), kept(&original), "{}", name.display());
        }
    }

    let output = sandbox.run("pin --check .").await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    sandbox.write("extra.txt", "images.acme.example/team/missing:1");
    let output = sandbox.run("pin --check .").await;
    assert_eq!(output.code, Some(0), "a guess does not fail: {}", output.stderr);
    sandbox.publish("quay.io/acme/tool:2.0", 1_000);
    let output = sandbox.run("pin --check .").await;
    assert_eq!(output.code, Some(3), "{}", output.stderr);
    for text in ["quay.io/acme/missing:1", "docker run acme/missing:1"] {
        sandbox.write("extra.txt", text);
        let output = sandbox.run("pin --check .").await;
        assert_eq!(output.code, Some(1), "{text}: {}", output.stderr);
    }
}

/// An image at a position.
#[derive(Debug, Clone)]
struct Listed {
    position: String,
    reference: String,
    evidence: String,
}

impl Listed {
    fn line(&self) -> String {
        format!("{} {} {}", self.position, self.reference, self.evidence)
    }

    fn path(&self) -> &str {
        self.position.split(':').next().unwrap()
    }

    fn is_local(&self) -> bool {
        Path::new(self.path()).starts_with(LOCAL)
    }

    fn without_position(&self) -> String {
        format!("{} {} {}", self.path(), self.reference, self.evidence)
    }

    /// Returns the host, the repository and the tag in the registry. A reference with only a digest has no tag.
    fn location(&self) -> (String, String, Option<String>) {
        let (name, digest) = match self.reference.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (self.reference.as_str(), None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, digest.is_none().then_some("latest")),
        };
        let (host, repository) = match name.split_once('/') {
            Some((host, repository)) if host.contains('.') => (host, repository.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        (host.into(), repository, tag.map(Into::into))
    }

    /// Returns the image with the digest of its tag.
    fn pinned(&self) -> Self {
        let (name, _) = self.reference.split_once('@').unwrap_or((&self.reference, ""));
        match self.location() {
            (.., None) => self.clone(),
            _ if self.evidence == "guess" => self.clone(),
            location => {
                let digest = image(seed(&location)).digest().to_owned();
                let is_untagged = !name[name.rfind('/').unwrap_or(0)..].contains(':');
                let tag = if is_untagged { ":latest" } else { "" };
                Self { reference: format!("{name}{tag}@{digest}"), ..self.clone() }
            }
        }
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/files")
}

/// Returns the paths of all files, relative to the corpus.
fn files() -> Vec<PathBuf> {
    let walk = ignore::WalkBuilder::new(corpus()).standard_filters(false).sort_by_file_name(Ord::cmp).build();
    let files = walk.map(Result::unwrap).filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()));
    files.map(|entry| entry.path().strip_prefix(corpus()).unwrap().to_owned()).collect()
}

/// Starts a sandbox with a copy of the corpus.
async fn with_corpus(with_local: bool) -> Sandbox {
    let sandbox = Sandbox::start().await;
    for name in files() {
        if with_local || !name.starts_with(LOCAL) {
            sandbox.write(name.to_str().unwrap(), fs::read(corpus().join(&name)).unwrap());
        }
    }
    sandbox
}

fn expected() -> Vec<Listed> {
    let lines = include_str!("corpus/expected.txt").lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<String> = line.split(' ').map(Into::into).collect();
            let [position, reference, evidence] = fields.try_into().unwrap();
            Listed { position, reference, evidence }
        })
        .collect()
}

fn listed(output: &RunOutput) -> Vec<Listed> {
    let images: Vec<Value> = serde_json::from_str(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    images
        .iter()
        .map(|image| Listed {
            position: format!("{}:{}:{}", text(&image["path"]), image["line"], image["column"]),
            reference: text(&image["reference"]),
            evidence: text(&image["evidence"]),
        })
        .collect()
}

fn count(lines: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.as_str()).or_default() += 1;
    }
    counts
}

/// Publishes all images with a tag, except images of local registries. The hosts of guesses are empty registries.
fn publish(sandbox: &Sandbox) {
    let mut repositories = BTreeSet::new();
    for one in expected() {
        if one.is_local() {
            continue;
        }
        let location = one.location();
        if one.evidence == "guess" {
            sandbox.registry(&location.0);
            continue;
        }
        let (host, repository, Some(tag)) = location.clone() else { continue };
        let image = image(seed(&location));
        if host.ends_with(".amazonaws.com") {
            let ecr = sandbox.emulator.ecr();
            let arn = sandbox.emulator.repository_arn(&repository);
            if repositories.insert(arn.clone()) {
                ecr.create_repository(&arn, Mutability::Mutable);
            }
            ecr.repository(&arn).put_image(Some(&tag), &image);
        } else {
            sandbox.registry(&host).put_image(&repository, &tag, &image);
        }
    }
}

/// Returns a seed for the content of an image.
fn seed(location: &(String, String, Option<String>)) -> u64 {
    let text = format!("{location:?}");
    text.bytes().fold(7, |seed, byte| (seed * 31 + u64::from(byte)) % 1_000_003)
}
