//! Progress bar of commands that transfer nothing: the number of finished items.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shorter runs show no bar.
const SHOW_DELAY: Duration = Duration::from_secs(1);

/// A bar on stderr. It is hidden until it is shown, and if stderr is not a terminal.
pub(crate) struct CountProgress(ProgressBar);

impl CountProgress {
    /// Creates a hidden bar. `name` describes finished items, such as `references resolved`.
    pub(crate) fn new(items: usize, name: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(items as u64), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template("{bar:30} {pos} of {len} {msg}");
        bar.set_style(style.expect("the template is a constant").progress_chars("##-"));
        bar.set_message(name);
        Self(bar)
    }

    pub(crate) fn advance(&self) {
        self.0.inc(1);
    }

    /// Sets the number of items and of finished items.
    pub(crate) fn set(&self, items: u64, finished: u64) {
        self.0.set_length(items);
        self.0.set_position(finished);
    }

    /// Shows the bar after a delay. The future never completes.
    pub(crate) async fn show_after_delay(&self) {
        tokio::time::sleep(SHOW_DELAY).await;
        self.0.set_draw_target(ProgressDrawTarget::stderr());
        self.0.tick();
        std::future::pending::<()>().await;
    }

    /// Removes the bar from the terminal.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for CountProgress {
    fn drop(&mut self) {
        self.clear();
    }
}
