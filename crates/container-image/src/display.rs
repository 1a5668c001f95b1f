//! What the operating system says.

use std::io;
use std::path::Path;

use image_copy::text;

/// Its words, without the number that Rust adds.
pub(crate) fn io_error(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" (os error").map_or(text.clone(), |(text, _)| text.to_owned())
}

/// Returns a path for messages, with escapes for characters that are not visible.
pub(crate) fn path(path: &Path) -> String {
    text::escaped(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_out_the_number() {
        assert_eq!(io_error(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(io_error(&io::Error::other("as it is")), "as it is");
    }
}
