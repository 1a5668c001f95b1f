//! Commands that prepare and inspect the world.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_emulator::{BoxError, Fault, ImageBuilder, LogPosition, Mutability, Profile, Registry};
use end_to_end::World;
use serde::Deserialize;
use serde_json::{Value, json};

/// A command and its arguments.
#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Command {
    /// Creates ECR repositories.
    Repositories {
        /// Names.
        names: Vec<String>,
    },
    /// Stores an image in a source registry. A tag that exists is moved. Returns the digest.
    Image {
        /// Reference, as `host/repository:tag`.
        reference: String,
        /// Seed of the content.
        seed: u64,
        /// Platforms of the index.
        #[serde(default = "default_platforms")]
        platforms: Vec<String>,
    },
    /// Limits a repository in a source registry to users, of which none exists.
    Private {
        /// Reference, as `host/repository:tag`.
        reference: String,
    },
    /// Replaces all faults.
    Faults {
        /// The faults.
        faults: Vec<Fault>,
    },
    /// Returns the requests since the last command of this kind, as groups with their number.
    Requests,
    /// Returns the digests of tags in ECR, and the problems of their images. A missing tag has no digest.
    Tags {
        /// References, as `repository:tag`.
        references: Vec<String>,
    },
    /// Returns the number of processes and the peak memory of the function in KiB. A process starts only if
    /// all others are busy. Their number is thus the largest number of concurrent invocations.
    Function,
}

fn default_platforms() -> Vec<String> {
    vec!["linux/amd64".to_owned(), "linux/arm64".to_owned()]
}

/// Size of each layer in bytes. The copies of many images must take only seconds.
const LAYER: u64 = 512;

/// The world, and the start of the requests that have not been returned.
pub(crate) struct Commands {
    world: World,
    mark: LogPosition,
}

impl Commands {
    pub(crate) fn new(world: World) -> Self {
        let mark = world.emulator.log().mark();
        Self { world, mark }
    }

    /// Runs a command and returns its result.
    ///
    /// # Errors
    ///
    /// Returns an error if an argument is invalid.
    pub(crate) fn run(&mut self, command: Command) -> Result<Value, BoxError> {
        let emulator = &self.world.emulator;
        match command {
            Command::Repositories { names } => {
                for name in &names {
                    let arn = emulator.repository_arn(name);
                    emulator.ecr().try_create_repository(&arn, Mutability::Mutable)?;
                }
                Ok(json!({}))
            }
            Command::Image { reference, seed, platforms } => {
                let (registry, repository, tag) = self.source(&reference)?;
                let platforms: Vec<_> = platforms.iter().map(String::as_str).collect();
                let image = ImageBuilder::new(seed).platforms(&platforms).layers(&[LAYER]).index();
                registry.put_image(repository, tag, &image);
                Ok(json!({"digest": image.digest()}))
            }
            Command::Private { reference } => {
                let (registry, repository, _) = self.source(&reference)?;
                registry.make_private(repository, &[]);
                Ok(json!({}))
            }
            Command::Faults { faults } => {
                emulator.faults().clear();
                faults.into_iter().for_each(|fault| emulator.faults().add(fault));
                Ok(json!({}))
            }
            Command::Requests => {
                let requests = self.requests();
                self.mark = self.world.emulator.log().mark();
                Ok(requests)
            }
            Command::Tags { references } => references.iter().map(|reference| self.tag(reference)).collect(),
            Command::Function => Ok(self.function()),
        }
    }

    /// Returns the registry, the repository and the tag of a reference. A host that does not exist becomes a
    /// registry.
    fn source<'a>(&self, reference: &'a str) -> Result<(Arc<Registry>, &'a str, &'a str), BoxError> {
        let expected = || format!("{reference}: expected host/repository:tag");
        let (host, rest) = reference.split_once('/').ok_or_else(expected)?;
        let (repository, tag) = rest.split_once(':').ok_or_else(expected)?;
        let emulator = &self.world.emulator;
        let registry = match host {
            "docker.io" => Arc::clone(emulator.docker_hub()),
            "public.ecr.aws" => Arc::clone(emulator.ecr_public()),
            host => emulator.upstream(host).unwrap_or_else(|| {
                emulator.add_upstream(match host {
                    "ghcr.io" => Profile::ghcr(),
                    "quay.io" => Profile::quay(),
                    host => Profile::bearer(host),
                })
            }),
        };
        Ok((registry, repository, tag))
    }

    fn requests(&self) -> Value {
        let mut groups = BTreeMap::<_, usize>::new();
        for entry in self.world.emulator.log().since(self.mark) {
            let key =
                (entry.service, entry.host, entry.operation, entry.repository, entry.status, entry.fault);
            *groups.entry(key).or_default() += 1;
        }
        let groups =
            groups.into_iter().map(|((service, host, operation, repository, status, fault), count)| {
                json!({
                    "service": service,
                    "host": host,
                    "operation": operation,
                    "repository": repository,
                    "status": status,
                    "fault": fault,
                    "count": count,
                })
            });
        groups.collect()
    }

    fn tag(&self, reference: &str) -> Result<Value, BoxError> {
        let (name, tag) = reference.split_once(':').ok_or("expected repository:tag")?;
        let emulator = &self.world.emulator;
        let repository = emulator.ecr().repository(&emulator.repository_arn(name));
        let digest = repository.resolve(tag);
        let problems = digest.is_some().then(|| repository.integrity_errors(tag));
        Ok(json!({"digest": digest, "problems": problems}))
    }

    fn function(&self) -> Value {
        let sandboxes = self.world.function.sandboxes();
        json!({
            "processes": sandboxes.len(),
            "invocations": sandboxes.iter().map(|sandbox| sandbox.invocations).sum::<usize>(),
            "peakMemory": sandboxes.iter().map(|sandbox| sandbox.peak_memory).max(),
            "exits": sandboxes.iter().filter_map(|sandbox| sandbox.exit.clone()).collect::<Vec<_>>(),
        })
    }
}
