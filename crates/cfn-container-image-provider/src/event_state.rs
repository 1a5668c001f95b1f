//! State of tags during one event, read and written while the table is available.
//!
//! Copies work without the state. After one failure, the event therefore continues without the table, and the
//! log and the response report that.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use image_copy::registry::Error;
use image_copy_aws::{StateTable, TagState, WriteOutcome, unix_time};
use tokio::time::Instant;

/// Maximum duration of a lease in seconds. Other attempts wait that long for the lease of an attempt that
/// crashed.
pub(crate) const LEASE_SECONDS: u64 = 120;
/// Time for the work under a lease. It is less than the lease, so that an attempt stops before another one
/// can take the lease.
const WORK_UNDER_LEASE: Duration = Duration::from_secs(90);
/// Bounds of the pause before another read of an item with a lease.
const MIN_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_millis(1200);

/// Storage of items. It is a trait for the step-by-step execution in the model test.
pub(crate) trait Store: Send + Sync {
    /// Reads an item.
    fn read(&self, image: &str) -> impl Future<Output = Result<Option<TagState>, String>> + Send;
    /// Writes an item, if it has not changed since it was read.
    fn write(&self, state: &TagState) -> impl Future<Output = Result<WriteOutcome, String>> + Send;
    /// Deletes an item, if it has not changed since it was read.
    fn delete(&self, state: &TagState) -> impl Future<Output = Result<WriteOutcome, String>> + Send;
    /// Returns the time in seconds since 1970.
    fn now(&self) -> u64;
    /// Waits for the lease of another attempt. Returns false if there is no time left.
    fn wait_for_lease(&self) -> impl Future<Output = bool> + Send;
    /// Runs `work` for less than [`LEASE_SECONDS`]. Returns `None` if it did not finish.
    fn under_lease<T: Send>(
        &self,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Option<T>> + Send;
}

/// The table in DynamoDB, for one event.
pub(crate) struct TableStore {
    table: StateTable,
    /// Time at which the event stops waiting for a lease.
    deadline: Instant,
}

impl TableStore {
    pub(crate) fn new(table: StateTable, deadline: Instant) -> Self {
        Self { table, deadline }
    }

    /// Limits a call to a quarter of the remaining time, because the copy needs the rest.
    async fn with_time_limit<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        let share = self.deadline.saturating_duration_since(Instant::now()) / 4;
        match tokio::time::timeout(share, call).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no response within {:.1} s", share.as_secs_f64())),
        }
    }
}

impl Store for TableStore {
    async fn read(&self, image: &str) -> Result<Option<TagState>, String> {
        self.with_time_limit(self.table.get(image)).await
    }

    async fn write(&self, state: &TagState) -> Result<WriteOutcome, String> {
        self.with_time_limit(self.table.put(state)).await
    }

    async fn delete(&self, state: &TagState) -> Result<WriteOutcome, String> {
        self.with_time_limit(self.table.delete(state)).await
    }

    fn now(&self) -> u64 {
        unix_time()
    }

    async fn wait_for_lease(&self) -> bool {
        let pause = MIN_PAUSE + (MAX_PAUSE - MIN_PAUSE).mul_f64(fastrand::f64());
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }

    async fn under_lease<T: Send>(&self, work: impl Future<Output = T> + Send) -> Option<T> {
        tokio::time::timeout(WORK_UNDER_LEASE, work).await.ok()
    }
}

/// Use of the state table by an event, for the log and its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateUse {
    /// Every call succeeded.
    Used,
    /// A call failed.
    Unavailable,
    /// The settings have no state table.
    Off,
}

impl StateUse {
    /// Returns the value of the log field `state`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Unavailable => "unavailable",
            Self::Off => "off",
        }
    }
}

/// The event continues without state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoState;

/// The state table for one event. No call is sent after the first failure.
pub(crate) struct EventState<S> {
    store: Option<S>,
    has_failed: AtomicBool,
    /// Unique name of this attempt in leases.
    holder: String,
}

impl<S: Store> EventState<S> {
    /// Creates the state from a store. Without a store the state is off.
    pub(crate) fn new(store: Option<S>, holder: String) -> Self {
        Self { store, has_failed: AtomicBool::new(false), holder }
    }

    /// Returns the use of the table until now.
    pub(crate) fn table_use(&self) -> StateUse {
        match (&self.store, self.has_failed.load(Ordering::Relaxed)) {
            (None, _) => StateUse::Off,
            (Some(_), true) => StateUse::Unavailable,
            (Some(_), false) => StateUse::Used,
        }
    }

    pub(crate) async fn read(&self, image: &str) -> Result<Option<TagState>, NoState> {
        let store = self.store()?;
        self.mark_failure(store.read(image).await)
    }

    pub(crate) async fn write(&self, state: &TagState) -> Result<WriteOutcome, NoState> {
        let store = self.store()?;
        self.mark_failure(store.write(state).await)
    }

    pub(crate) async fn delete(&self, state: &TagState) -> Result<WriteOutcome, NoState> {
        let store = self.store()?;
        self.mark_failure(store.delete(state).await)
    }

    /// Waits for the lease of another attempt. Returns false if there is no time left.
    pub(crate) async fn wait_for_lease(&self) -> Result<bool, NoState> {
        Ok(self.store()?.wait_for_lease().await)
    }

    /// Runs `work` for less than the duration of the lease. Returns `None` if it did not finish.
    pub(crate) async fn under_lease<T: Send>(&self, work: impl Future<Output = T> + Send) -> Option<T> {
        match &self.store {
            Some(store) => store.under_lease(work).await,
            None => Some(work.await),
        }
    }

    /// Returns true if this attempt can take the lease.
    pub(crate) fn can_take_lease(&self, state: &TagState) -> bool {
        state.can_take_lease(&self.holder, self.now())
    }

    /// Returns the state with the lease of this attempt.
    pub(crate) fn with_lease(&self, state: TagState) -> TagState {
        state.with_lease(&self.holder, self.now() + LEASE_SECONDS)
    }

    /// Removes the lease of this attempt. If that fails, it expires.
    pub(crate) async fn release(&self, state: TagState) {
        let is_ours = state.lease.as_ref().is_some_and(|lease| lease.holder == self.holder);
        if is_ours && self.write(&state.without_lease()).await.is_err() {
            tracing::warn!("the lease could not be removed and expires within {LEASE_SECONDS} seconds");
        }
    }

    /// Returns the time in seconds since 1970. 0 without a table.
    pub(crate) fn now(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::now)
    }

    fn store(&self) -> Result<&S, NoState> {
        let store = self.store.as_ref().ok_or(NoState)?;
        if self.has_failed.load(Ordering::Relaxed) { Err(NoState) } else { Ok(store) }
    }

    fn mark_failure<T>(&self, result: Result<T, String>) -> Result<T, NoState> {
        result.map_err(|error| {
            tracing::warn!(error, "the state table cannot be used, so the event continues without it");
            self.has_failed.store(true, Ordering::Relaxed);
            NoState
        })
    }
}
