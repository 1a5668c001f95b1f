//! Planning, including rollbacks without the source.

use image_copy::copy::{self, CurrentState, Destination, EarlierCopy, Plan, Problem, Request, Side, Source};
use image_copy::oci::Reference;
use image_copy_aws::{CopyRecord, TagState};
use tokio::time::Instant;

use super::request::{CopyRequest, earlier_copies};
use crate::failure::Failure;

/// Source, destination and deadline of a copy.
pub(crate) struct CopyContext {
    pub(crate) source: Source,
    pub(crate) destination: Destination,
    pub(crate) deadline: Instant,
}

impl CopyContext {
    /// Reads the current state of source and destination. An Update limits this to half of its time, so
    /// that it can still restore an earlier copy.
    pub(super) async fn read_current_state(
        &self,
        request: &Request,
        is_update: bool,
    ) -> Result<CurrentState, copy::Error> {
        let reading = copy::read_current_state(request, &self.source, &self.destination);
        self.within_half_of_time(request, is_update, reading).await
    }

    async fn within_half_of_time<T>(
        &self,
        request: &Request,
        is_update: bool,
        work: impl Future<Output = Result<T, copy::Error>>,
    ) -> Result<T, copy::Error> {
        if !is_update {
            return work.await;
        }
        let started = Instant::now();
        let half = started + self.deadline.saturating_duration_since(started) / 2;
        let reached = || (copy::Progress::default(), started.elapsed());
        copy::with_deadline(Some(half), request, (&self.source, &self.destination), work, reached).await
    }
}

/// Plans a copy with the records. An Update to the properties of an earlier copy of the resource is a
/// rollback. It restores the earlier copy from ECR if the source fails, or if the source's tag names another
/// image now and ECR's tag is immutable or has another owner.
pub(super) async fn plan(
    copy_request: &CopyRequest,
    request: &Request,
    current_state: Result<CurrentState, copy::Error>,
    item: Option<&TagState>,
    context: &CopyContext,
) -> Result<Plan, Failure> {
    let request = Request { earlier_copies: earlier_copies(item, &request.platforms), ..request.clone() };
    let rollback = copy_request.same_properties(item).filter(|_| copy_request.is_update());
    let rollback = rollback.map(|record| (record, restore_request(&request, record)));
    let planned = match current_state {
        Ok(current_state) => {
            let planning = copy::plan(&request, &current_state, &context.source, &context.destination);
            context.within_half_of_time(&request, rollback.is_some(), planning).await
        }
        Err(failure) => Err(failure),
    };
    let (failure, can_restore) = match planned {
        Ok(plan) => match copy_request.check_owners(item, &plan.root.digest) {
            Ok(()) => return Ok(plan),
            Err(failure) => (failure, true),
        },
        Err(failure) => {
            let can_restore = failure.side() == Side::Source || failure.problem() == Problem::TagImmutable;
            (Failure::Copy(failure), can_restore)
        }
    };
    let Some((record, restoring)) = rollback.filter(|_| can_restore) else { return Err(failure) };
    let current_state = copy::read_current_state(&restoring, &context.source, &context.destination).await;
    let plan = match current_state {
        Ok(current_state) => {
            copy::plan(&restoring, &current_state, &context.source, &context.destination).await
        }
        Err(failure) => Err(failure),
    };
    match plan {
        Ok(plan) if plan.root_exists && plan.blobs.is_empty() => {
            tracing::warn!(?failure, digest = %record.digest, "the earlier copy is restored from ECR");
            Ok(Plan { request, ..plan })
        }
        _ => Err(failure),
    }
}

/// Returns the request that restores a recorded copy without the source.
fn restore_request(request: &Request, record: &CopyRecord) -> Request {
    // Copies of the original provider have no source digest.
    let source_digest = record.source_digest.as_ref().unwrap_or(&record.digest);
    let earlier_copies = vec![EarlierCopy {
        source_digest: source_digest.clone(),
        requested: request.platforms.clone(),
        customization: request.customization.as_ref().map(|lines| lines.digest().clone()),
        digest: record.digest.clone(),
        platforms: record.platforms.iter().filter_map(|name| name.parse().ok()).collect(),
    }];
    let source = Reference { digest: Some(source_digest.clone()), ..request.source.clone() };
    Request { source, earlier_copies, ..request.clone() }
}
