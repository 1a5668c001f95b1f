//! Ends work that panics or does not stop.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use crate::deadline::Deadlines;
use crate::failure::Failure;

/// Carries out `work` until [`Deadlines::job`].
///
/// # Errors
/// Those of `work`; [`Failure::Panic`]; [`Failure::TimeRanOut`].
pub(crate) async fn catch_panic_or_timeout<T>(
    work: impl Future<Output = Result<T, Failure>>,
    deadlines: &Deadlines,
) -> Result<T, Failure> {
    // After a panic, only the clients are used again, which hold no half-changed state.
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
    async fn a_panic_and_endless_work_have_results() {
        let deadlines = Deadlines::new(Instant::now(), Duration::from_millis(200), None);
        let panics = async { panic!("boom") };
        assert_eq!(catch_panic_or_timeout::<()>(panics, &deadlines).await, Err(Failure::Panic));
        let result = catch_panic_or_timeout::<()>(std::future::pending(), &deadlines).await;
        assert!(matches!(result, Err(Failure::TimeRanOut { .. })));
        assert!(Instant::now() < deadlines.response);
    }
}
