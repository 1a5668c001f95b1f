//! What the sandboxes of a function write to standard output and standard error.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

/// Lines that are kept; older ones go.
const LINES: usize = 20_000;
/// The longest line, in bytes; the rest of it becomes a line of its own.
const LINE_LENGTH: u64 = 64 * 1024;

/// The last lines of all sandboxes of one function, oldest first.
#[derive(Default)]
pub(super) struct Output(Mutex<VecDeque<String>>);

impl Output {
    /// Everything that is kept.
    pub(super) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Takes in a stream, line by line, until its end.
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
