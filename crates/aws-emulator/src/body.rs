//! Bodies of requests and responses, streamed or in memory.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};

use crate::fault::Direction;
use crate::log::LogHandle;

/// Error of a body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Body of a request or a response.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Bytes of an unread request body that are still received. Without that, the client gets a connection
/// reset instead of the response.
const DRAIN_LIMIT: usize = 16 * 1024 * 1024;

/// Creates a body from bytes in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Creates an empty body.
pub fn empty() -> Body {
    full(Bytes::new())
}

/// Reads a body to its end. Fails if it has more than `limit` bytes.
pub async fn read(mut body: Body, limit: usize) -> Result<Bytes, BoxError> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > limit {
                return Err(format!("body exceeds {limit} bytes").into());
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.freeze())
}

/// A body that counts its bytes in the log.
pub(crate) struct Counting {
    inner: Option<Body>,
    log_handle: LogHandle,
    direction: Direction,
}

impl Counting {
    /// Wraps a body and counts its bytes in the log entry.
    pub(crate) fn wrap(inner: Body, log_handle: LogHandle, direction: Direction) -> Body {
        Self { inner: Some(inner), log_handle, direction }.boxed_unsync()
    }
}

impl http_body::Body for Counting {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(inner) = self.inner.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(inner).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.log_handle.add_bytes(self.direction, data.len() as u64);
        }
        if let Poll::Ready(None | Some(Err(_))) = &polled {
            self.inner = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        let (Direction::Request, Some(rest)) = (self.direction, self.inner.take()) else {
            return;
        };
        if !rest.is_end_stream()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(drain(rest));
        }
    }
}

async fn drain(mut rest: Body) {
    let mut drained = 0;
    while let Some(Ok(frame)) = rest.frame().await {
        drained += frame.data_ref().map_or(0, Bytes::len);
        if drained > DRAIN_LIMIT {
            return;
        }
    }
}
