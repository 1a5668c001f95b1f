//! An account with one sample: its repositories, the provider, and registries with the sample's images.

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::stack::{self, Stack, Template};
use aws_emulator::{BoxError, Emulator, Registry, Repository};
use end_to_end::World;
use serde_json::{Value, json};

use crate::defect::Defect;
use crate::export::{Export, Resource, Sample};
use crate::release::{ExpectedCopy, Reference, Release, Selection};

/// Duration of one second of CloudFormation's timeout, which is 3600 of them.
const SECOND: Duration = Duration::from_millis(20);

/// Credentials for private images.
const USER: &str = "acme";
const PASSWORD: &str = "planted-access-token-9Kx2";

/// A deployed sample.
pub(crate) struct Deployment<'a> {
    pub(crate) world: World,
    pub(crate) stack: Arc<Stack>,
    pub(crate) images: Vec<SampleImage<'a>>,
    pub(crate) repositories: Vec<(&'a Resource, Repository)>,
    /// Prefixes in `SOURCE_MIRRORS`, with their mirrors.
    mirrors: Vec<(String, String)>,
}

/// An image of the sample.
pub(crate) struct SampleImage<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) repository: Repository,
    /// Its tag in ECR.
    pub(crate) tag: String,
    pub(crate) reference: Reference,
    pub(crate) selection: Selection,
    /// Releases at the source during creation and update.
    pub(crate) releases: [Release; 2],
}

impl<'a> Deployment<'a> {
    /// Sets up a sample, with a defect if one is given.
    ///
    /// # Errors
    ///
    /// Fails if the emulator does not support a part of the sample.
    pub(crate) async fn new(
        export: &Export,
        sample: &'a Sample,
        defect: Option<Defect>,
    ) -> Result<Self, BoxError> {
        let mut environment = export.environment.clone();
        if let Some(defect) = defect {
            defect.change_environment(&mut environment);
        }
        // The program gets the template's variables, and the emulator's variables with Lambda's
        // credentials. `environment::check` checks the result.
        let world = World::start(end_to_end::bootstrap()?, |settings| {
            settings.environment.extend(environment);
        })
        .await?;
        let mut repositories = Vec::new();
        for resource in &sample.repositories {
            repositories.push((resource, create_repository(&world.emulator, resource)?));
        }
        let mut images: Vec<SampleImage<'a>> = Vec::new();
        for resource in &sample.images {
            images.push(SampleImage::read(resource, &repositories, &images, export)?);
        }
        let mirrors = export.variable("SOURCE_MIRRORS").split(',').filter_map(|entry| entry.split_once('='));
        let mirrors = mirrors.map(|(from, to)| (from.to_owned(), to.to_owned())).collect();
        let provider = defect.map_or(world.function.clone() as _, |defect| defect.provider(&world));
        let stack = world.stack_behind(&sample.name, SECOND, provider);
        let deployment = Self { world, stack, images, repositories, mirrors };
        for image in deployment.images.iter().filter(|image| image.is_private()) {
            deployment.require_credentials(image, defect)?;
        }
        if let Some(defect) = defect {
            defect.prepare(&deployment.world);
        }
        Ok(deployment)
    }

    /// Stores a release of every image in its source registry and the mirrors.
    ///
    /// # Errors
    ///
    /// Fails if the registry is not emulated.
    pub(crate) fn publish(&self, number: usize) -> Result<(), BoxError> {
        for image in &self.images {
            let Reference { registry, repository, tag, .. } = &image.reference;
            let release = &image.releases[number];
            let source = self.registry(registry)?;
            source.put_image(repository, tag, &release.image);
            if image.includes_referrers() {
                source.put_referrer(repository, &release.signature);
            }
            for (host, repository) in self.mirrors_of(image) {
                self.registry(&host)?.put_image(&repository, tag, &release.image);
            }
        }
        Ok(())
    }

    /// Returns true if a mirror has the image.
    pub(crate) fn is_mirrored(&self, image: &SampleImage<'_>) -> bool {
        !self.mirrors_of(image).is_empty()
    }

    /// Returns the hosts and repositories of the image's mirrors.
    fn mirrors_of(&self, image: &SampleImage<'_>) -> Vec<(String, String)> {
        let name = format!("{}/{}", image.reference.registry, image.reference.repository);
        let mirrors = self.mirrors.iter().filter_map(|(from, to)| {
            let rest = name.strip_prefix(from.as_str()).filter(|rest| rest.starts_with('/'))?;
            let mirror = format!("{to}{rest}");
            mirror.split_once('/').map(|(host, repository)| (host.to_owned(), repository.to_owned()))
        });
        mirrors.collect()
    }

    /// Returns the sample's resources with the references of this release.
    pub(crate) fn template(&self, number: usize) -> Template {
        self.images.iter().fold(Template::new(), |template, image| {
            let mut properties = image.resource.properties.clone();
            // This is the only property that differs from the sample. The digests in samples have no
            // generated image, so pinned references get the digest of the generated one. The update pins
            // every reference, as `container-image pin` does.
            if image.reference.is_pinned || number > 0 {
                let pinned = image.reference.with_digest(image.releases[number].image.digest());
                properties.insert("ImageReference".to_owned(), Value::String(pinned));
            }
            let resource = stack::Resource::custom("Custom::ContainerImage", Value::Object(properties));
            let resource = resource.deletion_policy(image.resource.deletion_policy);
            template.with(&image.resource.logical_id, resource)
        })
    }

    /// Returns an emulated registry.
    fn registry(&self, host: &str) -> Result<&Arc<Registry>, BoxError> {
        match host {
            "docker.io" => Ok(self.world.emulator.docker_hub()),
            "public.ecr.aws" => Ok(self.world.emulator.ecr_public()),
            other => Err(format!("registry {other} is not emulated").into()),
        }
    }

    /// Makes an image private and stores its credentials in the sample's secret.
    fn require_credentials(&self, image: &SampleImage<'_>, defect: Option<Defect>) -> Result<(), BoxError> {
        let registry = self.registry(&image.reference.registry)?;
        registry.add_user(USER, PASSWORD);
        registry.make_private(&image.reference.repository, &[USER]);
        let arn = image.resource.text("CredentialArn")?;
        if !arn.contains(":secretsmanager:") {
            return Err(format!("{arn} is not a secret, which is the only supported kind").into());
        }
        let password = if defect == Some(Defect::Password) { "another" } else { PASSWORD };
        let credentials = json!({"username": USER, "password": password});
        self.world.emulator.secrets().put(arn, &credentials.to_string());
        Ok(())
    }
}

impl<'a> SampleImage<'a> {
    fn read(
        resource: &'a Resource,
        repositories: &[(&Resource, Repository)],
        others: &[Self],
        export: &Export,
    ) -> Result<Self, BoxError> {
        let arn = resource.text("RepositoryArn")?;
        let found = repositories.iter().map(|(_, repository)| repository).find(|found| found.arn() == arn);
        let repository = found.ok_or_else(|| format!("{arn} is not a repository of the sample"))?.clone();
        let reference = Reference::read(resource.text("ImageReference")?)?;
        if others.iter().any(|other| other.reference == reference) {
            return Err(format!("another image has the same reference as {}", resource.logical_id).into());
        }
        let tag = resource.text("Tag").unwrap_or(&reference.tag).to_owned();
        let default = Value::from(export.variable("DEFAULT_PLATFORM"));
        let selection = Selection::read(resource.properties.get("Platform").unwrap_or(&default))?;
        let seed = 2 * others.len() as u64 + 1;
        let releases = [seed, seed + 1].map(Release::new);
        Ok(Self { resource, repository, tag, reference, selection, releases })
    }

    /// Returns true if the source requires credentials.
    pub(crate) fn is_private(&self) -> bool {
        self.resource.properties.contains_key("CredentialArn")
    }

    /// Returns the expected copy of a release.
    ///
    /// # Errors
    ///
    /// Fails if the image does not have a selected platform.
    pub(crate) fn expected_copy(&self, number: usize) -> Result<ExpectedCopy, BoxError> {
        let copied = self.releases[number].expected_copy(&self.selection)?;
        if self.resource.properties.contains_key("Customize") { copied.changed() } else { Ok(copied) }
    }

    pub(crate) fn includes_referrers(&self) -> bool {
        self.resource.is_true("IncludeReferrers")
    }
}

/// Creates a repository with the sample's settings.
fn create_repository(emulator: &Emulator, resource: &Resource) -> Result<Repository, BoxError> {
    let arn = resource.arn()?;
    let mut input = api_input(arn)?;
    let filters = resource.properties.get("ImageTagMutabilityExclusionFilters").and_then(Value::as_array);
    let filters = filters.into_iter().flatten().map(|filter| {
        json!({
            "filterType": filter["ImageTagMutabilityExclusionFilterType"],
            "filter": filter["ImageTagMutabilityExclusionFilterValue"],
        })
    });
    input["imageTagMutabilityExclusionFilters"] = filters.collect();
    input["imageTagMutability"] = resource.properties.get("ImageTagMutability").cloned().unwrap_or_default();
    call(emulator, arn, "CreateRepository", &input)?;
    Ok(emulator.ecr().repository(arn))
}

/// Deletes a repository as CloudFormation does.
///
/// # Errors
///
/// Fails if the repository contains images and the sample does not set `EmptyOnDelete`.
pub(crate) fn delete_repository(emulator: &Emulator, resource: &Resource) -> Result<(), BoxError> {
    let arn = resource.arn()?;
    let mut input = api_input(arn)?;
    input["force"] = json!(resource.is_true("EmptyOnDelete"));
    call(emulator, arn, "DeleteRepository", &input)
}

fn call(emulator: &Emulator, arn: &str, action: &str, input: &Value) -> Result<(), BoxError> {
    let region = arn.split(':').nth(3).unwrap_or_default();
    let called = emulator.ecr().call(region, action, input);
    called.map(drop).map_err(|(name, message)| format!("{action} of {arn}: {name}: {message}").into())
}

/// Returns account and name of a repository as input of ECR's API.
fn api_input(arn: &str) -> Result<Value, BoxError> {
    let mut parts = arn.splitn(6, ':').skip(4);
    let (account, name) = (parts.next(), parts.next().and_then(|name| name.strip_prefix("repository/")));
    let (Some(account), Some(name)) = (account, name) else {
        return Err(format!("{arn} is not the ARN of a repository").into());
    };
    Ok(json!({"registryId": account, "repositoryName": name}))
}
