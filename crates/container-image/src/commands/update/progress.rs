//! Progress bar of `update`: the number of resolved references.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter updates show no bar.
const SHOW_DELAY: Duration = Duration::from_secs(1);

/// A bar on stderr. It is hidden until it is shown, and if stderr is not a terminal.
pub(super) struct ResolveProgress(ProgressBar);

impl ResolveProgress {
    pub(super) fn new(references: usize) -> Self {
        let bar = ProgressBar::with_draw_target(Some(references as u64), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} references resolved");
        bar.set_style(style.expect("the template is a constant").progress_chars("##-"));
        Self(bar)
    }

    pub(super) fn advance(&self) {
        self.0.inc(1);
    }

    /// Shows the bar after a delay. The future never completes.
    pub(super) async fn show_after_delay(&self) {
        tokio::time::sleep(SHOW_DELAY).await;
        self.0.set_draw_target(ProgressDrawTarget::stderr());
        self.0.tick();
        std::future::pending::<()>().await;
    }

    /// Removes the bar from the terminal.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for ResolveProgress {
    fn drop(&mut self) {
        self.clear();
    }
}
