//! Copies, plans or compares one image.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use image_copy::copy::{
    self, CurrentState, Error, Failure, NullReporter, PlatformSelection, ProgressReporter, Request, Source,
    TransferLimits,
};
use image_copy::oci::Registry;
use image_copy::registry;
use image_copy_aws::RepositorySpec;
use tokio::time::Instant;

use super::images::Image;
use super::progress::SyncProgress;
use super::result::{Change, ChangeKind, ImageResult};
use crate::args::{SyncArgs, Verbosity};
use crate::connection::Connection;
use crate::creation::CreatedRepository;
use crate::planning::{Prepared, Writes};
use crate::report;
use crate::resolve::affects_registry;
use crate::tag_lists;

/// The parts that all copies share.
pub(super) struct Copier<'a> {
    pub(super) args: &'a SyncArgs,
    pub(super) verbosity: Verbosity,
    pub(super) connection: Connection,
    /// Settings of created repositories. `None` if none is created.
    pub(super) spec: Option<RepositorySpec>,
    /// Created repositories. Several images can be in one repository.
    pub(super) repositories: Mutex<Vec<CreatedRepository>>,
    /// Its limit of concurrent blobs counts for all images.
    pub(super) limits: TransferLimits,
    pub(super) progress: Arc<SyncProgress>,
    /// Registries that cannot be reached, with the error. Each further image would fail after the same timeout.
    pub(super) failed_registries: Mutex<HashMap<Registry, registry::Error>>,
}

impl Copier<'_> {
    /// Copies, plans or compares an image.
    pub(super) async fn run<'a>(&self, image: &'a Image) -> ImageResult<'a> {
        let started = Instant::now();
        let request = &image.request;
        let (client, repository) = (&self.connection.client, &request.source.repository);
        let source = Source::with_mirrors(client, repository.clone(), None, &self.args.reading.mirror);
        let change = match self.earlier_failure(image) {
            Some(failure) => Err(failure),
            None => self.change(request, &source).await,
        };
        let failed_registry = change.as_ref().err().and_then(|failure| self.remember(failure, request));
        let usage = source.upstream().usage();
        let is_docker_hub = request.source.repository.registry().is_docker_hub();
        ImageResult {
            image,
            change,
            failed_registry,
            pulls: if is_docker_hub { usage.manifest_gets } else { 0 },
            rate_limit: usage.rate_limit.filter(|_| is_docker_hub),
            elapsed: started.elapsed(),
        }
    }

    async fn change(&self, request: &Request, source: &Source) -> Result<Change, Error> {
        let prepared = Prepared::read(&self.connection, request, source, self.spec.as_ref()).await?;
        if self.args.check
            && let Some(change) = difference(request, &prepared.state)
        {
            return Ok(change);
        }
        let plan = prepared.plan().await?;
        if self.args.check {
            return Ok(Change::of_plan(&plan));
        }
        let writes = if self.args.dry_run { Writes::Forbidden } else { Writes::Allowed };
        if let Some(created) = prepared.create_repository(&plan, writes).await? {
            self.add_repository(created);
        }
        if self.args.dry_run {
            return Ok(Change::of_plan(&plan));
        }
        let bar = (!plan.blobs.is_empty()).then(|| self.progress.image(&plan));
        let reporter: Arc<dyn ProgressReporter> = match &bar {
            Some(bar) => Arc::clone(bar) as _,
            None => Arc::new(NullReporter),
        };
        let outcome = copy::transfer(&plan, source, &prepared.destination, &self.limits, reporter).await?;
        Ok(Change::of_outcome(&outcome, &plan))
    }

    /// Records a created repository, and prints a note about it once.
    fn add_repository(&self, created: CreatedRepository) {
        let mut all = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains(&created) {
            return;
        }
        if self.verbosity != Verbosity::Quiet {
            self.progress.suspend(|| report::note(&created.to_string()));
        }
        all.push(created);
    }

    /// Returns the created repositories, sorted by name.
    pub(super) fn repositories(&self) -> Vec<CreatedRepository> {
        let mut all = self.repositories.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Returns the failure of an unreachable registry for another image, or of the list of tags.
    fn earlier_failure(&self, image: &Image) -> Option<Error> {
        let request = &image.request;
        if let Some(cause) = &image.tags_error {
            return Some(tag_lists::failure(&request.source.repository, cause.clone()));
        }
        let failed = self.failed_registries.lock().unwrap_or_else(PoisonError::into_inner);
        let (source, destination) = (&request.source.repository, &request.destination);
        if let Some(cause) = failed.get(destination.registry()) {
            return Some(request.destination_failure(copy::Operation::ReadManifest, cause.clone()));
        }
        let cause = failed.get(source.registry())?.clone();
        Some(Box::new(Failure::Registry {
            side: copy::Side::Source,
            operation: copy::Operation::ReadManifest,
            subject: request.source.to_string(),
            cause,
        }))
    }

    /// Records the error of a registry that cannot be reached, and returns the registry. A pull limit is not
    /// recorded, because unchanged images need no pull.
    fn remember(&self, failure: &Failure, request: &Request) -> Option<Registry> {
        let is_limit = matches!(failure.problem(), copy::Problem::PullLimit | copy::Problem::Throttled);
        let is_interrupted = failure.problem() == copy::Problem::Interrupted;
        let Failure::Registry { side, cause, .. } = failure else { return None };
        if is_limit || is_interrupted || !affects_registry(failure.problem()) {
            return None;
        }
        let registry = match side {
            copy::Side::Source => request.source.repository.registry(),
            copy::Side::Destination => request.destination.registry(),
        };
        let mut failed = self.failed_registries.lock().unwrap_or_else(PoisonError::into_inner);
        failed.entry(registry.clone()).or_insert_with(|| cause.clone());
        Some(registry.clone())
    }
}

/// Returns the difference of two digests without reading manifests, which can count as pulls. A selection of
/// platforms and a changed image have another digest than their source.
fn difference(request: &Request, state: &CurrentState) -> Option<Change> {
    let has_own_digest = request.platforms != PlatformSelection::All || request.customization.is_some();
    if has_own_digest || request.include_referrers {
        return None;
    }
    let kind = match (&request.tag, &state.tagged) {
        (Some(_), Some(tagged)) if tagged.digest == state.source_digest => return None,
        (Some(_), Some(tagged)) => ChangeKind::Moved { from: tagged.digest.clone() },
        (Some(_), None) => ChangeKind::New,
        // Without a tag, the state contains the digest if the destination has it.
        (None, _) if state.existing(&state.source_digest).is_none() => ChangeKind::New,
        (None, _) => return None,
    };
    Some(Change {
        kind,
        digest: state.source_digest.clone(),
        platforms: Vec::new(),
        size: None,
        bytes: 0,
        attestations_left_out: 0,
        warning: None,
    })
}
