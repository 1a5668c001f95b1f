//! Replaces a file atomically.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use image_copy::oci::Digest;

use crate::display;
use crate::folder::Folder;
use crate::signals::blocking;

/// Content and metadata of a file before its change.
pub(crate) struct FileSnapshot {
    folder: Folder,
    name: OsString,
    metadata: Metadata,
    pub(crate) content: Vec<u8>,
}

impl FileSnapshot {
    /// Reads the file at an absolute path without symbolic links. Its content must be the same as when it was
    /// scanned.
    ///
    /// # Errors
    /// Reason as a clause.
    pub(crate) fn read(real_path: &Path, expected: &Digest) -> Result<Self, String> {
        let read = || {
            let name = real_path.file_name().ok_or(ErrorKind::InvalidInput)?;
            let folder = Folder::open(real_path.parent().ok_or(ErrorKind::InvalidInput)?)?;
            let mut file = folder.open_file(name)?;
            let metadata = file.metadata()?;
            let mut content = Vec::new();
            file.read_to_end(&mut content)?;
            Ok(Self { folder, name: name.to_owned(), metadata, content })
        };
        let snapshot = read().map_err(|error: io::Error| display::io_error(&error))?;
        match Digest::of(&snapshot.content) == *expected {
            true => Ok(snapshot),
            false => Err(CHANGED.into()),
        }
    }

    /// Replaces the content, and keeps mode and owner. If it fails, the file is unchanged.
    ///
    /// # Errors
    /// Reason as a clause.
    pub(crate) async fn replace(&self, new: Vec<u8>) -> Result<(), String> {
        if is_read_only(&self.metadata) || !self.folder.is_writable(&self.name) {
            return Err("it is read-only".into());
        }
        let written = write_temporary(&self.folder, new, &self.metadata).await?;
        // Only microseconds pass between this check and the rename.
        let now = self.folder.open_file(&self.name).and_then(|file| file.metadata());
        if !is_same(&self.metadata, &now.map_err(|error| display::io_error(&error))?) {
            return Err(CHANGED.into());
        }
        written.rename(&self.name).map_err(|error| display::io_error(&error))
    }
}

const CHANGED: &str = "another program changed it meanwhile";

/// A new file. It is deleted unless it is renamed.
struct TemporaryFile<'a> {
    folder: &'a Folder,
    name: OsString,
    file: File,
}

impl<'a> TemporaryFile<'a> {
    fn create(folder: &'a Folder) -> io::Result<Self> {
        let mut number = 0;
        loop {
            let name: OsString = format!(".container-image-{}-{number}", std::process::id()).into();
            match folder.create_file(&name) {
                Ok(file) => return Ok(Self { folder, name, file }),
                // A killed process with the same ID left it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MAX_LEFT_FILES => {
                    number += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn rename(mut self, to: &OsStr) -> io::Result<()> {
        self.folder.rename(&self.name, to)?;
        self.name.clear();
        Ok(())
    }
}

/// Maximum number of temporary files of killed processes in a folder.
const MAX_LEFT_FILES: usize = 1000;

impl Drop for TemporaryFile<'_> {
    fn drop(&mut self) {
        if !self.name.is_empty() {
            let _ = self.folder.remove(&self.name);
        }
    }
}

/// Writes the content to a temporary file.
async fn write_temporary<'a>(
    folder: &'a Folder,
    new: Vec<u8>,
    like: &Metadata,
) -> Result<TemporaryFile<'a>, String> {
    let failed =
        |error: io::Error| format!("the new content cannot be written: {}", display::io_error(&error));
    let create_error = |error: io::Error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!(
                "its folder must be writable, because a new file replaces it: {}",
                display::io_error(&error)
            )
        }
        _ => failed(error),
    };
    let temporary = TemporaryFile::create(folder).map_err(create_error)?;
    let file = &temporary.file;
    copy_owner(file, like)?;
    // The mode follows the owner, because chown clears the setuid and setgid bits.
    file.set_permissions(like.permissions()).map_err(failed)?;
    // After a signal, the file is deleted while the thread may still write to it.
    let mut open_file = file.try_clone().map_err(failed)?;
    blocking(move || open_file.write_all(&new).and_then(|()| open_file.sync_all())).await.map_err(failed)?;
    Ok(temporary)
}

/// The superuser can write any file, but a file without write permission is read-only on purpose.
#[cfg(unix)]
fn is_read_only(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o222 == 0
}

#[cfg(not(unix))]
fn is_read_only(metadata: &Metadata) -> bool {
    metadata.permissions().readonly()
}

#[cfg(unix)]
fn copy_owner(file: &File, like: &Metadata) -> Result<(), String> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    let own = file.metadata().map_err(|error| display::io_error(&error))?;
    if (own.uid(), own.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
        .map_err(|error| format!("its owner cannot be kept: {}", display::io_error(&error)))
}

#[cfg(not(unix))]
fn copy_owner(_: &File, _: &Metadata) -> Result<(), String> {
    Ok(())
}

#[cfg(unix)]
fn is_same(before: &Metadata, now: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |of: &Metadata| (of.dev(), of.ino(), of.len(), of.mtime(), of.mtime_nsec());
    identity(before) == identity(now)
}

#[cfg(not(unix))]
fn is_same(before: &Metadata, now: &Metadata) -> bool {
    before.len() == now.len() && before.modified().ok() == now.modified().ok()
}
