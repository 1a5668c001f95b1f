//! A response whose body is read chunk by chunk.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};
use tokio::time::{Instant, timeout_at};

use super::pending_requests::PendingRequest;
use super::{Client, Error, ErrorKind};

/// A response whose body is read chunk by chunk. Reading fails if the server is silent or too slow. Only the
/// time in which the reader waits for the server counts. Cannot be printed, because its URL can be signed.
pub(crate) struct StreamingResponse {
    client: Client,
    response: reqwest::Response,
    pending: Arc<PendingRequest>,
    /// Time that the reader waited in the current period, which ends after `Options::read_timeout`.
    waited: Duration,
    /// The part of `waited` before the last byte.
    waited_for_last: Duration,
    /// Number of bytes in the current period.
    bytes: u64,
}

impl StreamingResponse {
    pub(super) fn new(client: Client, response: reqwest::Response, pending: Arc<PendingRequest>) -> Self {
        pending.stop_waiting();
        let (waited, waited_for_last) = (Duration::ZERO, Duration::ZERO);
        Self { client, response, pending, waited, waited_for_last, bytes: 0 }
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    pub(crate) fn url(&self) -> &Url {
        self.response.url()
    }

    /// Returns the next chunk, or `None` after the last one.
    ///
    /// # Errors
    /// If the connection is interrupted, silent or too slow.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let period = self.client.options().read_timeout;
            let started = Instant::now();
            self.pending.start_waiting();
            let end = started + period.saturating_sub(self.waited);
            let result = timeout_at(end, self.response.chunk()).await;
            self.pending.stop_waiting();
            self.waited += started.elapsed();
            let chunk = match result {
                Ok(Ok(Some(chunk))) => Some(chunk),
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(self.client.classify_error(&error, self.response.url())),
                Err(_) => None,
            };
            if let Some(chunk) = &chunk {
                self.bytes = self.bytes.saturating_add(chunk.len() as u64);
                self.waited_for_last = self.waited;
            }
            if self.waited >= period {
                self.end_period(period)?;
            }
            if chunk.is_some() {
                return Ok(chunk);
            }
        }
    }

    fn end_period(&mut self, period: Duration) -> Result<(), Error> {
        let silent = self.waited.saturating_sub(self.waited_for_last);
        let kind = if self.bytes == 0 || silent >= period / 2 {
            Some(ErrorKind::Silent { time: silent, proxy: None })
        } else if self.client.options().is_too_slow(self.bytes, self.waited) {
            Some(ErrorKind::too_slow(self.bytes, self.waited))
        } else {
            None
        };
        (self.waited, self.waited_for_last, self.bytes) = (Duration::ZERO, Duration::ZERO, 0);
        kind.map_or(Ok(()), |kind| Err(self.client.new_error(kind, self.response.url())))
    }
}
