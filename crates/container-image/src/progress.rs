//! Progress bar of a copy.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use image_copy::copy::{Plan, ProgressReporter};
use image_copy::oci::Descriptor;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter copies show no bar.
const SHOW_DELAY: Duration = Duration::from_secs(1);

/// Time between redraws without progress, so that a stall is visible in the rate.
const TICK: Duration = Duration::from_millis(500);

/// A bar on stderr. It is hidden until it is shown, and if stderr is not a terminal.
pub(crate) struct CopyProgress {
    bar: ProgressBar,
    blobs: usize,
    done: AtomicUsize,
}

impl CopyProgress {
    pub(crate) fn new(plan: &Plan) -> Self {
        let bytes = plan.blobs.iter().fold(0, |sum: u64, blob| sum.saturating_add(blob.size));
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(
            "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left, {msg}",
        );
        // ASCII characters need no special font.
        bar.set_style(style.expect("the template is a constant").progress_chars("##-"));
        bar.set_message(format!("0 of {} blobs", plan.blobs.len()));
        Self { bar, blobs: plan.blobs.len(), done: AtomicUsize::new(0) }
    }

    /// Shows the bar after a delay. The future never completes.
    pub(crate) async fn show_after_delay(&self) {
        tokio::time::sleep(SHOW_DELAY).await;
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.enable_steady_tick(TICK);
        std::future::pending::<()>().await;
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Returns true if all blobs are copied. Manifests follow.
    pub(crate) fn are_all_blobs_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) == self.blobs
    }
}

impl ProgressReporter for CopyProgress {
    fn bytes_sent(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn blob_skipped(&self, blob: &Descriptor) {
        self.bar.inc(blob.size);
        self.blob_finished(blob);
    }

    fn blob_finished(&self, _: &Descriptor) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_message(format!("{done} of {} blobs", self.blobs));
    }

    fn bytes_discarded(&self, bytes: u64) {
        self.bar.dec(bytes);
    }
}
