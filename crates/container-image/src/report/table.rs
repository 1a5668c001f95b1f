//! Tables on a terminal.

use std::io::{self, IsTerminal as _};

/// Columns of a terminal that does not report its size.
const DEFAULT_COLUMNS: usize = 80;

/// Returns the number of columns of stdout. `None` if it is not a terminal.
pub(crate) fn terminal_columns() -> Option<usize> {
    io::stdout().is_terminal().then(|| match reported_columns() {
        Some(0) | None => DEFAULT_COLUMNS,
        Some(columns) => columns,
    })
}

#[cfg(unix)]
fn reported_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(size.ws_col.into())
}

#[cfg(not(unix))]
fn reported_columns() -> Option<usize> {
    None
}
