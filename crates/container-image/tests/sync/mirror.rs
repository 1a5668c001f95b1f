//! A destination in ECR.

use std::ops::Deref;

use aws_emulator::Mutability;
use serde_json::json;
use tokio::process::Command;

use crate::common::{RunOutput, Sandbox};

/// ECR as the destination, with credentials in a file, as `docker login` writes it.
pub(crate) struct Mirror {
    sandbox: Sandbox,
    /// Host of the registry.
    pub(crate) host: String,
}

impl Deref for Mirror {
    type Target = Sandbox;

    fn deref(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Mirror {
    pub(crate) async fn start() -> Self {
        let sandbox = Sandbox::start().await;
        sandbox.registry("ghcr.io");
        let arn = sandbox.emulator.repository_arn("a");
        let uri = sandbox.emulator.ecr().repository(&arn).uri();
        let region = arn.split(':').nth(3).unwrap();
        let token = sandbox.emulator.ecr().call(region, "GetAuthorizationToken", &json!({})).unwrap();
        let token = &token["authorizationData"][0]["authorizationToken"];
        let host = uri.strip_suffix("/a").unwrap().to_owned();
        sandbox.write("config.json", json!({"auths": {&host: {"auth": token}}}).to_string());
        Self { sandbox, host }
    }

    /// Creates repositories.
    pub(crate) fn create(&self, names: &[&str]) {
        for name in names {
            let arn = self.emulator.repository_arn(name);
            self.emulator.ecr().create_repository(&arn, Mutability::Mutable);
        }
    }

    /// Returns the digest of a copied tag.
    pub(crate) fn copied(&self, repository: &str, tag: &str) -> Option<String> {
        self.emulator.ecr().repository(&self.emulator.repository_arn(repository)).resolve(tag)
    }

    pub(crate) fn command(&self, arguments: &str) -> Command {
        let arguments = arguments.replace("MIRROR", &self.host);
        let mut command = self.sandbox.command(&arguments.split_whitespace().collect::<Vec<_>>());
        command.env("DOCKER_CONFIG", self.folder());
        command
    }

    /// Runs the program. The word MIRROR is the host of the destination.
    pub(crate) async fn run(&self, arguments: &str) -> RunOutput {
        let output = self.command(arguments).output().await.unwrap();
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        RunOutput { code: output.status.code(), stdout, stderr }
    }
}
