//! Counts of a plan.

use super::state;
use crate::commands::plan::DeploymentPlan;

/// Counts of all images.
#[derive(Default)]
pub(super) struct Summary {
    pub(super) images: usize,
    pub(super) unchanged: usize,
    pub(super) new: usize,
    pub(super) moved: usize,
    pub(super) failed: usize,
    pub(super) unknown: usize,
    pub(super) deleted: usize,
    pub(super) bytes: u64,
}

impl Summary {
    pub(super) fn of(plan: &DeploymentPlan) -> Self {
        let mut summary = Self { images: plan.images.len(), ..Self::default() };
        for image in &plan.images {
            let count = match state(image).1 {
                "failed" => &mut summary.failed,
                "unknown" => &mut summary.unknown,
                "unchanged" | "no event" => &mut summary.unchanged,
                "new" => &mut summary.new,
                "deleted" => &mut summary.deleted,
                _ => &mut summary.moved,
            };
            *count += 1;
            summary.bytes += image.change.as_ref().map_or(0, |change| change.bytes);
        }
        summary
    }
}
