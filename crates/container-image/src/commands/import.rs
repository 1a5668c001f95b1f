//! `container-image import`: turns files of other tools into a list for `sync`.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use crate::args::{ImportArgs, Verbosity};
use crate::display;
use crate::import::{self, File, Imported, MAX_FILE_BYTES};
use crate::input_file::{self, STDIN, STDIN_NAME};
use crate::output_file::OutputFile;
use crate::report;
use crate::signals::{blocking, wait_for_signal};

/// Imports files, and prints or writes the list.
pub(crate) async fn run(args: &ImportArgs, verbosity: Verbosity) -> ExitCode {
    let (names, format) = (args.files.clone(), args.format);
    let importing = blocking(move || {
        let read: Result<Vec<File>, String> = names.iter().map(|file| read(file)).collect();
        import::import(&read.map_err(|line| vec![line])?, format)
    });
    let imported = tokio::select! {
        biased;
        signal = wait_for_signal() => return report::interrupted(signal, "nothing was written"),
        imported = importing => imported,
    };
    let Imported { list, notes } = match imported {
        Ok(imported) => imported,
        Err(lines) => return report::invalid(&lines),
    };
    if verbosity != Verbosity::Quiet {
        notes.iter().for_each(|note| report::note(note));
    }
    let Some(path) = &args.output else { return report::print(list.trim_end(), "") };
    match OutputFile::create(path).and_then(|output| output.write(&list)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report::fail(&format!(
            "the list {} cannot be written: {}. Correct --output, or the permissions of its folder.",
            display::path(path),
            display::io_error(&error)
        )),
    }
}

fn read(argument: &str) -> Result<File, String> {
    if argument == STDIN {
        if io::stdin().is_terminal() {
            return Err("standard input is a terminal. Name a file, or pass the output of a command.".into());
        }
        let name = STDIN_NAME;
        return match input_file::read_stdin(MAX_FILE_BYTES as u64) {
            Err(error) => Err(format!("{name} cannot be read: {}.", display::io_error(&error))),
            Ok(content) if content.len() > MAX_FILE_BYTES => {
                Err(format!("{name} is larger than {} MiB. Split it.", MAX_FILE_BYTES >> 20))
            }
            Ok(content) => Ok(File { name: name.into(), content }),
        };
    }
    let path = Path::new(argument);
    let name = display::path(path);
    if path.is_dir() {
        return Err(format!("{name} is a folder. Name its files, such as {name}/*.yaml."));
    }
    let content = input_file::read(path, MAX_FILE_BYTES as u64);
    content
        .map(|content| File { name, content })
        .map_err(|error| display::unreadable("the file", path, &error))
}
