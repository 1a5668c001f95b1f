//! Objects of a run in S3.

use image_copy_aws::{ObjectLocation, Objects};
use serde::Serialize;

use crate::failure::{Failure, ObjectAccess, RefreshFailure};

/// Reads and writes objects, with the failures of an event.
pub(super) struct RunObjects(Objects);

impl RunObjects {
    pub(super) fn new(objects: Objects) -> Self {
        Self(objects)
    }

    /// Reads an object of at most `limit` bytes.
    pub(super) async fn read(
        &self,
        location: &ObjectLocation,
        limit: u64,
        access: ObjectAccess,
    ) -> Result<bytes::Bytes, Failure> {
        self.0.get(location, limit).await.map_err(|error| failure(location, access, error))
    }

    /// Writes a JSON document.
    pub(super) async fn write_json(
        &self,
        location: &ObjectLocation,
        document: &impl Serialize,
    ) -> Result<(), Failure> {
        let text = serde_json::to_vec(document).expect("texts, numbers and lists can always be written");
        let written = self.0.put(location, text.into(), "application/json").await;
        written.map_err(|error| failure(location, ObjectAccess::Write, error))
    }
}

fn failure(location: &ObjectLocation, access: ObjectAccess, error: image_copy_aws::ObjectError) -> Failure {
    let location = location.clone();
    Failure::Refresh(Box::new(RefreshFailure::Object { location, access, error }))
}
