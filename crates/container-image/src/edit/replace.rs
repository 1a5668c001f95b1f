//! Changes a file whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use image_copy::oci::Digest;
use tempfile::{Builder, NamedTempFile};

use crate::{display, input_file};

/// A file that is about to be changed, as it is now.
pub(crate) struct FileSnapshot {
    path: PathBuf,
    metadata: Metadata,
    pub(crate) content: Vec<u8>,
}

impl FileSnapshot {
    /// Reads the file at `path`, which has to hold what it held when its images were looked for.
    ///
    /// # Errors
    /// A clause that says why not.
    pub(crate) fn read(path: &Path, expected: &Digest) -> Result<Self, String> {
        // Behind a link that was named, so that it goes on leading there.
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

    /// Puts `new` into the place of the file. Mode and owner stay. Whatever goes wrong, the file is
    /// what it was before.
    ///
    /// # Errors
    /// A clause that says why not.
    pub(crate) fn replace(&self, new: &[u8]) -> Result<(), String> {
        if is_read_only(&self.path, &self.metadata) {
            return Err("it is read-only".into());
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        let written = write_temporary(folder, new, &self.metadata)?;
        // Between this look and the renaming lie microseconds.
        let now = fs::metadata(&self.path).map_err(|error| display::io_error(&error))?;
        if !is_same(&self.metadata, &now) {
            return Err(CHANGED.into());
        }
        written.persist(&self.path).map_err(|error| display::io_error(&error.error))?;
        Ok(())
    }
}

const CHANGED: &str = "somebody else changed it meanwhile";

/// The new content in a file of its own, which is removed unless it is put into its place.
fn write_temporary(folder: &Path, new: &[u8], like: &Metadata) -> Result<NamedTempFile, String> {
    let failed =
        |error: io::Error| format!("the new content cannot be written: {}", display::io_error(&error));
    let create_error = |error: io::Error| match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            format!(
                "a new file takes its place, so its folder has to be writable: {}",
                display::io_error(&error)
            )
        }
        _ => failed(error),
    };
    let mut file = Builder::new().prefix(".container-image-").tempfile_in(folder).map_err(create_error)?;
    file.write_all(new).map_err(failed)?;
    copy_owner(file.as_file(), like)?;
    // After the owner: changing that takes away the bits that run a program as somebody else.
    file.as_file().set_permissions(like.permissions()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    Ok(file)
}

#[cfg(unix)]
fn is_read_only(path: &Path, metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    // The superuser may write anything, but who takes away every right to write means it.
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
