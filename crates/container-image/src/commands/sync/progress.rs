//! Progress bars of all images.

use std::sync::Arc;
use std::time::Duration;

use image_copy::copy::{Plan, ProgressReporter};
use image_copy::oci::Descriptor;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter runs show no bars.
const SHOW_DELAY: Duration = Duration::from_secs(1);

/// Time between redraws without progress, so that a stall is visible in the rate.
const TICK: Duration = Duration::from_millis(500);

/// A bar for each running image, and one for all. They are on stderr, and hidden if it is not a terminal.
pub(crate) struct SyncProgress {
    bars: MultiProgress,
    total: ProgressBar,
}

impl SyncProgress {
    pub(crate) fn new(images: usize) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let total = ProgressBar::new(images as u64);
        total.set_style(style("{bar:20} {pos} of {len} images, {elapsed}"));
        Self { total: bars.add(total), bars }
    }

    /// Shows the bars after a delay. The future never completes.
    pub(crate) async fn show_after_delay(&self) {
        tokio::time::sleep(SHOW_DELAY).await;
        self.bars.set_draw_target(ProgressDrawTarget::stderr());
        self.total.enable_steady_tick(TICK);
        std::future::pending::<()>().await;
    }

    /// Adds the bar of an image above the others. It is removed when the result is dropped.
    pub(crate) fn image(&self, plan: &Plan) -> Arc<ImageProgress> {
        let bytes = plan.blobs.iter().fold(0, |sum: u64, blob| sum.saturating_add(blob.size));
        let bar = self.bars.insert_before(&self.total, ProgressBar::new(bytes));
        bar.set_style(style("{bar:20} {bytes} of {total_bytes}, {bytes_per_sec} {wide_msg}"));
        bar.set_message(plan.request.source.to_string());
        // Draws the bar also before the first bytes.
        bar.enable_steady_tick(TICK);
        Arc::new(ImageProgress { bar, bars: self.bars.clone() })
    }

    /// Counts a finished image, and calls `print` without bars on the screen.
    pub(crate) fn finish_image<T>(&self, print: impl FnOnce() -> T) -> T {
        self.total.inc(1);
        self.suspend(print)
    }

    /// Calls `print` without bars on the screen.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bars.suspend(print)
    }

    /// Removes the bars.
    pub(crate) fn clear(&self) {
        self.total.finish_and_clear();
        // The screen may already be closed.
        let _ = self.bars.clear();
    }
}

/// ASCII characters need no special font.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is a constant").progress_chars("##-")
}

/// The bar of one image.
pub(crate) struct ImageProgress {
    bar: ProgressBar,
    bars: MultiProgress,
}

impl Drop for ImageProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.bars.remove(&self.bar);
    }
}

impl ProgressReporter for ImageProgress {
    fn bytes_sent(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    fn blob_skipped(&self, blob: &Descriptor) {
        self.bar.inc(blob.size);
    }

    fn blob_finished(&self, _: &Descriptor) {}

    fn bytes_discarded(&self, bytes: u64) {
        self.bar.dec(bytes);
    }
}
