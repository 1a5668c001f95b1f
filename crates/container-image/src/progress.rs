//! A progress bar for those who wait.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use image_copy::copy::{Plan, Reporter};
use image_copy::oci::Descriptor;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A copy that is done by then is told of in its outcome only.
const SHOWN_AFTER: Duration = Duration::from_secs(1);

/// Redraws a second; more would only cost time on slow terminals.
const REDRAWS: u8 = 8;

/// A bar on stderr. It stays away when that is no terminal, and while the copy is young.
pub(crate) struct Bar {
    bar: ProgressBar,
    is_shown: AtomicBool,
    started: Instant,
    blobs: usize,
    done: AtomicUsize,
}

impl Bar {
    pub(crate) fn new(plan: &Plan) -> Self {
        let bytes = plan.blobs.iter().map(|blob| blob.size).sum();
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(
            "{bar:30} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left, {msg}",
        );
        // Plain characters: the bar needs neither colours nor a font.
        bar.set_style(style.expect("the template is a constant").progress_chars("##-"));
        bar.set_message(format!("0 of {} blobs", plan.blobs.len()));
        Self {
            bar,
            is_shown: AtomicBool::new(false),
            started: Instant::now(),
            blobs: plan.blobs.len(),
            done: AtomicUsize::new(0),
        }
    }

    /// Takes the bar off the terminal.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    /// Whether every blob has arrived, so that manifests are being written.
    pub(crate) fn is_past_blobs(&self) -> bool {
        self.done.load(Ordering::Relaxed) == self.blobs
    }
}

impl Reporter for Bar {
    fn passed(&self, bytes: u64) {
        self.bar.inc(bytes);
        if self.started.elapsed() > SHOWN_AFTER && !self.is_shown.swap(true, Ordering::Relaxed) {
            self.bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REDRAWS));
        }
    }

    fn finished(&self, _: &Descriptor) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.bar.set_message(format!("{done} of {} blobs", self.blobs));
    }

    fn lost(&self, bytes: u64) {
        self.bar.dec(bytes);
    }
}
