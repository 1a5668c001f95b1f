//! A layer with the files of the lines: a reproducible tar archive
//! (<https://github.com/opencontainers/image-spec/blob/main/layer.md>).

use std::io;

use bytes::Bytes;

use super::files::{Entry, Files, Kind};
use super::gzip;
use crate::oci::Digest;

/// A layer that was created from lines.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    /// The compressed archive.
    pub(super) content: Bytes,
    /// Digest of `content`.
    pub(super) digest: Digest,
    /// Digest of the archive before compression.
    pub(super) diff_id: Digest,
}

/// Creates the layer. Returns `None` without files. Entries are sorted by path. Directories above them have no
/// entry, so that those of the base keep their mode and owner.
pub(super) fn create(files: &Files, time: u64) -> Result<Option<Layer>, String> {
    if files.entries().is_empty() {
        return Ok(None);
    }
    let archive = archive(files, time).map_err(|error| format!("the layer cannot be created: {error}"))?;
    let content = Bytes::from(gzip::store(&archive));
    Ok(Some(Layer { digest: Digest::of(&content), content, diff_id: Digest::of(&archive) }))
}

fn archive(files: &Files, time: u64) -> io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, Entry { kind, mode, owner }) in files.entries() {
        let mut header = tar::Header::new_gnu();
        header.set_mode(*mode);
        header.set_uid(owner.uid.into());
        header.set_gid(owner.gid.into());
        header.set_mtime(time);
        header.set_size(0);
        let name = path.trim_start_matches('/');
        match kind {
            Kind::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                builder.append_data(&mut header, format!("{name}/"), io::empty())?;
            }
            Kind::File(content) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, content.as_bytes())?;
            }
            Kind::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, name, target)?;
            }
        }
    }
    builder.into_inner()
}
