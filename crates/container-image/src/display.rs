//! Formats system errors and paths for messages.

use std::io;
use std::path::Path;

use image_copy::text;

/// Returns the text of the operating system, without the number that Rust appends.
pub(crate) fn io_error(error: &io::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" (os error").map_or(text.clone(), |(text, _)| text.to_owned())
}

/// Returns the error line for an unreadable file. `what` is its meaning, such as `the list`.
pub(crate) fn unreadable(what: &str, file: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{what} {} was not found. Correct the path.", path(file)),
        _ => format!("{what} {} cannot be read: {}. Check the file.", path(file), io_error(error)),
    }
}

/// Returns a path with escapes for invisible characters.
pub(crate) fn path(path: &Path) -> String {
    text::escaped(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removes_the_error_number() {
        assert_eq!(io_error(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(io_error(&io::Error::other("other")), "other");
    }
}
