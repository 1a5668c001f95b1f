//! An account in which one sample is deployed: its repositories, the provider as the template sets it
//! up, and registries that have the images which the sample names.

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::stack::{self, Stack, Template};
use aws_emulator::{BoxError, Emulator, Registry, Repository};
use end_to_end::World;
use serde_json::{Value, json};

use crate::export::{Export, Resource, Sample};
use crate::release::{Reference, Release, Selection};
use crate::defect::Spoil;

/// How long a second of CloudFormation's patience lasts, of which there are 3600.
const SECOND: Duration = Duration::from_millis(20);

/// The login of private images.
const USER: &str = "acme";
const PASSWORD: &str = "planted-access-token-9Kx2";

/// A sample, deployed.
pub(crate) struct Scene<'a> {
    pub(crate) world: World,
    pub(crate) stack: Stack,
    pub(crate) images: Vec<Subject<'a>>,
    pub(crate) repositories: Vec<(&'a Resource, Repository)>,
    /// What `SOURCE_MIRRORS` says: what stands before a name, and what in its place.
    mirrors: Vec<(String, String)>,
}

/// An image of the sample.
pub(crate) struct Subject<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) repository: Repository,
    /// Its tag in ECR.
    pub(crate) tag: String,
    pub(crate) reference: Reference,
    pub(crate) selection: Selection,
    /// What is upstream when the stack is created, and when it is updated.
    pub(crate) releases: [Release; 2],
}

impl<'a> Scene<'a> {
    /// Sets it up, with one thing spoilt if that is wanted.
    ///
    /// # Errors
    ///
    /// When the sample has something that nothing stands in for.
    pub(crate) async fn set(
        export: &Export,
        sample: &'a Sample,
        spoil: Option<Spoil>,
    ) -> Result<Self, BoxError> {
        let mut environment = export.environment.clone();
        if let Some(spoil) = spoil {
            spoil.environment(&mut environment);
        }
        // The program gets what the template sets, and on top of it what leads to the emulator, with
        // Lambda's credentials. `environment::check` looks at what came of it.
        let world = World::start(end_to_end::bootstrap()?, |settings| {
            settings.environment.extend(environment);
        })
        .await?;
        let mut repositories = Vec::new();
        for resource in &sample.repositories {
            repositories.push((resource, create_repository(&world.emulator, resource)?));
        }
        let mut images: Vec<Subject<'a>> = Vec::new();
        for resource in &sample.images {
            images.push(Subject::read(resource, &repositories, &images, export)?);
        }
        let mirrors = export.variable("SOURCE_MIRRORS").split(',').filter_map(|entry| entry.split_once('='));
        let mirrors = mirrors.map(|(from, to)| (from.to_owned(), to.to_owned())).collect();
        let provider = spoil.map_or(world.function.clone() as _, |spoil| spoil.provider(&world));
        let stack = world.stack_behind(&sample.name, SECOND, provider);
        let scene = Self { world, stack, images, repositories, mirrors };
        for image in scene.images.iter().filter(|image| image.is_private()) {
            scene.demand_login(image, spoil)?;
        }
        if let Some(spoil) = spoil {
            spoil.prepare(&scene.world);
        }
        Ok(scene)
    }

    /// Puts a release of every image upstream, where it is named and in the mirrors of that.
    ///
    /// # Errors
    ///
    /// When nothing stands in for the registry.
    pub(crate) fn publish(&self, number: usize) -> Result<(), BoxError> {
        for image in &self.images {
            let Reference { registry, repository, tag, .. } = &image.reference;
            let release = &image.releases[number];
            let named = self.registry(registry)?;
            named.put_image(repository, tag, &release.image);
            if image.includes_referrers() {
                named.put_referrer(repository, &release.signature);
            }
            for (host, repository) in self.mirrors_of(image) {
                self.registry(&host)?.put_image(&repository, tag, &release.image);
            }
        }
        Ok(())
    }

    /// Whether an image can be read from a mirror.
    pub(crate) fn is_mirrored(&self, image: &Subject<'_>) -> bool {
        !self.mirrors_of(image).is_empty()
    }

    /// Hosts and repositories that have an image too.
    fn mirrors_of(&self, image: &Subject<'_>) -> Vec<(String, String)> {
        let name = format!("{}/{}", image.reference.registry, image.reference.repository);
        let mirrors = self.mirrors.iter().filter_map(|(from, to)| {
            let rest = name.strip_prefix(from.as_str()).filter(|rest| rest.starts_with('/'))?;
            let mirror = format!("{to}{rest}");
            mirror.split_once('/').map(|(host, repository)| (host.to_owned(), repository.to_owned()))
        });
        mirrors.collect()
    }

    /// The sample with the references that it has when this release is upstream.
    pub(crate) fn template(&self, number: usize) -> Template {
        self.images.iter().fold(Template::new(), |template, image| {
            let mut properties = image.resource.properties.clone();
            // Here alone a property is not as the sample has it. No bytes can be invented for a digest,
            // so a pinned reference gets the digest of the image that was made; and the update pins
            // every reference as `container-image update --all --matching-tag --resolve-digest` does.
            if image.reference.is_pinned || number > 0 {
                let pinned = image.reference.at(image.releases[number].image.digest());
                properties.insert("ImageReference".to_owned(), Value::String(pinned));
            }
            let resource = stack::Resource::custom("Custom::ContainerImage", Value::Object(properties));
            let resource = resource.deletion_policy(image.resource.deletion_policy);
            template.with(&image.resource.logical_id, resource)
        })
    }

    /// What stands in for a registry.
    fn registry(&self, host: &str) -> Result<&Arc<Registry>, BoxError> {
        match host {
            "docker.io" => Ok(self.world.emulator.docker_hub()),
            "public.ecr.aws" => Ok(self.world.emulator.ecr_public()),
            other => Err(format!("nothing stands in for {other} here").into()),
        }
    }

    /// Lets only one user read an image, and stores that login as the sample says.
    fn demand_login(&self, image: &Subject<'_>, spoil: Option<Spoil>) -> Result<(), BoxError> {
        let registry = self.registry(&image.reference.registry)?;
        registry.add_user(USER, PASSWORD);
        registry.make_private(&image.reference.repository, &[USER]);
        let arn = image.resource.text("CredentialArn")?;
        if !arn.contains(":secretsmanager:") {
            return Err(format!("{arn} is no secret, and nothing else is stored here").into());
        }
        let password = if spoil == Some(Spoil::Password) { "another" } else { PASSWORD };
        let login = json!({"username": USER, "password": password});
        self.world.emulator.secrets().put(arn, &login.to_string());
        Ok(())
    }
}

impl<'a> Subject<'a> {
    fn read(
        resource: &'a Resource,
        repositories: &[(&Resource, Repository)],
        others: &[Self],
        export: &Export,
    ) -> Result<Self, BoxError> {
        let arn = resource.text("RepositoryArn")?;
        let found = repositories.iter().map(|(_, repository)| repository).find(|found| found.arn() == arn);
        let repository = found.ok_or_else(|| format!("{arn} is no repository of the sample"))?.clone();
        let reference = Reference::read(resource.text("ImageReference")?)?;
        if others.iter().any(|other| other.reference == reference) {
            return Err(format!("{} is a reference that another image has", resource.logical_id).into());
        }
        let tag = resource.text("Tag").unwrap_or(&reference.tag).to_owned();
        let default = Value::from(export.variable("DEFAULT_PLATFORM"));
        let selection = Selection::read(resource.properties.get("Platform").unwrap_or(&default))?;
        let seed = 2 * others.len() as u64 + 1;
        let releases = [seed, seed + 1].map(Release::new);
        Ok(Self { resource, repository, tag, reference, selection, releases })
    }

    /// Whether upstream wants a login for it.
    pub(crate) fn is_private(&self) -> bool {
        self.resource.properties.contains_key("CredentialArn")
    }

    pub(crate) fn includes_referrers(&self) -> bool {
        self.resource.flag("IncludeReferrers")
    }
}

/// Makes a repository with the settings that the sample gives it.
fn create_repository(emulator: &Emulator, resource: &Resource) -> Result<Repository, BoxError> {
    let arn = resource.arn()?;
    let mut input = address(arn)?;
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
/// What ECR says when it has images and the sample does not say that these may go.
pub(crate) fn delete_repository(emulator: &Emulator, resource: &Resource) -> Result<(), BoxError> {
    let arn = resource.arn()?;
    let mut input = address(arn)?;
    input["force"] = json!(resource.flag("EmptyOnDelete"));
    call(emulator, arn, "DeleteRepository", &input)
}

fn call(emulator: &Emulator, arn: &str, action: &str, input: &Value) -> Result<(), BoxError> {
    let region = arn.split(':').nth(3).unwrap_or_default();
    let called = emulator.ecr().call(region, action, input);
    called.map(drop).map_err(|(name, message)| format!("{action} of {arn}: {name}: {message}").into())
}

/// Account and name in a repository's ARN, as ECR's API takes them.
fn address(arn: &str) -> Result<Value, BoxError> {
    let mut parts = arn.splitn(6, ':').skip(4);
    let (account, name) = (parts.next(), parts.next().and_then(|name| name.strip_prefix("repository/")));
    let (Some(account), Some(name)) = (account, name) else {
        return Err(format!("{arn} is no repository's ARN").into());
    };
    Ok(json!({"registryId": account, "repositoryName": name}))
}
