//! Context of one event in one invocation.

use tokio::time::Instant;

use crate::clients::Clients;
use crate::deadline::Deadlines;
use crate::event_state::{EventState, TableStore};
use crate::input::continuation::ContinuationState;
use crate::input::resource::Resource;

/// One event in one invocation.
pub(crate) struct EventContext<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) continuation: &'a ContinuationState,
    pub(crate) clients: &'a Clients,
    pub(crate) deadlines: Deadlines,
    /// Unique name of this attempt in leases. Lambda can run one request twice at the same time.
    pub(crate) holder: String,
}

impl EventContext<'_> {
    /// Returns the state table for this event. It waits for leases until `deadline`.
    pub(crate) fn state(&self, deadline: Instant) -> EventState<TableStore> {
        let store = self.clients.state_table.clone().map(|table| TableStore::new(table, deadline));
        EventState::new(store, self.holder.clone())
    }
}
