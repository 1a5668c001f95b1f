//! The two ends of a refresh workflow: from a list to direct events, and from their results to a report.
//!
//! | step | module |
//! |---|---|
//! | tags that the rules select | [`selection`] |
//! | tags that the list no longer selects | [`prune`] |
//! | direct events, which the workflow sends back | [`items`] |
//! | from the list to the events | [`expand`] |
//! | results of the events | [`results`] |
//! | the report, and its texts | [`report`], [`message`] |
//! | from the results to the report | [`write_report`] |
//! | images that failed | [`failures`] |
//! | objects in S3 | [`objects`] |

mod expand;
mod failures;
mod items;
mod message;
mod objects;
mod prune;
mod report;
mod results;
mod selection;
mod write_report;

use image_copy_aws::{InvalidProperty, Owner};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::catch::catch_panic_or_timeout;
use crate::deadline::{Deadlines, MoreTime};
use crate::failure::Failure;
use crate::input::refresh::RefreshEvent;
use crate::invocation::{Invocation, Services};
use crate::logging::direct_span;
use crate::logging::refresh::{RefreshCounts, log_failure, log_success};
use crate::respond::function_error::{FunctionError, error_type};
use crate::respond::reason::{code, reason};
use objects::RunObjects;

/// Handles an event of a refresh workflow.
pub(crate) async fn handle(
    event: Result<RefreshEvent, InvalidProperty>,
    invocation: &Invocation,
    services: &Services,
    now: Instant,
) -> Result<Value, FunctionError> {
    let owner = event.as_ref().map_or_else(|_| Owner::named(""), |event| event.owner().clone());
    let span = direct_span(&owner, &invocation.request_id);
    let deadlines = Deadlines::new(now, invocation.time_left, None);
    let context = RefreshContext { services, deadlines, request_id: &invocation.request_id };
    let work = async {
        let event = event.map_err(Failure::Property);
        let result = match event {
            Ok(event) => catch_panic_or_timeout(context.run(&event), &deadlines).await,
            Err(failure) => Err(failure),
        };
        match result {
            Ok((result, counts)) => {
                log_success(&counts, &deadlines);
                Ok(result)
            }
            Err(failure) => {
                let message = context.reason(&failure);
                log_failure(code(&failure), &message, &deadlines);
                Err(FunctionError { error_type: error_type(&failure), message })
            }
        }
    };
    // On the heap, because this future is large and threads have small stacks.
    Box::pin(work.instrument(span)).await
}

/// One event of a refresh workflow in one invocation.
struct RefreshContext<'a> {
    services: &'a Services,
    deadlines: Deadlines,
    request_id: &'a str,
}

impl RefreshContext<'_> {
    async fn run(&self, event: &RefreshEvent) -> Result<(Value, RefreshCounts), Failure> {
        match event {
            RefreshEvent::Expand(event) => expand::run(event, self).await,
            RefreshEvent::Report(event) => write_report::run(event, &self.objects()).await,
        }
    }

    fn objects(&self) -> RunObjects {
        let clients = &self.services.clients;
        let certificates = &clients.settings.network.certificates;
        RunObjects::new(clients.ecr.objects(certificates, Some(self.deadlines.work)))
    }

    /// Returns the one-line reason of a failure.
    fn reason(&self, failure: &Failure) -> String {
        reason(failure, MoreTime::RepeatedEvent, self.request_id)
    }
}
