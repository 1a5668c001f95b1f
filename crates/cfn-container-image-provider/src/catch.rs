//! Turns panics and timeouts of the work into failures.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::deadline::Deadlines;
use crate::failure::Failure;

/// Runs `work` until [`Deadlines::abort`].
///
/// # Errors
/// Those of `work`; [`Failure::Panic`]; [`Failure::TimeRanOut`].
pub(crate) async fn catch_panic_or_timeout<T>(
    work: impl Future<Output = Result<T, Failure>>,
    deadlines: &Deadlines,
) -> Result<T, Failure> {
    // After a panic, only the clients are used again. A panic cannot leave them in an inconsistent state.
    let caught = AssertUnwindSafe(work).catch_unwind();
    match tokio::time::timeout_at(deadlines.abort, caught).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Failure::Panic),
        Err(_) => Err(Failure::TimeRanOut { seconds: deadlines.started.elapsed().as_secs() }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_and_endless_work_become_failures() {
        let deadlines = Deadlines::new(Instant::now(), Duration::from_millis(200), None);
        let panics = async { panic!("boom") };
        assert_eq!(catch_panic_or_timeout::<()>(panics, &deadlines).await, Err(Failure::Panic));
        let result = catch_panic_or_timeout::<()>(std::future::pending(), &deadlines).await;
        assert!(matches!(result, Err(Failure::TimeRanOut { .. })));
        assert!(Instant::now() < deadlines.response);
    }
}
