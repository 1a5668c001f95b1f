//! Replaces a file atomically.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use image_copy::oci::Digest;
use tempfile::{Builder, NamedTempFile};

use crate::{display, input_file};

/// Content and metadata of a file before its change.
pub(crate) struct FileSnapshot {
    path: PathBuf,
    metadata: Metadata,
    pub(crate) content: Vec<u8>,
}

impl FileSnapshot {
    /// Reads the file at `path`. Its content must be the same as when it was scanned.
    ///
    /// # Errors
    /// Reason as a clause.
    pub(crate) fn read(path: &Path, expected: &Digest) -> Result<Self, String> {
        // Follows a symbolic link, so that the link itself is kept.
        let path = path.canonicalize().map_err(|error| display::io_error(&error))?;
        let mut file = input_file::open(&path).map_err(|error| display::io_error(&error))?;
        let metadata = file.metadata().map_err(|error| display::io_error(&error))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|error| display::io_error(&error))?;
        if Digest::of(&content) != *expected {
            return Err(CHANGED.into());
        }
        Ok(Self { path, metadata, content })
    }

    /// Replaces the content, and keeps mode and owner. If it fails, the file is unchanged.
    ///
    /// # Errors
    /// Reason as a clause.
    pub(crate) fn replace(&self, new: &[u8]) -> Result<(), String> {
        if is_read_only(&self.path, &self.metadata) {
            return Err("it is read-only".into());
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        let written = write_temporary(folder, new, &self.metadata)?;
        // Only microseconds pass between this check and the rename.
        let now = fs::metadata(&self.path).map_err(|error| display::io_error(&error))?;
        if !is_same(&self.metadata, &now) {
            return Err(CHANGED.into());
        }
        written.persist(&self.path).map_err(|error| display::io_error(&error.error))?;
        Ok(())
    }
}

const CHANGED: &str = "another program changed it meanwhile";

/// Writes the content to a temporary file. It is deleted unless it replaces the original.
fn write_temporary(folder: &Path, new: &[u8], like: &Metadata) -> Result<NamedTempFile, String> {
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
    let mut file = Builder::new().prefix(".container-image-").tempfile_in(folder).map_err(create_error)?;
    file.write_all(new).map_err(failed)?;
    copy_owner(file.as_file(), like)?;
    // The mode follows the owner, because chown clears the setuid and setgid bits.
    file.as_file().set_permissions(like.permissions()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

#[cfg(unix)]
fn is_read_only(path: &Path, metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // The superuser can write any file, but a file without write permission is read-only on purpose.
    metadata.permissions().mode() & 0o222 == 0
        || rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_err()
}

#[cfg(not(unix))]
fn is_read_only(_: &Path, metadata: &Metadata) -> bool {
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
