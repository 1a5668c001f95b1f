//! Lines on stderr that tell what is done, in the form in which cru wrote them.

use std::io::{self, Write as _};

use jiff::Zoned;

use crate::args::Verbosity;

/// Writes a line with the local time before it, unless nothing is to be told.
pub(crate) fn print(verbosity: Verbosity, text: &str) {
    if verbosity != Verbosity::Quiet {
        let _ = writeln!(io::stderr(), "{} {text}", Zoned::now().strftime("%Y/%m/%d %H:%M:%S"));
    }
}
