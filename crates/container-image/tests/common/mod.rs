//! Runs the program in a temporary folder, with the emulator as its network.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use aws_emulator::{Emulator, Image, ImageBuilder, Mutability, Profile, Registry, Repository};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_container-image");

pub(crate) struct Sandbox {
    pub(crate) emulator: Emulator,
    folder: TempDir,
    home: TempDir,
}

/// Output and exit code of the program.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RunOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// Without times.
    pub(crate) stderr: String,
}

impl Sandbox {
    /// Returns a sandbox with `docker.io/acme/app:1`, and the empty repository `base/python` in ECR.
    pub(crate) async fn with_ecr_repository() -> (Self, Repository) {
        let sandbox = Self::start().await;
        sandbox.publish("docker.io/acme/app:1", 1);
        let arn = sandbox.emulator.repository_arn("base/python");
        let repository = sandbox.emulator.ecr().create_repository(&arn, Mutability::Mutable);
        (sandbox, repository)
    }

    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        Self { emulator, folder: TempDir::new().unwrap(), home: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Returns the names of all entries in the folder.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Returns the registry of a host.
    pub(crate) fn registry(&self, host: &str) -> Arc<Registry> {
        match host {
            "docker.io" => Arc::clone(self.emulator.docker_hub()),
            "public.ecr.aws" => Arc::clone(self.emulator.ecr_public()),
            host => {
                let known = self.emulator.upstream(host);
                known.unwrap_or_else(|| self.emulator.add_upstream(Profile::bearer(host)))
            }
        }
    }

    /// Publishes an image with two platforms and returns its digest.
    pub(crate) fn publish(&self, reference: &str, seed: u64) -> String {
        let image = image(seed);
        let (name, tag) = reference.rsplit_once(':').unwrap();
        let (host, repository) = name.split_once('/').unwrap();
        self.registry(host).put_image(repository, tag, &image);
        image.digest().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Writes a file in the user's home folder.
    pub(crate) fn write_home(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Like [`Self::command`], without AWS credentials and Region in the environment.
    pub(crate) fn command_without_aws_credentials(&self, arguments: &str) -> Command {
        let mut command = self.command(&arguments.split_whitespace().collect::<Vec<_>>());
        for name in ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION", "DEFAULT_REGION"] {
            command.env_remove(format!("AWS_{name}"));
        }
        command
    }

    /// Like [`Self::run`], without AWS credentials and Region in the environment.
    pub(crate) async fn run_without_aws_credentials(&self, arguments: &str) -> RunOutput {
        RunOutput::of(self.command_without_aws_credentials(arguments)).await
    }

    /// Returns the environment of the program.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let home = self.home.path().display().to_string();
        let own = [
            ("PATH", std::env::var("PATH").unwrap()),
            ("HOME", home),
            ("TZ", "UTC".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        self.emulator.environment().into_iter().chain(own).collect()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the program. Arguments must not contain spaces.
    pub(crate) async fn run(&self, arguments: &str) -> RunOutput {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>()).await
    }

    pub(crate) async fn run_with(&self, arguments: &[&str]) -> RunOutput {
        RunOutput::of(self.command(arguments)).await
    }
}

impl RunOutput {
    pub(crate) async fn of(mut command: Command) -> Self {
        let output = command.output().await.unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: without_times(&String::from_utf8(output.stderr).unwrap()),
        }
    }
}

pub(crate) fn image(seed: u64) -> Image {
    ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64"]).layers(&[200]).index()
}

/// Removes the local time from lines that start with one.
pub(crate) fn without_times(text: &str) -> String {
    text.split_inclusive('\n').map(without_time).collect()
}

fn without_time(line: &str) -> &str {
    const FORM: &[u8] = b"0000/00/00 00:00:00 ";
    let is_like = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let bytes = line.as_bytes();
    if bytes.len() > FORM.len() && bytes.iter().zip(FORM).all(is_like) { &line[FORM.len()..] } else { line }
}
