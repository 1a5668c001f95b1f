//! Effects of faults on a body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::body::{Body, BoxError};
use crate::fault::{Direction, Effect};
use crate::stream::ResetHandle;

/// Time in which the connection sends its buffered bytes before it ends.
const FLUSH: Duration = Duration::from_millis(20);

/// Returns the body that an effect applies to, or `None` if it applies to no body.
pub(crate) fn affected_body(effect: &Effect, method: &http::Method) -> Option<Direction> {
    let on = match effect {
        Effect::Reset { on, .. }
        | Effect::Truncate { on, .. }
        | Effect::Corrupt { on, .. }
        | Effect::Stall { on, .. }
        | Effect::Slow { on, .. }
        | Effect::SharedLink { on, .. } => on,
        Effect::Status { .. }
        | Effect::ApiError { .. }
        | Effect::ExpireToken
        | Effect::ExpireSignature
        | Effect::Delay { .. }
        | Effect::DeclineMount
        | Effect::Redirect { .. } => return None,
    };
    let sends = matches!(*method, http::Method::PUT | http::Method::PATCH);
    Some(on.unwrap_or(if sends { Direction::Request } else { Direction::Response }))
}

/// A body with the effect of a fault.
pub(crate) struct FaultyBody {
    inner: Body,
    effect: Effect,
    reset_handle: ResetHandle,
    passed: u64,
    /// Bytes behind the position of the fault, which are sent after a stall.
    held: Option<Bytes>,
    started: Instant,
    /// Time at which more bytes can be sent.
    due: Instant,
    pause: Option<Pin<Box<Sleep>>>,
    applied: bool,
}

impl FaultyBody {
    /// Applies an effect to a body.
    pub(crate) fn wrap(inner: Body, effect: Effect, reset_handle: ResetHandle) -> Body {
        let started = Instant::now();
        let body = Self {
            inner,
            effect,
            reset_handle,
            passed: 0,
            held: None,
            started,
            due: started,
            pause: None,
            applied: false,
        };
        body.boxed_unsync()
    }

    /// Returns the position of the fault until it has taken effect.
    fn position(&self) -> Option<u64> {
        match self.effect {
            _ if self.applied => None,
            Effect::Reset { after_bytes, .. }
            | Effect::Truncate { after_bytes, .. }
            | Effect::Stall { after_bytes, .. } => Some(after_bytes),
            _ => None,
        }
    }

    /// Inverts the bits of the byte at the position of [`Effect::Corrupt`].
    fn corrupt(&self, data: Bytes) -> Bytes {
        let Effect::Corrupt { at_byte, .. } = self.effect else {
            return data;
        };
        let Some(at) = at_byte.checked_sub(self.passed).filter(|at| *at < data.len() as u64) else {
            return data;
        };
        let mut bytes = BytesMut::from(data);
        bytes[at as usize] ^= 0xff;
        bytes.freeze()
    }

    /// Applies the effect at its position. Only a stall continues afterwards.
    fn apply(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let wait = match self.effect {
            Effect::Stall { for_ms: None, .. } => return Poll::Pending,
            Effect::Stall { for_ms: Some(ms), .. } => Duration::from_millis(ms),
            _ => FLUSH,
        };
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + wait)));
        ready!(pause.poll_unpin(context));
        self.pause = None;
        self.applied = true;
        match self.effect {
            Effect::Stall { .. } => Poll::Ready(Ok(())),
            Effect::Reset { .. } => {
                self.reset_handle.reset();
                Poll::Ready(Err("connection reset by a fault".into()))
            }
            _ => Poll::Ready(Err("body truncated by a fault".into())),
        }
    }

    /// Returns the time at which a slow link accepts more, after it has taken `bytes`.
    fn due(&self, bytes: usize) -> Instant {
        match &self.effect {
            Effect::Slow { bytes_per_second, .. } => {
                let duration = self.passed as f64 / (*bytes_per_second).max(1) as f64;
                self.started + Duration::from_secs_f64(duration)
            }
            Effect::SharedLink { link, .. } => link.reserve(bytes),
            _ => self.started,
        }
    }

    /// Waits until the link accepts more.
    fn wait_until_due(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.due > Instant::now() && self.pause.is_none() {
            self.pause = Some(Box::pin(sleep_until(self.due)));
        }
        if let Some(pause) = self.pause.as_mut() {
            ready!(pause.poll_unpin(context));
            self.pause = None;
        }
        Poll::Ready(())
    }
}

impl http_body::Body for FaultyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.position() == Some(this.passed)
            && let Err(error) = ready!(this.apply(context))
        {
            return Poll::Ready(Some(Err(error)));
        }
        ready!(this.wait_until_due(context));
        let mut data = match this.held.take() {
            Some(held) => held,
            None => match ready!(Pin::new(&mut this.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            },
        };
        if let Some(position) = this.position() {
            let room = usize::try_from(position - this.passed).unwrap_or(usize::MAX);
            if room < data.len() {
                this.held = Some(data.split_off(room));
            }
        }
        let data = this.corrupt(data);
        this.passed += data.len() as u64;
        this.due = this.due(data.len());
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        // A fault at the end of the body must still take effect.
        self.position() != Some(self.passed) && self.held.is_none() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
