//! Reads the Dockerfile lines of `--customize` and of its shortcuts.

use std::fmt::Write as _;
use std::path::Path;

use image_copy::customize::{Customization, MAX_BYTES, quote};

use crate::args::CustomizeArgs;
use crate::display;
use crate::input_file::{self, STDIN, STDIN_NAME};

/// Returns the lines of the file, then those of `--env`, `--label` and `--volume`. `None` without any.
///
/// # Errors
/// A line about a file that cannot be read, or about an invalid line.
pub(crate) fn read(args: &CustomizeArgs) -> Result<Option<Customization>, String> {
    let CustomizeArgs { customize, env, label, volume } = args;
    let mut lines = match customize {
        Some(path) => read_file(path)?,
        None if env.is_empty() && label.is_empty() && volume.is_empty() => return Ok(None),
        None => String::new(),
    };
    if !lines.is_empty() && !lines.ends_with('\n') {
        lines.push('\n');
    }
    for (instruction, pairs) in [("ENV", env), ("LABEL", label)] {
        for (name, value) in pairs {
            // Writing to a text never fails.
            let _ = writeln!(lines, "{instruction} {}={}", quote(name), quote(value));
        }
    }
    for path in volume {
        // Quotes and variables in the JSON form are expanded too.
        let path = serde_json::Value::from(quote(path));
        let _ = writeln!(lines, "VOLUME [{path}]");
    }
    let customization = Customization::parse(&lines).map_err(|error| {
        let name = customize.as_deref().map_or_else(|| "--env, --label and --volume".to_owned(), name);
        format!("the Dockerfile lines of {name} are not valid: {error}.")
    })?;
    Ok(Some(customization))
}

fn read_file(path: &Path) -> Result<String, String> {
    let limit = MAX_BYTES as u64;
    let content = if is_stdin(path) {
        let read = input_file::read_stdin(limit).and_then(|content| input_file::check_size(content, limit));
        read.map_err(|error| format!("{STDIN_NAME} cannot be read: {}.", display::io_error(&error)))?
    } else {
        input_file::read(path, limit).map_err(|error| display::unreadable("the file", path, &error))?
    };
    let subject = if is_stdin(path) { name(path) } else { format!("the file {}", name(path)) };
    String::from_utf8(content).map_err(|_| format!("{subject} is not text in UTF-8. Check the file."))
}

/// Returns the name of a file in messages.
fn name(path: &Path) -> String {
    if is_stdin(path) { STDIN_NAME.into() } else { display::path(path) }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == STDIN
}
