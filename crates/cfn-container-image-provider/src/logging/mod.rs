//! The log, and the last log line of an event, from which metrics are made.

pub(crate) mod refresh;
pub(crate) mod subscriber;
pub(crate) mod summary;

use image_copy_aws::Owner;

/// Returns the span of an event that CloudFormation did not send.
pub(crate) fn direct_span(owner: &Owner, lambda_request_id: &str) -> tracing::Span {
    tracing::error_span!(
        "event",
        owner = owner.name(),
        lambda_request_id,
        version = env!("CARGO_PKG_VERSION"),
    )
}
