//! Create and Update: a copy with its registration in the state table.
//!
//! | step | module |
//! |---|---|
//! | event → request | [`request`] |
//! | source, destination and the item → plan | [`planning`] |
//! | plan → content, registration, tag | [`lifecycle`] |
//! | progress of the transfer | [`progress`] |

pub(crate) mod lifecycle;
mod planning;
mod progress;
pub(crate) mod request;

use std::sync::{Arc, OnceLock};

use image_copy::copy::{
    self, ConcurrentBlobs, Destination, Outcome, Plan, Problem, Progress, Request, Side, TransferLimits,
    TransferredContent,
};
use image_copy::oci::Digest;
use image_copy::registry::{ManifestId, Usage};
use image_copy_aws::{CopyRecord, CopySettings, Properties};
use serde_json::Value;

use crate::catch::catch_panic_or_timeout;
use crate::clients::credentials::SourceCredentials;
use crate::context::EventContext;
use crate::event_state::{EventState, StateUse, Store};
use crate::failure::Failure;
use crate::input::continuation::TransferStats;
use lifecycle::{CopyEvent, CopySteps, PreparedCopy, PublishResult};
use planning::CopyContext;
use progress::TransferProgress;
use request::CopyRequest;

/// A finished copy.
pub(crate) struct FinishedCopy {
    pub(crate) properties: Properties,
    pub(crate) outcome: Outcome,
}

/// Result of a copy, successful or not.
pub(crate) struct CopyReport {
    pub(crate) result: Result<FinishedCopy, Failure>,
    /// The request of the copy. `None` if the properties are invalid.
    pub(crate) request: Option<Request>,
    pub(crate) traffic: Traffic,
    /// Progress of the blobs. `None` before the first plan.
    pub(crate) progress: Option<Progress>,
    pub(crate) transferred: TransferStats,
    /// Key of the item in which this event may have added the resource as an owner.
    pub(crate) registered: Option<String>,
    pub(crate) state: StateUse,
}

/// Requests to the registries.
#[derive(Default)]
pub(crate) struct Traffic {
    pub(crate) source: Usage,
    pub(crate) destination: Usage,
    pub(crate) served: Vec<copy::ReadCounts>,
}

/// Runs a Create, or an Update with its `previous` properties.
pub(crate) async fn copy(
    properties: &Value,
    previous: Option<&Value>,
    context: &EventContext<'_>,
) -> CopyReport {
    let progress = Arc::new(TransferProgress::default());
    let registered = OnceLock::new();
    if let Some(image) = &context.continuation.registered {
        let _ = registered.set(image.clone());
    }
    let state = context.state(context.deadlines.work);
    let (result, request, traffic) = match CopyJob::new(properties, previous, context, &progress) {
        Err(failure) => (Err(failure), None, Traffic::default()),
        Ok(job) => {
            let result =
                catch_panic_or_timeout(Box::pin(job.run(&state, &registered)), &context.deadlines).await;
            let result = result.map_err(|failure| with_secret_problem(failure, &job.credentials));
            let traffic = job.traffic();
            let properties = job.copy_request.properties;
            (result.map(|outcome| FinishedCopy { properties, outcome }), Some(job.request), traffic)
        }
    };
    CopyReport {
        result,
        request,
        traffic,
        progress: progress.progress(),
        transferred: progress.transferred(),
        registered: registered.into_inner(),
        state: state.table_use(),
    }
}

/// Adds the problem with a secret, if that is the cause.
fn with_secret_problem(failure: Failure, credentials: &SourceCredentials) -> Failure {
    match (failure, credentials.problem()) {
        (Failure::Copy(failure), Some(problem))
            if failure.side() == Side::Source && failure.problem() == Problem::CredentialsUnavailable =>
        {
            Failure::Secret { failure, problem: Box::new(problem) }
        }
        (failure, _) => failure,
    }
}

/// One copy.
struct CopyJob {
    copy_request: CopyRequest,
    request: Request,
    context: CopyContext,
    limits: TransferLimits,
    credentials: Arc<SourceCredentials>,
    progress: Arc<TransferProgress>,
}

/// A plan whose content, except the root manifest, is at the destination.
struct TransferredPlan {
    plan: Plan,
    content: TransferredContent,
}

impl CopyJob {
    fn new(
        properties: &Value,
        previous: Option<&Value>,
        context: &EventContext<'_>,
        progress: &Arc<TransferProgress>,
    ) -> Result<Self, Failure> {
        let EventContext { continuation, clients, deadlines, .. } = context;
        let settings = clients.settings.copy.as_ref();
        let CopySettings { default_platforms, allowed_sources, mirrors, .. } =
            settings.map_err(|error| Failure::Setting(error.clone()))?;
        let copy_request = CopyRequest::parse(properties, previous, default_platforms, context)?;
        allowed_sources.check(&copy_request.properties.source).map_err(Failure::SourceNotAllowed)?;
        let request = copy_request.properties.request();
        let (name, repository) = (&request.source.repository, &copy_request.properties.repository);
        let until = Some(deadlines.work);
        let (registries, credentials) =
            clients.source(copy_request.properties.credentials.clone(), name, deadlines.work);
        let destination_repository = clients.destination(repository).map_err(Failure::Setting)?;
        let destination = Destination::with_inventory(
            clients.registries.repository(destination_repository, until),
            Arc::new(clients.ecr.repository(repository, until)),
        );
        let source = copy::Source::with_mirrors(&registries, name.clone(), until, mirrors);
        Ok(Self {
            context: CopyContext { source, destination, deadline: deadlines.work },
            limits: TransferLimits {
                deadline: until,
                concurrent_blobs: ConcurrentBlobs::new(continuation.concurrent_blobs),
            },
            credentials,
            progress: Arc::clone(progress),
            copy_request,
            request,
        })
    }

    async fn run<S: Store>(
        &self,
        state: &EventState<S>,
        registered: &OnceLock<String>,
    ) -> Result<Outcome, Failure> {
        let copy_request = &self.copy_request;
        let event = CopyEvent {
            owner: copy_request.owner.clone(),
            time: copy_request.time,
            missing_record: copy_request.missing_record(),
        };
        lifecycle::run(&event, state, self, registered).await
    }

    fn traffic(&self) -> Traffic {
        Traffic {
            source: self.context.source.upstream().usage(),
            destination: self.context.destination.repository.usage(),
            served: self.context.source.read_counts(),
        }
    }

    fn record(&self, plan: &Plan) -> CopyRecord {
        let Self { copy_request, .. } = self;
        let mut record =
            CopyRecord::new(copy_request.time, copy_request.owner.clone(), plan.root.digest.clone());
        record.source = copy_request.properties.source.to_string();
        record.source_digest = Some(plan.source_digest.clone());
        record.selection = copy_request.properties.platforms.to_string();
        record.platforms = plan.platforms.iter().map(ToString::to_string).collect();
        record.properties = copy_request.fingerprint.clone();
        record
    }
}

impl CopySteps for CopyJob {
    type Plan = TransferredPlan;
    type Outcome = Outcome;

    async fn prepare<S: Store>(
        &self,
        state: &EventState<S>,
    ) -> Result<PreparedCopy<TransferredPlan>, Failure> {
        let Self { copy_request, request, context, .. } = self;
        // Without a tag, the item of the resource's previous image contains its copies.
        let image = copy_request.item_key();
        let records_key = image.clone().or_else(|| copy_request.previous_physical_id.clone());
        let read_item = async {
            match &records_key {
                Some(image) => state.read(image).await,
                None => Ok(None),
            }
        };
        let (stored_item, current_state) =
            futures_util::join!(read_item, context.read_current_state(request, copy_request.is_update()));
        let item = stored_item.as_ref().ok().and_then(Option::as_ref);
        copy_request.check(item)?;
        let plan = planning::plan(copy_request, request, current_state, item, context).await?;
        tracing::info!(
            digest = plan.root.digest.as_str(),
            blobs_to_copy = plan.blobs.len(),
            manifests_to_write = plan.manifests_to_write(),
            platforms = platform_count(&plan),
            "planned"
        );
        let target = copy_request.item_key_with(&plan.root.digest);
        let earlier = match item.filter(|_| image.is_none()) {
            Some(item) => item.copies_of(&copy_request.owner).cloned().collect(),
            None => Vec::new(),
        };
        let stored_item = match records_key {
            Some(image) if image == target => stored_item,
            _ => state.read(&target).await,
        };
        let is_unchanged = plan.manifests_to_write() == 0
            && plan.blobs.is_empty()
            && !matches!(plan.tag, copy::TagChange::Moved { .. });
        let progress = self.progress.start(&plan);
        let content =
            copy::transfer_content(&plan, &context.source, &context.destination, &self.limits, progress)
                .await;
        Ok(PreparedCopy {
            image: target,
            stored_item,
            record: self.record(&plan),
            children: plan.children.clone(),
            earlier,
            is_unchanged,
            plan: TransferredPlan { content: content.map_err(Failure::Copy)?, plan },
        })
    }

    async fn tag_digest(
        &self,
        TransferredPlan { plan, .. }: &TransferredPlan,
    ) -> Result<Option<Digest>, Failure> {
        let Some(tag) = &plan.request.tag else {
            return Ok(plan.root_exists.then(|| plan.root.digest.clone()));
        };
        let found = self.context.destination.inventory.manifests(&[ManifestId::Tag(tag.clone())]).await;
        let found = found.map_err(|cause| {
            Failure::Copy(plan.request.destination_failure(copy::Operation::ReadManifest, cause))
        })?;
        Ok(found.into_iter().flatten().next().map(|manifest| manifest.digest))
    }

    async fn publish(
        &self,
        TransferredPlan { plan, content }: &TransferredPlan,
        tag_digest: Option<Digest>,
    ) -> Result<PublishResult<Outcome>, Failure> {
        let CopyContext { source, destination, .. } = &self.context;
        let plan = plan.clone().with_current_tag(tag_digest);
        let published = copy::publish(&plan, source, destination, &self.limits, content.clone()).await;
        match published {
            Ok(outcome) => Ok(PublishResult::Published(outcome)),
            Err(failure) if is_content_missing(&failure) => Ok(PublishResult::Replan(Failure::Copy(failure))),
            Err(failure) => Err(Failure::Copy(failure)),
        }
    }
}

/// ECR's error codes for missing content of an image, in its API and the registry API.
const MISSING_CONTENT_CODES: [&str; 5] = [
    "LayersNotFoundException",
    "ReferencedImagesNotFoundException",
    "BLOB_UNKNOWN",
    "MANIFEST_UNKNOWN",
    "MANIFEST_BLOB_UNKNOWN",
];

/// Returns true if the destination lacks content of the image.
fn is_content_missing(failure: &copy::Failure) -> bool {
    let copy::Failure::Registry { side: Side::Destination, cause, .. } = failure else { return false };
    MISSING_CONTENT_CODES.iter().any(|code| cause.has_code(code))
}

/// Formats the number of platforms, for example `1 of 8` if the source's index was read.
fn platform_count(plan: &Plan) -> String {
    match plan.source_platform_count {
        Some(offered) => format!("{} of {offered}", plan.platforms.len()),
        None => plan.platforms.len().to_string(),
    }
}

/// Returns the progress of a copy that another invocation can continue: it reached the deadline, or ECR
/// throttled it until then. `None` if another invocation would not help.
pub(crate) fn resumable_progress(
    failure: &Failure,
    progress: Option<Progress>,
    transferred: &TransferStats,
) -> Option<(copy::Error, Progress)> {
    let Failure::Copy(failure) = failure else { return None };
    let progress = match failure.as_ref() {
        // The next invocation would wait for the same host.
        copy::Failure::Deadline { silent_host: Some(_), .. } if !transferred.makes_progress() => return None,
        copy::Failure::Deadline { progress, .. } => *progress,
        other if other.side() == Side::Destination && other.problem() == Problem::Throttled => {
            progress.filter(|_| transferred.makes_progress())?
        }
        _ => return None,
    };
    (progress.blobs > 0).then(|| (failure.clone(), progress))
}
