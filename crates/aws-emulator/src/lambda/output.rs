//! Standard output and standard error of a function's sandboxes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Number of lines that are kept. Older lines are deleted.
const LINES: usize = 20_000;
/// Maximum length of a line in bytes. The rest becomes another line.
const LINE_LENGTH: u64 = 64 * 1024;

/// Last lines of all sandboxes of a function, oldest first.
#[derive(Default)]
pub(super) struct Output(Mutex<VecDeque<String>>);

impl Output {
    /// Returns the kept lines.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Reads a stream to its end and stores its lines.
    pub(super) async fn capture(self: Arc<Self>, stream: impl AsyncRead + Unpin) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut line = Vec::new();
            let read = (&mut reader).take(LINE_LENGTH).read_until(b'\n', &mut line).await;
            if !read.is_ok_and(|bytes| bytes > 0) {
                return;
            }
            let line = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() == LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    }
}
