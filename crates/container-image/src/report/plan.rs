//! The plan of a copy, for `--dry-run`.

use image_copy::copy::{Plan, TagChange};
use image_copy::oci::Platform;

use super::{byte_size, customization};

/// Maximum number of platforms that are listed. Official images have up to 20.
const MAX_PLATFORMS: usize = 24;

/// Formats the plan, one property per line.
pub(crate) fn plan(plan: &Plan) -> String {
    let blobs = &plan.progress;
    let missing = blobs.blobs - blobs.present - blobs.skipped;
    let manifests = plan.manifests_to_write();
    let tag = match &plan.tag {
        TagChange::Untagged => "none".to_owned(),
        TagChange::Unchanged => "already names this image".to_owned(),
        TagChange::Moved { from: None } => "new".to_owned(),
        TagChange::Moved { from: Some(old) } => format!("moves from {old}"),
    };
    let referrers = plan
        .request
        .include_referrers
        .then(|| format!("referrers    of {} digests, searched during the copy", plan.subjects.len()));
    let lines = [
        format!("source       {}", plan.request.source),
        format!("destination  {}", plan.request.destination_name()),
        format!("digest       {}", plan.root.digest),
        format!("platforms    {}", platforms(&plan.platforms)),
        format!(
            "blobs        {missing} to copy ({}), {} present",
            byte_size(blobs.bytes - blobs.bytes_present - blobs.bytes_skipped),
            blobs.present
        ),
        format!("manifests    {manifests} to write"),
        format!("tag          {tag}"),
    ];
    let customized = plan.customized.iter().flat_map(customization::plan_lines);
    lines.into_iter().chain(referrers).chain(customized).collect::<Vec<_>>().join("\n")
}

fn platforms(all: &[Platform]) -> String {
    let names: Vec<String> = all.iter().take(MAX_PLATFORMS).map(ToString::to_string).collect();
    match all.len().saturating_sub(MAX_PLATFORMS) {
        _ if names.is_empty() => "-".into(),
        0 => names.join(", "),
        others => format!("{} and {others} others", names.join(", ")),
    }
}
