//! The repositories that an image is read from: mirrors, then the upstream registry in its reference.
//!
//! Only the upstream registry resolves tags. Manifests and blobs are read by digest. If no mirror
//! has them, they are read from the upstream registry.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, timeout};

use super::manifest_ref::{ManifestRef, read_manifest};
use super::mirror::Mirror;
use super::repository::{ReadCounts, SourceRepository, timeout_error};
use crate::copy::budget::MemoryBudget;
use crate::http;
use crate::oci::{self, Digest, Manifest};
use crate::registry::{Client, Error, Repository};

/// Concurrent manifest reads.
const CONCURRENT_READS: usize = 4;

/// Time limit of a mirror for a manifest, as a multiple of the connection timeout. It leaves time for
/// retries of a throttled request, because each manifest that no mirror returns can cost a pull.
const MANIFEST_TIME_FACTOR: u32 = 6;

/// Time limit of a mirror for the next piece of a blob, as a multiple of the connection timeout. Blobs are
/// not counted as pulls.
const PIECE_TIME_FACTOR: u32 = 2;

/// The repositories that one image is read from. Clones share their state. Create a new source for each
/// copy, so that a failed mirror is tried again.
#[derive(Clone)]
pub struct Source {
    shared: Arc<Shared>,
}

struct Shared {
    /// The mirrors in their order, then the upstream registry.
    repositories: Vec<SourceRepository>,
    /// Manifests by the digest they were requested with, so that none is read twice.
    manifests: Mutex<HashMap<Digest, Manifest>>,
    budget: MemoryBudget,
}

impl From<Repository> for Source {
    fn from(upstream: Repository) -> Self {
        Self::new(upstream, Vec::new())
    }
}

impl Source {
    /// Creates a source from the repository in the reference, which resolves tags. The `mirrors` are read
    /// before it, in their order, only by digest.
    #[must_use]
    pub fn new(upstream: Repository, mirrors: Vec<Repository>) -> Self {
        let repositories = mirrors.into_iter().chain([upstream]).map(SourceRepository::new).collect();
        Self {
            shared: Arc::new(Shared {
                repositories,
                manifests: Mutex::default(),
                budget: MemoryBudget::default(),
            }),
        }
    }

    /// Creates a source from the repository `name` and the mirrors whose prefix matches.
    #[must_use]
    pub fn with_mirrors(
        client: &Client,
        name: oci::Repository,
        deadline: Option<Instant>,
        mirrors: &[Mirror],
    ) -> Self {
        let mirrors = Mirror::repositories_for(mirrors, &name);
        let mirrors = mirrors.into_iter().map(|mirror| client.repository(mirror, deadline)).collect();
        Self::new(client.repository(name, deadline), mirrors)
    }

    /// Returns the repository in the reference. Its usage counts the pulls.
    #[must_use]
    pub fn upstream(&self) -> &Repository {
        &self.repositories()[self.upstream_index()].repository
    }

    /// Returns the time at which retries end.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.upstream().deadline()
    }

    /// Returns the counts of each repository that content was read from, in the order of preference.
    #[must_use]
    pub fn read_counts(&self) -> Vec<ReadCounts> {
        let counts = self.repositories().iter().map(SourceRepository::read_counts);
        counts.filter(|counts| counts.manifests + counts.blobs > 0).collect()
    }

    /// Reads manifests, each from the first repository that has it.
    ///
    /// # Errors
    /// The digest of the first manifest that no repository has, and the upstream registry's error.
    pub(in crate::copy) async fn read_manifests(
        &self,
        refs: &[ManifestRef],
    ) -> Result<Vec<Manifest>, (Digest, Error)> {
        for mirror in &self.repositories()[..self.upstream_index()] {
            let missing = self.unread(refs);
            // Maps positions, because the compiler does not accept a closure over references as `Send`
            // (https://github.com/rust-lang/rust/issues/102211).
            stream::iter(0..missing.len())
                .map(|position| self.read_from_mirror(mirror, &missing[position]))
                .buffer_unordered(CONCURRENT_READS)
                .collect::<()>()
                .await;
        }
        let missing = self.unread(refs);
        if let Some(first) = missing.first() {
            self.wait_for_pulls(missing.len() as u64).await.map_err(|error| (first.digest.clone(), error))?;
        }
        stream::iter(0..missing.len())
            .map(|position| self.read_upstream(&missing[position]))
            .buffer_unordered(CONCURRENT_READS)
            .try_collect::<()>()
            .await?;
        let read = self.stored_manifests();
        let found = |manifest_ref: &ManifestRef| {
            let missing =
                || (manifest_ref.digest.clone(), Error::Protocol("a manifest that was read is missing"));
            read.get(&manifest_ref.digest).cloned().ok_or_else(missing)
        };
        refs.iter().map(found).collect()
    }

    /// Stores a manifest that was manifest_ref of another response.
    pub(in crate::copy) fn store_manifest(&self, manifest: &Manifest) {
        self.stored_manifests().insert(manifest.digest.clone(), manifest.clone());
    }

    async fn read_upstream(&self, manifest_ref: &ManifestRef) -> Result<(), (Digest, Error)> {
        let upstream = &self.repositories()[self.upstream_index()];
        let manifest = read_manifest(&upstream.repository, manifest_ref).await;
        self.store(
            upstream,
            &manifest_ref.digest,
            manifest.map_err(|error| (manifest_ref.digest.clone(), error))?,
        );
        Ok(())
    }

    async fn read_from_mirror(&self, mirror: &SourceRepository, manifest_ref: &ManifestRef) {
        if mirror.has_failed() {
            return;
        }
        let limit = self.time_limit(MANIFEST_TIME_FACTOR);
        let repository = mirror.repository.with_deadline(Instant::now() + limit);
        let reading = timeout(limit, read_manifest(&repository, manifest_ref)).await;
        match reading.unwrap_or_else(|_| Err(timeout_error(mirror, limit))) {
            Ok(manifest) => self.store(mirror, &manifest_ref.digest, manifest),
            Err(error) => mirror.handle_error(&manifest_ref.digest, &error),
        }
    }

    /// Stores a manifest by the requested digest, which differs from its own if the algorithms differ.
    fn store(&self, source: &SourceRepository, digest: &Digest, manifest: Manifest) {
        source.count_manifest();
        tracing::debug!(%digest, repository = %source.repository.name(), "manifest read");
        self.stored_manifests().insert(digest.clone(), manifest);
    }

    /// Returns the manifests that were not read yet, each once.
    fn unread(&self, refs: &[ManifestRef]) -> Vec<ManifestRef> {
        let read = self.stored_manifests();
        let mut seen = HashSet::new();
        let missing = refs.iter().filter(|manifest_ref| !read.contains_key(&manifest_ref.digest));
        missing.filter(|manifest_ref| seen.insert(&manifest_ref.digest)).cloned().collect()
    }

    /// Returns the memory budget of the copy.
    pub(in crate::copy) fn budget(&self) -> &MemoryBudget {
        &self.shared.budget
    }

    /// Checks that the upstream registry's pull limit allows `needed` manifests, so that no pulls are spent
    /// on an incomplete image (<https://docs.docker.com/docker-hub/usage/pulls/>). If the limit's window
    /// ends before the deadline, waits for its end.
    ///
    /// # Errors
    /// If the window ends after the deadline, or at an unknown time.
    pub(in crate::copy) async fn wait_for_pulls(&self, needed: u64) -> Result<(), Error> {
        let Some(limit) = self.upstream().usage().rate_limit else { return Ok(()) };
        if limit.remaining.is_none_or(|left| left >= needed) {
            return Ok(());
        }
        let end = limit.time_to_reset().and_then(|time| Instant::now().checked_add(time));
        let latest = self
            .deadline()
            .unwrap_or(Instant::now() + self.upstream().http_options().backoff.max_total_pause);
        let Some(end) = end.filter(|end| *end < latest) else {
            return Err(Error::TooFewPulls { needed, limit });
        };
        tracing::info!(needed, %limit, "waiting for the end of the pull limit's window");
        tokio::time::sleep_until(end).await;
        self.upstream().clear_rate_limit();
        Ok(())
    }

    /// Returns the host that has been silent for the longest time.
    pub(in crate::copy) fn silent_host(&self) -> Option<http::SilentHost> {
        let silent_hosts = self.repositories().iter().filter_map(|source| source.repository.silent_host());
        silent_hosts.max_by_key(|silent_host| silent_host.time)
    }

    pub(super) fn repositories(&self) -> &[SourceRepository] {
        &self.shared.repositories
    }

    /// Returns the position of the upstream registry.
    pub(super) fn upstream_index(&self) -> usize {
        self.shared.repositories.len() - 1
    }

    /// Returns the position of the first repository at or after `position` that has not failed. The last is
    /// the upstream registry.
    pub(super) fn next_repository(&self, position: usize) -> usize {
        let mut mirrors = position..self.upstream_index();
        mirrors.find(|at| !self.repositories()[*at].has_failed()).unwrap_or(self.upstream_index())
    }

    /// Returns the time limit of a mirror for a piece of a blob.
    pub(super) fn piece_time_limit(&self) -> Duration {
        self.time_limit(PIECE_TIME_FACTOR)
    }

    /// Returns a time limit of at most a quarter of the remaining time, because other repositories can
    /// follow.
    fn time_limit(&self, connections: u32) -> Duration {
        let limit = self.upstream().http_options().connect_timeout * connections;
        let left = self.deadline().map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(limit, |left| limit.min(left / 4))
    }

    fn stored_manifests(&self) -> MutexGuard<'_, HashMap<Digest, Manifest>> {
        self.shared.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
