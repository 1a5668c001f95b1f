//! Resolves references to a digest, another tag or a newer version.
//!
//! Each reference is resolved once by a HEAD request, which does not count as a pull.

mod newest;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{StreamExt as _, stream};
use image_copy::copy::{
    Failure, MAX_CONFIG_BYTES, Operation, Problem, Side, config_of, image_children, image_for_platform,
    platform_from_config,
};
use image_copy::list::TagVersion;
use image_copy::oci::{self, Digest, Manifest, Platform, Reference, Registry, Tag};
use image_copy::registry::{Client, Error, ManifestId, Repository};
use semver::VersionReq;
use tokio::sync::OnceCell;

/// Query for each reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// The digest of its tag.
    Digest,
    /// The most specific tag of the same image.
    SpecificTag,
    /// The newest tag of the same kind within the requirement, with its digest.
    NewestTag(Option<VersionReq>),
}

/// Result of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resolution {
    Tag {
        tag: Tag,
        digest: Digest,
        /// A tag of a newer version with another base, such as `3.14-alpine3.22` for `3.13-alpine3.19`.
        other_base: Option<Tag>,
    },
    /// No other tag matches.
    Unchanged,
}

/// Queries registries.
pub(crate) struct Resolver {
    client: Client,
    lookup: Lookup,
    /// Platform of the pinned image. `None` pins the index.
    platform: Option<Platform>,
    /// Maximum number of concurrent requests.
    jobs: usize,
    /// Registries that failed, with the error.
    failed_registries: Mutex<HashMap<Registry, Error>>,
    /// Tags of each repository, which many references share.
    lists: Mutex<HashMap<oci::Repository, TagList>>,
}

/// Tags of a repository. A list can need 12 MiB of memory, and is dropped after its last use.
#[derive(Default)]
struct TagList {
    tags: Arc<OnceCell<Arc<Vec<Tag>>>>,
    /// Number of references that can still need the list.
    remaining: usize,
}

/// A result with a boxed failure.
pub(crate) type Result<T> = std::result::Result<T, Box<Failure>>;

impl Resolver {
    pub(crate) fn new(client: Client, lookup: Lookup, platform: Option<Platform>, jobs: usize) -> Self {
        Self { client, lookup, platform, jobs, failed_registries: Mutex::default(), lists: Mutex::default() }
    }

    /// Resolves the references and returns the results in the same order. `done` is called after each.
    pub(crate) async fn resolve(
        &self,
        references: &[Reference],
        done: &(dyn Fn() + Sync),
    ) -> Vec<Result<Resolution>> {
        for reference in references {
            self.lists().entry(reference.repository.clone()).or_default().remaining += 1;
        }
        let resolutions = stream::iter(0..references.len())
            .map(|at| async move {
                let resolution = self.resolve_one(&references[at]).await;
                self.release_list(&references[at].repository);
                done();
                (at, resolution)
            })
            // Unordered, so that a slow registry does not delay others.
            .buffer_unordered(self.jobs);
        let mut resolutions: Vec<_> = resolutions.collect().await;
        resolutions.sort_by_key(|(at, _)| *at);
        resolutions.into_iter().map(|(_, resolution)| resolution).collect()
    }

    fn lists(&self) -> MutexGuard<'_, HashMap<oci::Repository, TagList>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops the list of a repository after its last reference.
    fn release_list(&self, repository: &oci::Repository) {
        let mut lists = self.lists();
        if let Some(list) = lists.get_mut(repository) {
            list.remaining = list.remaining.saturating_sub(1);
            if list.remaining == 0 {
                lists.remove(repository);
            }
        }
    }

    /// Calls [`Resolver::query`], except for a registry that has failed before: it would fail again after
    /// the same timeout.
    async fn resolve_one(&self, reference: &Reference) -> Result<Resolution> {
        let registry = reference.repository.registry();
        let failed_registries = || self.failed_registries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cause) = failed_registries().get(registry).cloned() {
            return Err(failure(reference, cause));
        }
        let resolution = self.query(reference).await;
        if let Err(failure) = &resolution
            && affects_registry(failure.problem())
            && let Failure::Registry { cause, .. } = &**failure
        {
            failed_registries().insert(registry.clone(), cause.clone());
        }
        resolution
    }

    /// Resolves a reference with a tag.
    async fn query(&self, reference: &Reference) -> Result<Resolution> {
        let repository = self.client.repository(reference.repository.clone(), None);
        let Some(tag) = reference.tag.clone() else { return Ok(Resolution::Unchanged) };
        let failed = |cause| failure(reference, cause);
        let (tag, other_base) = match &self.lookup {
            Lookup::Digest => (tag, None),
            Lookup::SpecificTag => return self.most_specific_tag(&repository, tag).await.map_err(failed),
            Lookup::NewestTag(None) if TagVersion::parse(tag.as_str()).is_none() => (tag, None),
            Lookup::NewestTag(requirement) => {
                let all = self.tags(&repository).await.map_err(failed)?;
                match newest::newest(&tag, &all, requirement.as_ref()) {
                    Some(newest) => (newest.tag, newest.other_base),
                    None => return Ok(Resolution::Unchanged),
                }
            }
        };
        let tagged = reference.repository.with_tag(tag.clone());
        let id = ManifestId::Tag(tag.clone());
        let digest = match &self.platform {
            Some(platform) => self.child_digest(&repository, &tagged, &id, platform).await?,
            None => repository.head_manifest(&id).await.map_err(|cause| failure(&tagged, cause))?.digest,
        };
        Ok(Resolution::Tag { tag, digest, other_base })
    }

    async fn tags(&self, repository: &Repository) -> std::result::Result<Arc<Vec<Tag>>, Error> {
        let list = Arc::clone(&self.lists().entry(repository.name().clone()).or_default().tags);
        list.get_or_try_init(async || repository.list_tags().await.map(Arc::new)).await.cloned()
    }

    /// Returns the most specific tag with the same digest as `tag`.
    async fn most_specific_tag(
        &self,
        repository: &Repository,
        tag: Tag,
    ) -> std::result::Result<Resolution, Error> {
        let digest = repository.head_manifest(&ManifestId::Tag(tag.clone())).await?.digest;
        let candidates = newest::more_specific(&tag, &self.tags(repository).await?);
        let heads = stream::iter(0..candidates.len())
            .map(|at| {
                let candidate = candidates[at].clone();
                async move {
                    let head = repository.head_manifest(&ManifestId::Tag(candidate.clone())).await;
                    (candidate, head)
                }
            })
            .buffered(self.jobs);
        let mut heads = Box::pin(heads);
        while let Some((candidate, head)) = heads.next().await {
            match head {
                Ok(head) if head.digest == digest => {
                    return Ok(Resolution::Tag { tag: candidate, digest, other_base: None });
                }
                Ok(_) => {}
                // A tag can be deleted after the list was read.
                Err(Error::ErrorResponse(response)) if response.status == 404 => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Resolution::Unchanged)
    }

    /// Returns the digest of the image for the platform. Reading the index counts as a pull.
    async fn child_digest(
        &self,
        repository: &Repository,
        tagged: &Reference,
        id: &ManifestId,
        wanted: &Platform,
    ) -> Result<Digest> {
        let failed = |cause| failure(tagged, cause);
        let manifest = repository.get_manifest(id).await.map_err(failed)?;
        let available = if manifest.is_index() {
            if let Some(chosen) = image_for_platform(&manifest, wanted) {
                return Ok(chosen.digest.clone());
            }
            image_children(&manifest).filter_map(|image| image.platform.clone()).collect()
        } else {
            let own = own_platform(repository, &manifest).await.map_err(failed)?;
            if own.as_ref().is_none_or(|own| own.satisfies(wanted)) {
                return Ok(manifest.digest);
            }
            own.into_iter().collect()
        };
        Err(Box::new(Failure::NoPlatform { subject: tagged.to_string(), wanted: wanted.clone(), available }))
    }
}

/// Returns true if the problem affects all references to the registry.
pub(crate) fn affects_registry(problem: Problem) -> bool {
    matches!(
        problem,
        Problem::Unreachable
            | Problem::ProxyUnreachable
            | Problem::CertificateRejected
            | Problem::Interrupted
            | Problem::CredentialsUnavailable
            | Problem::PullLimit
            | Problem::Throttled
    )
}

fn failure(reference: &Reference, cause: Error) -> Box<Failure> {
    let subject = reference.to_string();
    Box::new(Failure::Registry { side: Side::Source, operation: Operation::ReadManifest, subject, cause })
}

/// Returns the platform of an image without an index, from its config.
async fn own_platform(
    repository: &Repository,
    manifest: &Manifest,
) -> std::result::Result<Option<Platform>, Error> {
    let Some(config) = config_of(manifest) else { return Ok(None) };
    Ok(platform_from_config(&repository.get_blob(config, MAX_CONFIG_BYTES).await?)?)
}
