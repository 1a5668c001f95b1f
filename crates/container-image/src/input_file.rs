//! Reads files that the user names, and standard input.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Standard input as an argument.
pub(crate) const STDIN: &str = "-";

/// Standard input in messages.
pub(crate) const STDIN_NAME: &str = "standard input";

/// Reads a regular file of at most `limit` bytes. It never blocks, even if the path is a FIFO.
///
/// # Errors
/// System errors, and an error if the file is not regular or is too large.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    // The size is checked after reading, because some file systems report 0.
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    check_size(content, limit)
}

/// Reads standard input. If it is larger than `limit` bytes, the content has one byte more than that.
///
/// # Errors
/// System errors.
pub(crate) fn read_stdin(limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    io::stdin().lock().take(limit + 1).read_to_end(&mut content)?;
    Ok(content)
}

/// Returns the content, or an error if it is larger than `limit` bytes.
pub(crate) fn check_size(content: Vec<u8>, limit: u64) -> io::Result<Vec<u8>> {
    match content.len() as u64 > limit {
        true => Err(io::Error::other(format!("it is larger than {} MiB", limit >> 20))),
        false => Ok(content),
    }
}

/// Opens a regular file for reading.
///
/// # Errors
/// System errors, and an error if the file is not regular.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// Opens a FIFO without waiting for a writer. Regular files ignore the flag.
#[cfg(unix)]
fn open_without_waiting(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn reads_only_regular_files_within_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("full"), vec![b'x'; 1 << 20]).unwrap();
        fs::write(path("large"), vec![b'x'; (1 << 20) + 1]).unwrap();
        std::os::unix::fs::symlink("full", path("link")).unwrap();
        let (fifo, mode) = (path("fifo"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for (path, expected) in [
            (path("full"), Ok(1 << 20)),
            (path("link"), Ok(1 << 20)),
            (path("large"), Err("it is larger than 1 MiB")),
            (folder.path().into(), Err("it is a folder")),
            (fifo, Err("it is not a regular file")),
            ("/dev/zero".into(), Err("it is not a regular file")),
            (path("missing"), Err("No such file or directory")),
        ] {
            let found = read(&path, 1 << 20).map(|content| content.len());
            let found = found.map_err(|error| crate::display::io_error(&error));
            assert_eq!(found, expected.map_err(str::to_owned), "{}", path.display());
        }
    }
}
