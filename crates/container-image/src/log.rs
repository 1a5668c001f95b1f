//! Log lines on stderr, in the format of cru.

use std::io::{self, Write as _};

use jiff::Zoned;

use crate::args::Verbosity;
use crate::report;

/// Prints a line with the local time, unless `--quiet` is set. On a terminal, digests are short without `--verbose`.
pub(crate) fn print(verbosity: Verbosity, text: &str) {
    if verbosity == Verbosity::Quiet {
        return;
    }
    let line = format!("{} {text}", Zoned::now().strftime("%Y/%m/%d %H:%M:%S"));
    let is_short = verbosity == Verbosity::Normal && report::is_terminal();
    let line = if is_short { report::with_short_digests(&line) } else { line };
    let _ = writeln!(io::stderr(), "{}", report::for_stderr(&line));
}
