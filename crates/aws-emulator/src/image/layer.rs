//! Layers with real archives or generated content.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use serde_json::Value;

use super::builder::format_platform;
use crate::blob::{Blob, digest};

/// A layer with the digest of its uncompressed content.
pub(super) struct Layer {
    pub(super) blob: Blob,
    pub(super) diff_id: String,
}

impl Layer {
    /// Creates a layer with generated content, which is no archive.
    pub(super) fn generated(seed: u64, size: u64) -> Self {
        let blob = Blob::generated(seed, size);
        Self { diff_id: blob.digest().to_owned(), blob }
    }

    /// Creates a layer with a compressed archive of one small file.
    pub(super) fn archive(seed: u64, platform: &Value) -> Self {
        let text = format!("layer {seed} of {}\n", format_platform(platform)).repeat(40);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_767_225_600);
        header.set_cksum();
        let mut archive = tar::Builder::new(Vec::new());
        let name = format!("opt/layer-{seed}.txt");
        archive
            .append_data(&mut header, name, text.as_bytes())
            .and_then(|()| archive.into_inner())
            .and_then(|tar| {
                let mut zip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
                zip.write_all(&tar)?;
                Ok(Self { diff_id: digest(&tar), blob: Blob::bytes(zip.finish()?) })
            })
            .expect("writing into memory succeeds")
    }
}
