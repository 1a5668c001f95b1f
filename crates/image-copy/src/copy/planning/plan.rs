//! The plan of a copy.

use std::collections::HashSet;
use std::time::Duration;

use super::customized::CustomizedContent;
use super::manifest_reader::{Descendants, LocatedManifest};
use crate::copy::reporting::{Progress, TagChange};
use crate::copy::request::{PlatformSelection, Request};
use crate::oci::{Descriptor, Digest, Manifest, Platform, Tag};

/// All writes that one request needs. Empty if the destination is up to date.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The request.
    pub request: Request,
    /// Digest that the source reference names. It is the digest of the index, also if one platform is
    /// copied.
    pub source_digest: Digest,
    /// Manifest that gets the tag.
    pub root: Manifest,
    /// True if the destination has the root.
    pub root_exists: bool,
    /// Digests of all manifests below the root, including those that the destination has.
    pub children: Vec<Digest>,
    /// Manifests to write before the root. Children come before the manifests that refer to them.
    pub manifests: Vec<Manifest>,
    /// Blobs to copy, each once, largest first.
    pub blobs: Vec<Descriptor>,
    /// Digests of the source's images, whose referrers are copied. Empty if the request excludes referrers.
    pub subjects: Vec<Digest>,
    /// Platforms in the root, without attestations.
    pub platforms: Vec<Platform>,
    /// Number of platforms in the source's index, if it was read.
    pub source_platform_count: Option<usize>,
    /// Changes by the request's customization. `None` without one, or if an earlier copy is used.
    pub customized: Option<CustomizedContent>,
    /// Change of the tag.
    pub tag: TagChange,
    /// Counts of the image's blobs and of those that the destination has.
    pub progress: Progress,
    /// Time spent on reading the current state and on planning.
    pub elapsed: Duration,
}

impl Plan {
    /// Returns the plan with another current digest of the tag. Use it if the tag was read again after
    /// planning.
    #[must_use]
    pub fn with_current_tag(self, digest: Option<Digest>) -> Self {
        let tag = tag_change(self.request.tag.as_ref(), digest, &self.root.digest);
        Self { tag, ..self }
    }

    /// Returns the platform of the image with this blob, if an index states it or the copy has only one
    /// platform.
    pub(in crate::copy) fn platform_of(&self, blob: &Digest) -> Option<&Platform> {
        let manifests = || self.manifests.iter().chain([&self.root]);
        let image = manifests().find(|manifest| manifest.blobs().any(|one| one.digest == *blob))?;
        let mut children = manifests().flat_map(Manifest::children);
        let listed = children.find(|child| child.digest == image.digest);
        match (listed, self.platforms.as_slice()) {
            (Some(child), _) => child.platform.as_ref(),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }

    /// Returns the number of manifests to write, including the root.
    #[must_use]
    pub fn manifests_to_write(&self) -> usize {
        self.manifests.len() + usize::from(!self.root_exists)
    }
}

/// The image at the destination after the copy.
pub(in crate::copy) struct TargetImage {
    pub(in crate::copy) source_digest: Digest,
    pub(in crate::copy) root: LocatedManifest,
    pub(in crate::copy) descendants: Descendants,
    pub(in crate::copy) platforms: Vec<Platform>,
    pub(in crate::copy) source_platform_count: Option<usize>,
    pub(in crate::copy) tag: TagChange,
    pub(in crate::copy) customized: Option<CustomizedContent>,
}

impl TargetImage {
    /// Returns the digests that can have referrers at the source. An index that was created for this copy
    /// has none.
    fn subjects(&self, request: &Request) -> Vec<Digest> {
        let root = &self.root.manifest;
        let is_new =
            matches!(request.platforms, PlatformSelection::Several(_)) && root.digest != self.source_digest;
        let manifests = || self.descendants.read.iter().map(|found| &found.manifest).chain([root]);
        let attestations: HashSet<&Digest> = manifests()
            .flat_map(Manifest::children)
            .filter(|child| child.is_attestation())
            .map(|child| &child.digest)
            .collect();
        let digests = manifests().rev().skip(usize::from(is_new)).map(|manifest| &manifest.digest);
        let digests = digests.chain(&self.descendants.unread);
        digests.filter(|digest| !attestations.contains(digest)).cloned().collect()
    }

    /// Creates the plan from the blobs that the destination lacks.
    pub(in crate::copy) fn into_plan(
        self,
        request: &Request,
        blobs: Vec<Descriptor>,
        progress: Progress,
        elapsed: Duration,
    ) -> Plan {
        // Referrers of the source describe the source's image.
        let has_subjects = request.include_referrers && request.customization.is_none();
        let subjects = if has_subjects { self.subjects(request) } else { Vec::new() };
        let Descendants { read, unread } = self.descendants;
        let children = read.iter().map(|found| found.manifest.digest.clone()).chain(unread).collect();
        let missing = read.into_iter().filter(|found| !found.at_destination);
        Plan {
            request: request.clone(),
            subjects,
            source_digest: self.source_digest,
            root_exists: self.root.at_destination,
            root: self.root.manifest,
            children,
            manifests: missing.map(|found| found.manifest).collect(),
            blobs,
            platforms: self.platforms,
            source_platform_count: self.source_platform_count,
            customized: self.customized,
            tag: self.tag,
            progress,
            elapsed,
        }
    }
}

/// Compares the current digest of the tag with the digest of the root.
pub(in crate::copy) fn tag_change(tag: Option<&Tag>, current: Option<Digest>, root: &Digest) -> TagChange {
    match (tag, current) {
        (None, _) => TagChange::Untagged,
        (Some(_), Some(digest)) if digest == *root => TagChange::Unchanged,
        (Some(_), from) => TagChange::Moved { from },
    }
}
