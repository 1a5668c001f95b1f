//! Writes files that the user names.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// A file that replaces another one completely, or not at all.
pub(crate) struct OutputFile {
    path: PathBuf,
    temporary: NamedTempFile,
}

impl OutputFile {
    /// Creates a temporary file in the same folder.
    ///
    /// # Errors
    /// System errors, and an error if the path is something else than a regular file.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        // A symbolic link stays, and its target is replaced.
        let path = if path.is_symlink() { fs::canonicalize(path)? } else { path.into() };
        // A device or a FIFO would be replaced, too.
        if path.exists() && !path.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let temporary = temporary_file(folder.unwrap_or(Path::new(".")))?;
        Ok(Self { path, temporary })
    }

    /// Returns the path of the replaced file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the content under the path.
    ///
    /// # Errors
    /// System errors.
    pub(crate) fn write(mut self, content: &str) -> io::Result<()> {
        self.temporary.write_all(content.as_bytes())?;
        self.temporary.persist(&self.path).map(drop).map_err(|error| error.error)
    }
}

/// Creates a file with the permissions of the user's other files. Temporary files are private by default.
fn temporary_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // The system removes the bits of the umask.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn replaces_files_and_targets_of_links_but_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let write = |name: &str| OutputFile::create(&path(name)).and_then(|file| file.write("new"));
        fs::write(path("old"), "old").unwrap();
        symlink("old", path("link")).unwrap();
        symlink("missing", path("broken")).unwrap();
        symlink("/dev/null", path("device")).unwrap();
        for name in ["link", "new"] {
            write(name).unwrap();
            assert_eq!(fs::read_to_string(path(name)).unwrap(), "new");
        }
        assert_eq!(fs::read_to_string(path("old")).unwrap(), "new");
        assert!(path("link").is_symlink());
        for name in ["device", ".", "broken", "folder/new"] {
            assert!(write(name).is_err(), "{name}");
        }
        assert!(path("device").is_symlink());
    }
}
