//! Attempts at one request.

use bytes::BytesMut;
use reqwest::Method;
use tokio::time::Instant;

use super::reqwest_error::new_error;
use super::{Error, ErrorKind, Request, Response, RetryBudget, StreamingResponse};

/// Maximum size of an error document in bytes. The rest is not read.
const ERROR_BODY_BYTES: u64 = 64 * 1024;

/// Attempts at one request, within the budget of its operation.
pub(super) struct Attempts {
    pub(super) budget: RetryBudget,
    started: Instant,
    pub(super) count: u32,
    /// Number of responses with status 2xx, also if the body was interrupted.
    successes: u32,
}

impl Attempts {
    pub(super) fn new(budget: RetryBudget) -> Self {
        Self { budget, started: Instant::now(), count: 0, successes: 0 }
    }

    /// Returns the final result, or `None` after the pause before the next attempt.
    pub(super) async fn finish_or_wait(
        &mut self,
        result: Result<Response, Error>,
        request: &Request,
    ) -> Option<Result<Response, Error>> {
        match result {
            Ok(response) => {
                let is_over = (request.is_final)(&response)
                    || !self.budget.wait_after_response(response.status, &response.headers).await;
                is_over.then_some(Ok(response))
            }
            Err(error) if self.budget.wait_after_error(&error).await => None,
            Err(error) => Some(Err(Error { attempts: self.count, elapsed: self.started.elapsed(), ..error })),
        }
    }
}

/// Reads a response to its end.
pub(super) async fn read_response(
    mut response: StreamingResponse,
    request: &Request,
    attempts: &mut Attempts,
) -> Result<Response, Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    attempts.successes += u32::from(status.is_success());
    let mut body = BytesMut::new();
    // The response to HEAD has no body, even if it states a length.
    while request.method != Method::HEAD
        && let Some(chunk) = response.next_chunk().await?
    {
        let limit = if status.is_success() { request.limit } else { ERROR_BODY_BYTES };
        if (body.len() as u64).saturating_add(chunk.len() as u64) > limit {
            if status.is_success() {
                return Err(new_error(ErrorKind::TooLarge { limit }, &request.url));
            }
            break;
        }
        body.extend_from_slice(&chunk);
    }
    let Attempts { count, successes, started, .. } = *attempts;
    Ok(Response {
        status,
        headers,
        body: body.freeze(),
        attempts: count,
        successes,
        elapsed: started.elapsed(),
    })
}
