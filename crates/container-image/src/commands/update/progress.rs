//! How many references are still being asked for, for those who wait.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// What is done by then needs no word.
const SHOW_DELAY: Duration = Duration::from_secs(1);

/// A count on stderr, which stays away when that is no terminal. Hidden until it is shown.
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

    /// Shows the count once it takes long. Never ends: the questions do.
    pub(super) async fn show_after_delay(&self) {
        tokio::time::sleep(SHOW_DELAY).await;
        self.0.set_draw_target(ProgressDrawTarget::stderr());
        self.0.tick();
        std::future::pending::<()>().await;
    }

    /// Takes the count off the terminal.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for ResolveProgress {
    fn drop(&mut self) {
        self.clear();
    }
}
