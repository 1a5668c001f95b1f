//! The repositories that an image is read from: mirrors, then the registry in its reference.
//!
//! Only the registry in the reference resolves tags. Manifests and blobs are read by digest, from each
//! mirror in order, and from the named registry if no mirror has them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, timeout};

use super::manifest_ref::{Part, read_part};
use super::mirror::Mirror;
use crate::copy::budget::MemoryBudget;
use crate::http;
use crate::oci::{self, Digest, Manifest};
use crate::registry::{Client, Error, Repository};

/// Concurrent manifest reads.
const CONCURRENT_READS: usize = 4;

/// Time limit of a mirror for a manifest, as a multiple of the connection timeout. It leaves time to wait
/// out a throttled request, because each manifest that no mirror returns can cost a pull.
const MANIFEST_PATIENCE: u32 = 6;

/// Time limit of a mirror for the next piece of a blob, in the same unit. Blobs are not counted as pulls.
const PIECE_PATIENCE: u32 = 2;

/// The repositories that one image is read from. Clones share their state. Create a new source for each
/// copy, so that a mirror that failed is tried again.
#[derive(Clone)]
pub struct Source {
    shared: Arc<Shared>,
}

struct Shared {
    /// The mirrors in their order, then the named registry.
    places: Vec<Place>,
    /// Manifests by the digest they were read with, so that none is read twice.
    manifests: Mutex<HashMap<Digest, Manifest>>,
    budget: MemoryBudget,
}

pub(super) struct Place {
    pub(super) repository: Repository,
    failed: AtomicBool,
    manifests: AtomicU64,
    blobs: AtomicU64,
}

/// Counts of the content read from one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCounts {
    /// The repository.
    pub repository: oci::Repository,
    /// Manifests read there.
    pub manifests: u64,
    /// Blobs whose last byte was read there.
    pub blobs: u64,
}

impl From<Repository> for Source {
    fn from(named: Repository) -> Self {
        Self::new(named, Vec::new())
    }
}

impl Source {
    /// `named` is the repository in the reference, which resolves tags. `mirrors` are read before it, in
    /// their order, only by digest.
    #[must_use]
    pub fn new(named: Repository, mirrors: Vec<Repository>) -> Self {
        let place = |repository| Place {
            repository,
            failed: AtomicBool::new(false),
            manifests: AtomicU64::new(0),
            blobs: AtomicU64::new(0),
        };
        let places = mirrors.into_iter().chain([named]).map(place).collect();
        Self {
            shared: Arc::new(Shared { places, manifests: Mutex::default(), budget: MemoryBudget::default() }),
        }
    }

    /// The repository `name` with the mirrors whose prefix matches.
    #[must_use]
    pub fn with_mirrors(
        client: &Client,
        name: oci::Repository,
        deadline: Option<Instant>,
        mirrors: &[Mirror],
    ) -> Self {
        let places = Mirror::all_of(mirrors, &name);
        let places = places.into_iter().map(|place| client.repository(place, deadline)).collect();
        Self::new(client.repository(name, deadline), places)
    }

    /// Returns the repository in the reference. Its usage counts the pulls.
    #[must_use]
    pub fn upstream(&self) -> &Repository {
        &self.places()[self.last()].repository
    }

    /// Returns the time when retries end.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.upstream().deadline()
    }

    /// Returns the repositories that content was read from so far, in the order of preference.
    #[must_use]
    pub fn read_counts(&self) -> Vec<ReadCounts> {
        let served = self.places().iter().map(|place| ReadCounts {
            repository: place.repository.name().clone(),
            manifests: place.manifests.load(Ordering::Relaxed),
            blobs: place.blobs.load(Ordering::Relaxed),
        });
        served.filter(|served| served.manifests + served.blobs > 0).collect()
    }

    /// Reads manifests, each from the first repository that has it.
    ///
    /// # Errors
    /// The digest of the first manifest that no repository has, and the named registry's error.
    pub(in crate::copy) async fn manifests(&self, parts: &[Part]) -> Result<Vec<Manifest>, (Digest, Error)> {
        for mirror in &self.places()[..self.last()] {
            let missing = self.missing(parts);
            // By position: a closure over references makes a future that is not `Send` to the
            // compiler (https://github.com/rust-lang/rust/issues/102211).
            stream::iter(0..missing.len())
                .map(|position| self.read_mirrored(mirror, &missing[position]))
                .buffer_unordered(CONCURRENT_READS)
                .collect::<()>()
                .await;
        }
        let missing = self.missing(parts);
        if let Some(first) = missing.first() {
            self.afford(missing.len() as u64).await.map_err(|error| (first.digest.clone(), error))?;
        }
        stream::iter(0..missing.len())
            .map(|position| self.read_named(&missing[position]))
            .buffer_unordered(CONCURRENT_READS)
            .try_collect::<()>()
            .await?;
        let read = self.read();
        let found = |part: &Part| {
            let lost = || (part.digest.clone(), Error::Protocol("a manifest that was read is missing"));
            read.get(&part.digest).cloned().ok_or_else(lost)
        };
        parts.iter().map(found).collect()
    }

    /// Stores a manifest that was part of another response.
    pub(in crate::copy) fn remember(&self, manifest: &Manifest) {
        self.read().insert(manifest.digest.clone(), manifest.clone());
    }

    async fn read_named(&self, part: &Part) -> Result<(), (Digest, Error)> {
        let place = &self.places()[self.last()];
        let manifest = read_part(&place.repository, part).await;
        self.keep(place, &part.digest, manifest.map_err(|error| (part.digest.clone(), error))?);
        Ok(())
    }

    async fn read_mirrored(&self, mirror: &Place, part: &Part) {
        if mirror.failed.load(Ordering::Relaxed) {
            return;
        }
        let patience = self.patience(MANIFEST_PATIENCE);
        let repository = mirror.repository.with_deadline(Instant::now() + patience);
        let reading = timeout(patience, read_part(&repository, part)).await;
        match reading.unwrap_or_else(|_| Err(silent(mirror, patience))) {
            Ok(manifest) => self.keep(mirror, &part.digest, manifest),
            Err(error) => mirror.note(&part.digest, &error),
        }
    }

    /// Stores a manifest by the requested digest, which differs from its own if it uses another algorithm.
    fn keep(&self, place: &Place, digest: &Digest, manifest: Manifest) {
        place.manifests.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%digest, place = %place.repository.name(), "manifest read");
        self.read().insert(digest.clone(), manifest);
    }

    /// Returns the manifests that were not read yet, each once.
    fn missing(&self, parts: &[Part]) -> Vec<Part> {
        let read = self.read();
        let mut seen = HashSet::new();
        let missing = parts.iter().filter(|part| !read.contains_key(&part.digest));
        missing.filter(|part| seen.insert(&part.digest)).cloned().collect()
    }

    /// Returns the budget that everything read for this copy is charged to.
    pub(in crate::copy) fn budget(&self) -> &MemoryBudget {
        &self.shared.budget
    }

    /// Checks that the named registry's pull limit allows `needed` manifests, before pulls are spent on an
    /// incomplete image (<https://docs.docker.com/docker-hub/usage/pulls/>). Waits for the end of the
    /// limit's window if that comes before the deadline.
    ///
    /// # Errors
    /// If it comes later, or is not known.
    pub(in crate::copy) async fn afford(&self, needed: u64) -> Result<(), Error> {
        let Some(limit) = self.upstream().usage().rate_limit else { return Ok(()) };
        if limit.remaining.is_none_or(|left| left >= needed) {
            return Ok(());
        }
        let end = limit.ends().and_then(|time| Instant::now().checked_add(time));
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

    /// Returns the host that has been waited for longest, and since when.
    pub(in crate::copy) fn silence(&self) -> Option<http::SilentHost> {
        let silences = self.places().iter().filter_map(|place| place.repository.silent_host());
        silences.max_by_key(|silence| silence.time)
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.shared.places
    }

    /// Returns the position of the named registry.
    pub(super) fn last(&self) -> usize {
        self.shared.places.len() - 1
    }

    /// Returns the first position from `position` on that did not fail, at last the named registry.
    pub(super) fn next_place(&self, position: usize) -> usize {
        let mut places = position..self.last();
        places.find(|at| !self.places()[*at].failed.load(Ordering::Relaxed)).unwrap_or(self.last())
    }

    /// Returns the time limit of a mirror for a piece of a blob.
    pub(super) fn patience_for_piece(&self) -> Duration {
        self.patience(PIECE_PATIENCE)
    }

    /// Limits the time to a quarter of the remaining time, because other repositories may follow.
    fn patience(&self, connections: u32) -> Duration {
        let patience = self.upstream().http_options().connect_timeout * connections;
        let left = self.deadline().map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(patience, |left| patience.min(left / 4))
    }

    fn read(&self) -> MutexGuard<'_, HashMap<Digest, Manifest>> {
        self.shared.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Handles an error of a mirror. If content is missing, the mirror stays in use; after any other error
    /// it is not used again.
    pub(super) fn note(&self, digest: &Digest, error: &Error) {
        let mirror = self.repository.name();
        if is_missing(error) {
            tracing::debug!(%mirror, %digest, "the mirror does not have it");
        } else {
            self.give_up(error);
        }
    }

    pub(super) fn give_up(&self, error: &Error) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            let mirror = self.repository.name();
            tracing::warn!(%mirror, %error, "the mirror failed and is not asked again");
        }
    }

    pub(super) fn served_blob(&self) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns true if one piece of content is missing, but not the whole repository.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::ErrorResponse(refusal) if refusal.status == 404 && !refusal.has_code("NAME_UNKNOWN"))
}

/// Returns the error for a mirror that exceeded its time limit.
pub(super) fn silent(mirror: &Place, time: Duration) -> Error {
    let host = mirror.repository.name().registry().api_host().to_owned();
    let kind = http::ErrorKind::Silent { time, proxy: None };
    http::Error { kind, host: host.into(), attempts: 1, elapsed: time }.into()
}
