//! Platforms and amounts in messages.

use super::progress::Progress;
use crate::oci::Platform;

/// `linux/amd64, linux/arm64 and 3 others`
pub(super) fn list_platforms(platforms: &[Platform]) -> String {
    let names: Vec<String> = platforms.iter().map(Platform::to_string).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] if names.len() <= 12 => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} others", names[..10].join(", "), names.len() - 10),
    }
}

/// `17 of 22 blobs (6.1 of 9.8 GiB)`
pub(super) fn blob_share(progress: &Progress) -> String {
    let done = progress.present + progress.copied + progress.skipped;
    // A descriptor can state any size.
    let bytes = progress.bytes_present.saturating_add(progress.bytes_copied);
    let bytes = bytes.saturating_add(progress.bytes_skipped);
    format!("{done} of {} blobs ({})", progress.blobs, byte_share(bytes, progress.bytes))
}

#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn byte_share(part: u64, whole: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.into_iter().find(|(size, _)| whole >= *size) {
        Some((size, name)) => {
            format!("{:.1} of {:.1} {name}", part as f64 / size as f64, whole as f64 / size as f64)
        }
        None => format!("{part} of {whole} bytes"),
    }
}
