//! The last event of each resource, as the API describes it.

use std::time::SystemTime;

use super::operation::StackOperation;
use super::resource::Resource;
use super::{Stack, StackStatus, lock};

/// The last event of a resource.
#[derive(Clone, Debug)]
pub(super) struct ResourceRecord {
    pub(super) resource_type: String,
    pub(super) physical_id: Option<String>,
    pub(super) status: String,
    pub(super) reason: Option<String>,
    pub(super) at: SystemTime,
}

impl ResourceRecord {
    pub(super) fn new(
        resource: &Resource,
        physical_id: Option<&str>,
        status: &str,
        reason: Option<&str>,
    ) -> Self {
        Self {
            resource_type: resource.kind.name().to_owned(),
            physical_id: physical_id.map(ToOwned::to_owned),
            status: status.to_owned(),
            reason: reason.map(ToOwned::to_owned),
            at: SystemTime::now(),
        }
    }
}

impl StackOperation<'_> {
    /// Adds an event to the stack, and records it as the resource's last one.
    pub(super) fn add_resource_event(
        &self,
        logical_id: &str,
        resource: &Resource,
        physical_id: Option<&str>,
        status: &str,
        reason: Option<&str>,
    ) {
        self.add_event(logical_id, status, reason);
        let record = ResourceRecord::new(resource, physical_id, status, reason);
        let mut records = lock(&self.stack.records);
        // The clean-up of a replaced resource does not change the state of the new one.
        let replaced_by = records.get(logical_id).and_then(|last| last.physical_id.as_deref());
        let is_clean_up =
            status.starts_with("DELETE_") && replaced_by.is_some() && replaced_by != physical_id;
        if !is_clean_up {
            records.insert(logical_id.to_owned(), record);
        }
    }
}

impl Stack {
    /// Returns the resources as the API describes them: those that exist, and the deleted ones of a stack that was
    /// deleted or whose creation was rolled back.
    pub(super) fn described_resources(&self) -> Vec<(String, ResourceRecord)> {
        let is_deleted = matches!(self.status(), StackStatus::DeleteComplete | StackStatus::RollbackComplete);
        let deployed = lock(&self.deployed);
        let is_described = |id: &String, record: &ResourceRecord| {
            deployed.contains_key(id) || (is_deleted && record.status == "DELETE_COMPLETE")
        };
        let records = lock(&self.records);
        let described = records.iter().filter(|(id, record)| is_described(id, record));
        described.map(|(id, record)| (id.clone(), record.clone())).collect()
    }
}
