//! Opens and replaces files without following symbolic links, so that a link that replaces a file or a folder
//! cannot lead to another file.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::Path;

/// An open folder.
pub(crate) struct Folder(imp::Handle);

impl Folder {
    /// Opens the folder at an absolute path without symbolic links, such as one of [`Path::canonicalize`].
    ///
    /// # Errors
    /// System errors, and an error if a part of the path is a symbolic link.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        imp::open_folder(path).map(Self)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// System errors, and an error if it is not a regular file.
    pub(crate) fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let file = imp::open_file(&self.0, name)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("it is not a regular file")),
        }
    }

    /// Creates a file for writing. Only the current user can read it.
    ///
    /// # Errors
    /// System errors, such as for an existing file.
    pub(crate) fn create_file(&self, name: &OsStr) -> io::Result<File> {
        imp::create_file(&self.0, name)
    }

    /// Returns true if the user can write to the file.
    pub(crate) fn is_writable(&self, name: &OsStr) -> bool {
        imp::is_writable(&self.0, name)
    }

    /// Renames a file. An existing file is replaced.
    ///
    /// # Errors
    /// System errors.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        imp::rename(&self.0, from, to)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// System errors.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        imp::remove(&self.0, name)
    }
}

#[cfg(unix)]
mod imp {
    use std::os::fd::OwnedFd;
    use std::path::Component;

    use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, openat, renameat, unlinkat};
    use rustix::io::Errno;

    use super::{File, OsStr, Path, io};

    pub(super) type Handle = OwnedFd;

    /// Linux needs no read permission to open a file in a folder.
    #[cfg(target_os = "linux")]
    const SEARCH: OFlags = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    const SEARCH: OFlags = OFlags::RDONLY;

    pub(super) fn open_folder(path: &Path) -> io::Result<OwnedFd> {
        let flags = SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut folder = openat(CWD, "/", flags, Mode::empty())?;
        for part in path.components() {
            match part {
                Component::RootDir => {}
                Component::Normal(name) => {
                    folder = openat(&folder, name, flags, Mode::empty()).map_err(|error| match error {
                        // A symbolic link is not a folder.
                        Errno::NOTDIR | Errno::LOOP => {
                            io::Error::other("a folder of its path was replaced meanwhile")
                        }
                        other => other.into(),
                    })?;
                }
                _ => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
            }
        }
        Ok(folder)
    }

    pub(super) fn open_file(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
        // Opens a FIFO without waiting for a writer. Regular files ignore the flag.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(folder, name, flags, Mode::empty()) {
            Ok(file) => Ok(file.into()),
            Err(Errno::LOOP) => Err(io::Error::other("it was replaced by a symbolic link meanwhile")),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn create_file(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        Ok(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?.into())
    }

    pub(super) fn is_writable(folder: &OwnedFd, name: &OsStr) -> bool {
        accessat(folder, name, Access::WRITE_OK, AtFlags::empty()).is_ok()
    }

    pub(super) fn rename(folder: &OwnedFd, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(folder, from, folder, to)?)
    }

    pub(super) fn remove(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(folder, name, AtFlags::empty())?)
    }
}

#[cfg(not(unix))]
mod imp {
    use std::fs;
    use std::path::PathBuf;

    use super::{File, OsStr, Path, io};

    pub(super) type Handle = PathBuf;

    pub(super) fn open_folder(path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_owned())
    }

    pub(super) fn open_file(folder: &Path, name: &OsStr) -> io::Result<File> {
        File::open(folder.join(name))
    }

    pub(super) fn create_file(folder: &Path, name: &OsStr) -> io::Result<File> {
        File::create_new(folder.join(name))
    }

    pub(super) fn is_writable(folder: &Path, name: &OsStr) -> bool {
        fs::metadata(folder.join(name)).is_ok_and(|metadata| !metadata.permissions().readonly())
    }

    pub(super) fn rename(folder: &Path, from: &OsStr, to: &OsStr) -> io::Result<()> {
        fs::rename(folder.join(from), folder.join(to))
    }

    pub(super) fn remove(folder: &Path, name: &OsStr) -> io::Result<()> {
        fs::remove_file(folder.join(name))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn follows_no_link() {
        let tree = tempfile::tempdir().unwrap();
        let top = tree.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("real/sub")).unwrap();
        fs::write(top.join("real/sub/a"), "a").unwrap();
        symlink("a", top.join("real/sub/link")).unwrap();
        symlink("real", top.join("folder")).unwrap();
        let folder = Folder::open(&top.join("real/sub")).unwrap();
        assert!(folder.open_file("a".as_ref()).is_ok());
        let error = |result: io::Result<File>| crate::display::io_error(&result.unwrap_err());
        assert_eq!(error(folder.open_file("link".as_ref())), "it was replaced by a symbolic link meanwhile");
        assert_eq!(error(folder.open_file(".".as_ref())), "it is not a regular file");
        assert_eq!(error(folder.open_file("b".as_ref())), "No such file or directory");
        assert!(folder.create_file("link".as_ref()).is_err() && folder.create_file("a".as_ref()).is_err());
        for (path, expected) in [
            ("folder/sub", "a folder of its path was replaced meanwhile"),
            ("folder", "a folder of its path was replaced meanwhile"),
            ("none/sub", "No such file or directory"),
        ] {
            let found = Folder::open(&top.join(path)).err().map(|error| crate::display::io_error(&error));
            assert_eq!(found.as_deref(), Some(expected), "{path}");
        }
        assert!(Folder::open(Path::new("real")).is_err(), "a relative path");
    }
}
