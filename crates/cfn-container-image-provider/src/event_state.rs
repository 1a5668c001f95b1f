//! The state of one tag during an event: read and written as long as the table can be reached.
//!
//! A copy does not depend on the state, so a table that fails once is not called again during the
//! event: the event goes on without it, and the log and the response report that.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use image_copy::registry::Error;
use image_copy_aws::{StateTable, TagState, WriteOutcome};
use tokio::time::Instant;

/// Seconds for which a lease is held at most. Others wait that long for the lease of a holder that
/// crashed.
pub(crate) const LEASE_SECONDS: u64 = 120;
/// Time for everything that is done under a lease. Less than the lease, so that a holder stops before
/// another event can take the lease.
const WORK_UNDER_LEASE: Duration = Duration::from_secs(90);
/// Bounds of the pause before a lease that somebody else holds is looked at again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_millis(1200);

/// Where the items are. A trait, so that the model test plays it step by step.
pub(crate) trait Store: Send + Sync {
    /// Reads an item.
    fn read(&self, image: &str) -> impl Future<Output = Result<Option<TagState>, String>> + Send;
    /// Writes an item, if it is still as it was read.
    fn write(&self, state: &TagState) -> impl Future<Output = Result<WriteOutcome, String>> + Send;
    /// Deletes an item, if it is still as it was read.
    fn delete(&self, state: &TagState) -> impl Future<Output = Result<WriteOutcome, String>> + Send;
    /// The time, in seconds since 1970.
    fn now(&self) -> u64;
    /// Waits for somebody else's lease. Returns false if there is no time left.
    fn wait_for_lease(&self) -> impl Future<Output = bool> + Send;
    /// Ends `work` before a lease of [`LEASE_SECONDS`] does. Returns `None` if it did not finish.
    fn under_lease<T: Send>(
        &self,
        work: impl Future<Output = T> + Send,
    ) -> impl Future<Output = Option<T>> + Send;
}

/// The table in DynamoDB, for one event.
pub(crate) struct TableStore {
    table: StateTable,
    /// When the event stops waiting for a lease.
    deadline: Instant,
}

impl TableStore {
    pub(crate) fn new(table: StateTable, deadline: Instant) -> Self {
        Self { table, deadline }
    }

    /// Ends a call early if the event has little time left: the copy needs it.
    async fn with_time_limit<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        let share = self.deadline.saturating_duration_since(Instant::now()) / 4;
        match tokio::time::timeout(share, call).await {
            Ok(result) => result.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {:.1} s", share.as_secs_f64())),
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
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    async fn wait_for_lease(&self) -> bool {
        let pause = SHORTEST_PAUSE + (LONGEST_PAUSE - SHORTEST_PAUSE).mul_f64(fastrand::f64());
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

/// Whether an event used the state table, for the log and its metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateUse {
    /// Every call was answered.
    Used,
    /// The table could not be reached, or refused a call.
    Unavailable,
    /// The installer does without a table.
    Off,
}

impl StateUse {
    /// The value of the log field `state`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Unavailable => "unavailable",
            Self::Off => "off",
        }
    }
}

/// The event goes on without state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoState;

/// The state table as one event sees it. After the first failure no call is sent.
pub(crate) struct EventState<S> {
    store: Option<S>,
    has_failed: AtomicBool,
    /// Name of this attempt in leases. No other attempt has it, not even one at the same event.
    holder: String,
}

impl<S: Store> EventState<S> {
    /// The state behind a store. Without a store the state is off.
    pub(crate) fn new(store: Option<S>, holder: String) -> Self {
        Self { store, has_failed: AtomicBool::new(false), holder }
    }

    /// Returns whether the table was used so far.
    pub(crate) fn usage(&self) -> StateUse {
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

    /// Waits for somebody else's lease. Returns false if there is no time left.
    pub(crate) async fn wait_for_lease(&self) -> Result<bool, NoState> {
        Ok(self.store()?.wait_for_lease().await)
    }

    /// Ends `work` before the lease does. `None` if it did not finish.
    pub(crate) async fn under_lease<T: Send>(&self, work: impl Future<Output = T> + Send) -> Option<T> {
        match &self.store {
            Some(store) => store.under_lease(work).await,
            None => Some(work.await),
        }
    }

    /// Returns whether this attempt can take the lease.
    pub(crate) fn can_take_lease(&self, state: &TagState) -> bool {
        state.can_take_lease(&self.holder, self.now())
    }

    /// The state with the lease of this attempt.
    pub(crate) fn with_lease(&self, state: TagState) -> TagState {
        state.with_lease(&self.holder, self.now() + LEASE_SECONDS)
    }

    /// Gives up the lease. If that fails, it ends by itself.
    pub(crate) async fn release(&self, state: TagState) {
        let is_ours = state.lease.as_ref().is_some_and(|lease| lease.holder == self.holder);
        if is_ours && self.write(&state.without_lease()).await.is_err() {
            tracing::warn!("the lease could not be given up: it ends within {LEASE_SECONDS} seconds");
        }
    }

    fn now(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::now)
    }

    fn store(&self) -> Result<&S, NoState> {
        let store = self.store.as_ref().ok_or(NoState)?;
        if self.has_failed.load(Ordering::Relaxed) { Err(NoState) } else { Ok(store) }
    }

    fn mark_failure<T>(&self, result: Result<T, String>) -> Result<T, NoState> {
        result.map_err(|error| {
            tracing::warn!(error, "the state table cannot be used: the event goes on without it");
            self.has_failed.store(true, Ordering::Relaxed);
            NoState
        })
    }
}
