//! Reads the Dockerfile lines of `--customize` and of its shortcuts.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::Path;

use image_copy::customize::{Customization, MAX_BYTES, quote};

use crate::args::CustomizeArgs;
use crate::{display, input_file};

/// Name of standard input.
const STANDARD_INPUT: &str = "-";

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
        let name = customize.as_deref().map_or_else(|| "--customize".to_owned(), display::path);
        format!("the Dockerfile lines of {name} are not valid: {error}.")
    })?;
    Ok(Some(customization))
}

fn read_file(path: &Path) -> Result<String, String> {
    let read = if path.as_os_str() == STANDARD_INPUT {
        let mut content = Vec::new();
        let read = io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut content);
        read.map(|_| content)
    } else {
        input_file::read(path, MAX_BYTES as u64)
    };
    let content = read.map_err(|error| display::unreadable("the file", path, &error))?;
    let invalid = |_| format!("the file {} is not text in UTF-8. Check the file.", display::path(path));
    String::from_utf8(content).map_err(invalid)
}
