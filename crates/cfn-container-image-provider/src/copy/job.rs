//! The steps of one copy with the engine.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use image_copy::copy::{
    self, ConcurrentBlobs, Destination, Outcome, Plan, Request, Side, TransferLimits, TransferredContent,
};
use image_copy::oci::{Digest, Manifest};
use image_copy::registry::ManifestId;
use image_copy_aws::{CopyRecord, CopySettings, TagState};
use serde_json::Value;

use super::Traffic;
use super::age::{self, Age, AgeRequest, WaitTime};
use super::lifecycle::{self, CopyEvent, CopySteps, PreparedCopy, PublishResult};
use super::planning::{self, CopyContext};
use super::progress::TransferProgress;
use super::request::CopyRequest;
use crate::clients::credentials::SourceCredentials;
use crate::context::EventContext;
use crate::event_state::{EventState, NoState, StateUse, Store};
use crate::failure::Failure;

/// One copy.
pub(super) struct CopyJob {
    pub(super) copy_request: CopyRequest,
    pub(super) request: Request,
    context: CopyContext,
    limits: TransferLimits,
    pub(super) credentials: Arc<SourceCredentials>,
    pub(super) progress: Arc<TransferProgress>,
}

/// The image of a copy with a minimum age.
pub(super) enum JudgedImage {
    /// The digest that the source reference names is old enough, or already copied.
    OldEnough {
        source_digest: Digest,
    },
    Waiting(Box<WaitingImage>),
}

/// An image whose digest was first seen too recently.
pub(crate) struct WaitingImage {
    /// Digest that the source reference names.
    pub(crate) source_digest: Digest,
    /// The image in ECR, which is an earlier one.
    pub(crate) existing: Option<Manifest>,
    pub(crate) wait: WaitTime,
}

/// A plan, and the item of the tag before it.
pub(super) struct PlannedCopy {
    pub(super) plan: Plan,
    /// Key of the item with the resource's records. `None` if it is not known before planning.
    records_key: Option<String>,
    stored_item: Result<Option<TagState>, NoState>,
}

/// A plan whose content, except the root manifest, is at the destination.
pub(super) struct TransferredPlan {
    plan: Plan,
    content: TransferredContent,
}

impl CopyJob {
    pub(super) fn new(
        properties: &Value,
        previous: Option<&Value>,
        context: &EventContext<'_>,
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
            progress: Arc::default(),
            copy_request,
            request,
        })
    }

    pub(super) async fn run<S: Store>(
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

    /// Resolves the source reference, and compares the age of its digest with the minimum age.
    pub(super) async fn judge_age<S: Store>(
        &self,
        min_age: Duration,
        state: &EventState<S>,
    ) -> Result<JudgedImage, Failure> {
        if state.table_use() == StateUse::Off {
            return Err(Failure::AgeUnknown { state: StateUse::Off });
        }
        let Self { copy_request, request, context, .. } = self;
        let item_key = copy_request.item_key();
        let read_item = async {
            match &item_key {
                Some(image) => Some(state.read(image).await),
                None => None,
            }
        };
        let (item, current_state) =
            futures_util::join!(read_item, context.read_current_state(request, copy_request.is_update()));
        let current_state = current_state.map_err(Failure::Copy)?;
        let source_digest = current_state.source_digest.clone();
        // Without a tag, the digest of one platform is not known yet.
        let image = item_key.unwrap_or_else(|| copy_request.item_key_with(&source_digest));
        let stored_item = match item {
            Some(stored_item) => stored_item,
            None => state.read(&image).await,
        };
        let existing = match request.tag {
            Some(_) => current_state.tagged,
            None => current_state.existing(&source_digest).cloned(),
        };
        let age_request = AgeRequest {
            image: &image,
            owner: &copy_request.owner,
            digest: &source_digest,
            min_age,
            exists: existing.is_some(),
        };
        Ok(match age::judge(&age_request, stored_item, state).await? {
            Age::Sufficient => JudgedImage::OldEnough { source_digest },
            Age::Waiting(wait) => {
                JudgedImage::Waiting(Box::new(WaitingImage { source_digest, existing, wait }))
            }
        })
    }

    /// Returns the job for this digest of the source.
    pub(super) fn with_source_digest(mut self, digest: Digest) -> Self {
        self.request.source.digest = Some(digest);
        self
    }

    /// Reads the item, source and destination, and plans the copy.
    pub(super) async fn plan<S: Store>(&self, state: &EventState<S>) -> Result<PlannedCopy, Failure> {
        let Self { copy_request, request, context, .. } = self;
        // Without a tag, the item of the resource's previous image contains its copies.
        let records_key = copy_request.item_key().or_else(|| copy_request.previous_physical_id.clone());
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
        Ok(PlannedCopy { plan, records_key, stored_item })
    }

    pub(super) fn traffic(&self) -> Traffic {
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
        record.customization = copy_request.properties.customization_digest();
        record.platforms = plan.platforms.iter().map(ToString::to_string).collect();
        record.properties = copy_request.fingerprint.clone();
        record.is_exclusive = copy_request.is_exclusive;
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
        let Self { copy_request, context, .. } = self;
        let PlannedCopy { plan, records_key, stored_item } = self.plan(state).await?;
        tracing::info!(
            digest = plan.root.digest.as_str(),
            blobs_to_copy = plan.blobs.len(),
            manifests_to_write = plan.manifests_to_write(),
            platforms = platform_count(&plan),
            "planned"
        );
        let target = copy_request.item_key_with(&plan.root.digest);
        let item = stored_item.as_ref().ok().and_then(Option::as_ref);
        let earlier = match item.filter(|_| copy_request.item_key().is_none()) {
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
