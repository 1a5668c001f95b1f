//! Log lines on stderr, in the format of cru.

use std::io::{self, Write as _};

use jiff::Zoned;

use crate::args::Verbosity;

/// Prints a line with the local time, unless `--quiet` is set.
pub(crate) fn print(verbosity: Verbosity, text: &str) {
    if verbosity != Verbosity::Quiet {
        let _ = writeln!(io::stderr(), "{} {text}", Zoned::now().strftime("%Y/%m/%d %H:%M:%S"));
    }
}
