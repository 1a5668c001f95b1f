//! The plan of a copy, for a direct event with `DryRun`.

use image_copy::copy::TagChange;
use image_copy_aws::platform_names;
use serde_json::{Value, json};

use super::job::CopyJob;
use super::with_secret_problem;
use crate::catch::catch_panic_or_timeout;
use crate::context::EventContext;
use crate::failure::Failure;

/// Plans a copy, and writes nothing. Sizes are in bytes.
///
/// # Errors
/// The errors of a copy before its transfer.
pub(crate) async fn plan(properties: &Value, context: &EventContext<'_>) -> Result<Value, Failure> {
    let job = CopyJob::new(properties, None, context)?;
    let state = context.state(context.deadlines.work);
    let planned = catch_panic_or_timeout(Box::pin(job.plan(&state)), &context.deadlines).await;
    let planned = planned.map_err(|failure| with_secret_problem(failure, &job.credentials))?;
    let (plan, progress) = (&planned.plan, &planned.plan.progress);
    let (change, current) = match &plan.tag {
        TagChange::Moved { from: Some(current) } => ("moved", current.to_string()),
        TagChange::Unchanged => ("unchanged", plan.root.digest.to_string()),
        TagChange::Untagged if plan.root_exists => ("unchanged", plan.root.digest.to_string()),
        TagChange::Moved { from: None } | TagChange::Untagged => ("new", String::new()),
    };
    let source = job.traffic().source;
    Ok(json!({
        "DryRun": true,
        "ImageReference": job.copy_request.item_key_with(&plan.root.digest),
        "Digest": plan.root.digest.to_string(),
        "CurrentDigest": current,
        "SourceDigest": plan.source_digest.to_string(),
        "Platforms": platform_names(&plan.platforms),
        "Change": change,
        "Blobs": progress.blobs - progress.skipped,
        "BlobsToCopy": plan.blobs.len(),
        "Bytes": progress.bytes - progress.bytes_skipped,
        "BytesToCopy": plan.blobs.iter().map(|blob| blob.size).sum::<u64>(),
        "ManifestsToWrite": plan.manifests_to_write(),
        "Pulls": source.manifest_gets,
        "PullsLeft": source.rate_limit.and_then(|limit| limit.remaining),
    }))
}
