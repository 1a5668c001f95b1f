//! The result of one image: its problems, and the state that follows from them.

use std::collections::HashMap;

use image_copy::oci::{Digest, Manifest, Platform, Reference};
use image_copy_aws::{LifecycleAction, SelectedImage};

use super::content::{Content, MissingParts};
use super::images::{Origin, ReliedImage};
use super::repository::{Counts, Findings, RepositoryState};

/// State of an image, the least severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ImageState {
    /// The image is complete.
    Ok,
    /// The same, but the source names another image now.
    Moved,
    /// The image is complete, but can be lost, or its tag names another image.
    AtRisk,
    /// Child manifests or blobs are missing.
    Incomplete,
    /// The tag or the digest does not exist.
    Missing,
    /// The image cannot be read.
    Unknown,
}

/// A problem of an image, or a change of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemKind,
    /// The owner that determines the advice.
    pub(crate) origin: Origin,
}

/// Kind of a problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    /// The source names this digest now.
    SourceMoved { source: Reference, digest: Digest },
    /// The lifecycle policy is about to expire or archive the image.
    Lifecycle { digest: Digest, rule: i32, action: LifecycleAction },
    /// The tag names another image than the recorded copy.
    OtherImage { named: Digest, copied: Digest },
    /// Children of an index are missing.
    MissingChildren { digest: Digest, count: usize, first: Digest, platform: Option<Platform> },
    /// Blobs are missing.
    MissingBlobs { digest: Digest, count: usize, first: Digest },
    /// The digest does not exist.
    MissingDigest(Digest),
    /// The tag does not exist.
    MissingTag,
}

impl ProblemKind {
    pub(crate) fn state(&self) -> ImageState {
        match self {
            Self::SourceMoved { .. } => ImageState::Moved,
            Self::Lifecycle { .. } | Self::OtherImage { .. } => ImageState::AtRisk,
            Self::MissingChildren { .. } | Self::MissingBlobs { .. } => ImageState::Incomplete,
            Self::MissingDigest(_) | Self::MissingTag => ImageState::Missing,
        }
    }
}

/// The result of one image.
#[derive(Debug)]
pub(crate) struct ImageResult {
    pub(crate) image: ReliedImage,
    pub(crate) state: ImageState,
    /// Digest that is relied on, or else the digest of the tag.
    pub(crate) digest: Option<Digest>,
    pub(crate) problems: Vec<Problem>,
    /// Findings of the scanned image with the most severe ones. `None` without a complete scan.
    pub(crate) findings: Option<Findings>,
}

/// Judges an image. `moved` has the current digest of each copy's source, if the source has moved.
pub(super) fn judge(image: ReliedImage, state: &RepositoryState, moved: &[Option<Digest>]) -> ImageResult {
    let Some(content) = &state.content else {
        return ImageResult {
            image,
            state: ImageState::Unknown,
            digest: None,
            problems: Vec::new(),
            findings: None,
        };
    };
    let roots = roots(&image, content);
    let mut problems = existence(&image, content);
    if !problems.iter().any(|problem| problem.kind == ProblemKind::MissingTag) {
        for (root, origin) in &roots {
            problems.extend(incompleteness(root, content.missing_parts(root), origin));
        }
    }
    for (root, origin) in &roots {
        if let Some(SelectedImage { rule, action, .. }) = state.expiring.get(&root.digest) {
            let kind = ProblemKind::Lifecycle { digest: root.digest.clone(), rule: *rule, action: *action };
            problems.push(Problem { kind, origin: (*origin).clone() });
        }
    }
    for (copy, digest) in image.copies.iter().zip(moved) {
        let (Some(source), Some(digest)) = (&copy.source, digest) else { continue };
        let kind = ProblemKind::SourceMoved { source: source.reference.clone(), digest: digest.clone() };
        if !problems.iter().any(|problem| problem.kind == kind) {
            problems.push(Problem { kind, origin: copy.origin.clone() });
        }
    }
    let findings = worst_findings(&roots, content, &state.findings);
    let relied = image.copies.iter().find_map(|copy| copy.digest.clone());
    let digest = relied.or_else(|| content.named(&image.name).map(|manifest| manifest.digest.clone()));
    let state = problems.iter().map(|problem| problem.kind.state()).max().unwrap_or(ImageState::Ok);
    ImageResult { image, state, digest, problems, findings }
}

/// Returns the existing manifests that are relied on, each once: the copied digests, or else the tag's.
fn roots<'a>(image: &'a ReliedImage, content: &'a Content) -> Vec<(&'a Manifest, &'a Origin)> {
    let mut roots: Vec<(&Manifest, &Origin)> = Vec::new();
    for copy in &image.copies {
        if let Some(manifest) = content.copied(image, copy)
            && !roots.iter().any(|(root, _)| root.digest == manifest.digest)
        {
            roots.push((manifest, &copy.origin));
        }
    }
    roots
}

/// Returns problems of the tag and of the digests.
fn existence(image: &ReliedImage, content: &Content) -> Vec<Problem> {
    let named = content.named(&image.name);
    if image.name.tag.is_some() && named.is_none() {
        let origin = image.copies[0].origin.clone();
        return vec![Problem { kind: ProblemKind::MissingTag, origin }];
    }
    let mut problems: Vec<Problem> = Vec::new();
    let copies = || image.copies.iter().filter_map(|copy| Some((copy.digest.as_ref()?, &copy.origin)));
    let named = named.map(|manifest| &manifest.digest).filter(|_| image.name.tag.is_some());
    if let (Some(named), Some((copied, origin))) = (named, copies().next())
        && !copies().any(|(digest, _)| digest == named)
        && image.copies.iter().all(|copy| copy.digest.is_some())
    {
        let kind = ProblemKind::OtherImage { named: named.clone(), copied: copied.clone() };
        problems.push(Problem { kind, origin: origin.clone() });
    }
    for (digest, origin) in copies().filter(|(digest, _)| content.manifest(digest).is_none()) {
        let kind = ProblemKind::MissingDigest(digest.clone());
        if !problems.iter().any(|problem| problem.kind == kind) {
            problems.push(Problem { kind, origin: origin.clone() });
        }
    }
    problems
}

fn incompleteness(root: &Manifest, missing: MissingParts, origin: &Origin) -> Vec<Problem> {
    let digest = root.digest.clone();
    let mut problems = Vec::new();
    if let Some(first) = missing.children.first() {
        problems.push(ProblemKind::MissingChildren {
            digest: digest.clone(),
            count: missing.children.len(),
            first: first.digest.clone(),
            platform: first.platform.clone(),
        });
    }
    if let Some(first) = missing.blobs.first() {
        problems.push(ProblemKind::MissingBlobs { digest, count: missing.blobs.len(), first: first.clone() });
    }
    problems.into_iter().map(|kind| Problem { kind, origin: origin.clone() }).collect()
}

/// Returns the findings of the image with the most critical ones, then the most high ones, and so on.
fn worst_findings(
    roots: &[(&Manifest, &Origin)],
    content: &Content,
    findings: &HashMap<Digest, Findings>,
) -> Option<Findings> {
    let images = roots.iter().flat_map(|(root, _)| content.images_of(root));
    let found = images.filter_map(|(manifest, _)| findings.get(&manifest.digest));
    found.max_by_key(|findings| severity_order(&findings.counts)).cloned()
}

fn severity_order(counts: &Counts) -> [u64; 6] {
    use image_copy_aws::Severity;
    let order = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
        Severity::Informational,
        Severity::Undefined,
    ];
    order.map(|severity| counts.get(&severity).copied().unwrap_or_default())
}

/// Number of images in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) ok: usize,
    pub(crate) moved: usize,
    pub(crate) at_risk: usize,
    pub(crate) incomplete: usize,
    pub(crate) missing: usize,
    pub(crate) unknown: usize,
}

impl Totals {
    pub(crate) fn of(results: &[ImageResult]) -> Self {
        let mut totals = Self::default();
        for result in results {
            *match result.state {
                ImageState::Ok => &mut totals.ok,
                ImageState::Moved => &mut totals.moved,
                ImageState::AtRisk => &mut totals.at_risk,
                ImageState::Incomplete => &mut totals.incomplete,
                ImageState::Missing => &mut totals.missing,
                ImageState::Unknown => &mut totals.unknown,
            } += 1;
        }
        totals
    }

    /// Returns the number of images that make the run fail.
    pub(crate) fn failures(&self) -> usize {
        self.at_risk + self.incomplete + self.missing + self.unknown
    }
}
