//! Reads lists from files and from standard input.

use std::path::Path;

use image_copy::list::{self, Entry, ListError, MAX_LIST_BYTES};

use crate::display;
use crate::input_file::{self, STDIN, STDIN_NAME};

/// File name endings of lists. An argument with one of them is never a reference.
const LIST_ENDINGS: [&str; 6] = [".txt", ".yaml", ".yml", ".json", ".list", ".lst"];

/// Returns true if an argument is the path of a list, even if the file does not exist.
pub(crate) fn has_list_ending(argument: &str) -> bool {
    LIST_ENDINGS.iter().any(|ending| argument.ends_with(ending))
}

/// Reads a list. Returns its name in messages, and its entries.
///
/// # Errors
/// One line for each error.
pub(crate) fn read(argument: &str) -> Result<(String, Vec<Entry>), Vec<String>> {
    let (name, content) = content(argument)?;
    entries(&name, &content).map(|entries| (name, entries))
}

/// Reads the text of a list. Returns its name in messages, and its bytes.
///
/// # Errors
/// One line, if it cannot be read.
pub(crate) fn content(argument: &str) -> Result<(String, Vec<u8>), Vec<String>> {
    if argument == STDIN {
        let unreadable = |error| vec![format!("{STDIN_NAME} cannot be read: {}.", display::io_error(&error))];
        // The parser reports the size.
        let content = input_file::read_stdin(MAX_LIST_BYTES as u64).map_err(unreadable)?;
        return Ok((STDIN_NAME.to_owned(), content));
    }
    if argument.is_empty() {
        return Err(vec!["the path of a list is empty. Correct the path.".into()]);
    }
    let path = Path::new(argument);
    let name = display::path(path);
    if !path.exists() || path.is_dir() {
        let problem = if path.is_dir() { "is a folder" } else { "was not found" };
        return Err(vec![format!("the list {name} {problem}. Correct the path.")]);
    }
    let content = input_file::read(path, MAX_LIST_BYTES as u64);
    let content = content.map_err(|error| match path.is_file() {
        true => vec![display::unreadable("the list", path, &error)],
        // For example, a process substitution of a shell.
        false => vec![format!("the list {name} is not a regular file. Pass - and use standard input.")],
    })?;
    Ok((name, content))
}

/// Returns the error line for a list without an image.
pub(crate) fn no_image(argument: &str) -> String {
    let subject = match argument {
        STDIN => STDIN_NAME.to_owned(),
        path => format!("the list {}", display::path(Path::new(path))),
    };
    format!("{subject} contains no image. Add a reference.")
}

/// Parses a list.
///
/// # Errors
/// One line for each error.
pub(crate) fn entries(name: &str, content: &[u8]) -> Result<Vec<Entry>, Vec<String>> {
    list::parse(name, content).map_err(|errors| errors.iter().map(ListError::to_string).collect())
}
