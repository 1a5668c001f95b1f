//! Images with the same destination.

use std::collections::HashMap;

use super::findings::{Finding, Findings, ImagePlan};

/// Code of two images for one tag.
const CODE: &str = "CI-403";

/// Finds different images for one tag. The last copy of a deployment would win.
pub(super) fn check(images: &[ImagePlan]) -> Findings {
    let mut findings = Findings::default();
    let mut by_tag: HashMap<&str, &ImagePlan> = HashMap::new();
    for image in images {
        let (Some(key), Some(tag), Some(source)) = (&image.key, &image.tag, &image.source) else {
            continue;
        };
        let Some(first) = by_tag.get(key.as_str()) else {
            by_tag.insert(key, image);
            continue;
        };
        let digest = |image: &ImagePlan| image.change.as_ref().map(|change| change.digest.clone());
        let is_same = match (digest(first), digest(image)) {
            (Some(first), Some(second)) => first == second,
            _ => first.source.as_ref() == Some(source),
        };
        if is_same {
            continue;
        }
        let other = match &first.resource {
            Some(resource) => resource.clone(),
            None => format!("{}:{}", first.file, first.line),
        };
        findings.failures.push(Finding {
            file: image.file.clone(),
            line: image.line,
            resource: image.resource.clone(),
            text: format!(
                "{other} copies another image to the same repository and tag {tag}. Set another Tag in one of them."
            ),
            code: Some(CODE),
        });
    }
    findings
}
