//! Where an image is read: the registry that its reference names, and mirrors before it.
//!
//! What a name means, the named registry alone says. Manifests and blobs are then read by digest,
//! from each mirror in order, and from the named registry whatever no mirror gave.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{Instant, timeout};

use super::mirror::Mirror;
use crate::http;
use crate::oci::{self, Digest, Manifest};
use crate::registry::{Client, Error, ManifestId, Repository};

/// Manifests read at once.
const CONCURRENT_READS: usize = 4;

/// A mirror may take as long for a manifest as so many connections may take to come about: long
/// enough to be told to slow down and to get over that, for every manifest that it does not serve
/// may cost a pull.
const MANIFEST_PATIENCE: u32 = 6;

/// The same for the next piece of a blob, which costs nothing elsewhere.
const PIECE_PATIENCE: u32 = 2;

/// The places where one image is read. A clone shares what is known of them: make a new one for each
/// copy, so that a mirror that failed is given another chance.
#[derive(Clone)]
pub struct Source {
    shared: Arc<Shared>,
}

struct Shared {
    /// The mirrors in their order, then the named registry.
    places: Vec<Place>,
    /// What was read, so that no manifest is read twice.
    manifests: Mutex<HashMap<Digest, Manifest>>,
}

pub(super) struct Place {
    pub(super) repository: Repository,
    failed: AtomicBool,
    manifests: AtomicU64,
    blobs: AtomicU64,
}

/// What one place served of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The repository.
    pub place: oci::Repository,
    /// Manifests read there.
    pub manifests: u64,
    /// Blobs whose last byte came from there.
    pub blobs: u64,
}

impl From<Repository> for Source {
    fn from(named: Repository) -> Self {
        Self::new(named, Vec::new())
    }
}

impl Source {
    /// `named` is the registry that says what a name means; `mirrors` are read by digest alone, in
    /// their order, before it.
    #[must_use]
    pub fn new(named: Repository, mirrors: Vec<Repository>) -> Self {
        let place = |repository| Place {
            repository,
            failed: AtomicBool::new(false),
            manifests: AtomicU64::new(0),
            blobs: AtomicU64::new(0),
        };
        let places = mirrors.into_iter().chain([named]).map(place).collect();
        Self { shared: Arc::new(Shared { places, manifests: Mutex::default() }) }
    }

    /// The repository `name` with those of the mirrors that have it.
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

    /// The registry that the reference names. Its usage tells what the copy cost.
    #[must_use]
    pub fn named(&self) -> &Repository {
        &self.places()[self.last()].repository
    }

    /// When requests are no longer repeated.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.named().deadline()
    }

    /// Who served so far, in the order asked; who served nothing is left out.
    #[must_use]
    pub fn served(&self) -> Vec<Served> {
        let served = self.places().iter().map(|place| Served {
            place: place.repository.name().clone(),
            manifests: place.manifests.load(Ordering::Relaxed),
            blobs: place.blobs.load(Ordering::Relaxed),
        });
        served.filter(|served| served.manifests + served.blobs > 0).collect()
    }

    /// Reads manifests, each from the first place that has it.
    ///
    /// # Errors
    /// What the named registry says of the first that no place has, and which that is.
    pub(in crate::copy) async fn manifests(
        &self,
        digests: &[Digest],
    ) -> Result<Vec<Manifest>, (Digest, Error)> {
        for mirror in &self.places()[..self.last()] {
            let missing = self.missing(digests);
            // By position: a closure over references makes a future that is not `Send` to the
            // compiler (https://github.com/rust-lang/rust/issues/102211).
            stream::iter(0..missing.len())
                .map(|position| self.read_mirrored(mirror, &missing[position]))
                .buffer_unordered(CONCURRENT_READS)
                .collect::<()>()
                .await;
        }
        let missing = self.missing(digests);
        if let Some(first) = missing.first() {
            self.afford(missing.len() as u64).map_err(|error| (first.clone(), error))?;
        }
        stream::iter(0..missing.len())
            .map(|position| self.read_named(&missing[position]))
            .buffer_unordered(CONCURRENT_READS)
            .try_collect::<()>()
            .await?;
        let read = self.read();
        Ok(digests.iter().filter_map(|digest| read.get(digest).cloned()).collect())
    }

    /// Takes note of a manifest that came along with the answer to another question.
    pub(in crate::copy) fn remember(&self, manifest: &Manifest) {
        self.read().insert(manifest.digest.clone(), manifest.clone());
    }

    async fn read_named(&self, digest: &Digest) -> Result<(), (Digest, Error)> {
        let place = &self.places()[self.last()];
        let manifest = place.repository.get_manifest(&ManifestId::Digest(digest.clone())).await;
        self.keep(place, digest, manifest.map_err(|error| (digest.clone(), error))?);
        Ok(())
    }

    async fn read_mirrored(&self, mirror: &Place, digest: &Digest) {
        if mirror.failed.load(Ordering::Relaxed) {
            return;
        }
        let patience = self.patience(MANIFEST_PATIENCE);
        let repository = mirror.repository.until(Instant::now() + patience);
        let id = ManifestId::Digest(digest.clone());
        match timeout(patience, repository.get_manifest(&id)).await.unwrap_or_else(|_| Err(silent(mirror))) {
            Ok(manifest) => self.keep(mirror, digest, manifest),
            Err(error) => mirror.note(digest, &error),
        }
    }

    /// Under the digest that was asked for: by another algorithm, the manifest has another of its own.
    fn keep(&self, place: &Place, digest: &Digest, manifest: Manifest) {
        place.manifests.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%digest, place = %place.repository.name(), "manifest read");
        self.read().insert(digest.clone(), manifest);
    }

    /// Those not read yet, each once.
    fn missing(&self, digests: &[Digest]) -> Vec<Digest> {
        let read = self.read();
        let mut missing: Vec<Digest> = Vec::new();
        for digest in digests {
            if !read.contains_key(digest) && !missing.contains(digest) {
                missing.push(digest.clone());
            }
        }
        missing
    }

    /// Fails when the named registry is known not to serve so many manifests: better none of them
    /// than a part (<https://docs.docker.com/docker-hub/usage/pulls/>).
    fn afford(&self, needed: u64) -> Result<(), Error> {
        match self.named().usage().rate_limit {
            Some(limit) if limit.remaining.is_some_and(|left| left < needed) => {
                Err(Error::TooFewPulls { needed, limit })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.shared.places
    }

    /// Position of the named registry.
    pub(super) fn last(&self) -> usize {
        self.shared.places.len() - 1
    }

    /// The first place from `position` on that did not fail; the named registry in the end.
    pub(super) fn next_place(&self, position: usize) -> usize {
        let mut places = position..self.last();
        places.find(|at| !self.places()[*at].failed.load(Ordering::Relaxed)).unwrap_or(self.last())
    }

    /// How long a mirror is waited for a piece of a blob.
    pub(super) fn patience_for_piece(&self) -> Duration {
        self.patience(PIECE_PATIENCE)
    }

    /// A quarter of the time left at most: the other places need theirs.
    fn patience(&self, connections: u32) -> Duration {
        let patience = self.named().http_options().connect_timeout * connections;
        let left = self.deadline().map(|end| end.saturating_duration_since(Instant::now()));
        left.map_or(patience, |left| patience.min(left / 4))
    }

    fn read(&self) -> MutexGuard<'_, HashMap<Digest, Manifest>> {
        self.shared.manifests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Takes note of what a mirror did not give. One that fails for reasons of its own is not asked
    /// again.
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

/// Whether one piece of content is missing, and not the whole repository.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Refused(refusal) if refusal.status == 404 && !refusal.has("NAME_UNKNOWN"))
}

/// A mirror that has not answered while there was patience for it.
pub(super) fn silent(mirror: &Place) -> Error {
    let host = mirror.repository.name().registry().api_host().to_owned();
    http::Error { kind: http::Kind::Timeout, host, attempts: 1, elapsed: Duration::ZERO }.into()
}
