//! The plan of a copy.

use std::collections::HashSet;
use std::time::Duration;

use super::walk::Found;
use crate::copy::reporting::{Progress, TagMove};
use crate::copy::request::{Platforms, Request};
use crate::oci::{Descriptor, Digest, Manifest, Platform, Tag};

/// What has to be done for one request. Empty when nothing has.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What was asked for.
    pub request: Request,
    /// What the source reference names: of an index, also when one platform of it is copied.
    pub source_digest: Digest,
    /// What is to carry the tag.
    pub root: Manifest,
    /// Whether the destination has the root already, so that only its tag may have to move.
    pub root_held: bool,
    /// Digests of all manifests below the root, held by the destination or not.
    pub children: Vec<Digest>,
    /// Manifests to write before the root. Every one stands after those that it refers to.
    pub manifests: Vec<Manifest>,
    /// Blobs to copy, each once, largest first.
    pub blobs: Vec<Descriptor>,
    /// What may be referred to, if that is to go along: every image as upstream has it.
    pub subjects: Vec<Digest>,
    /// Platforms in the root, attestations left out.
    pub platforms: Vec<Platform>,
    /// Platforms that the source offers, when its index was read.
    pub platforms_offered: Option<usize>,
    /// What is to become of the tag.
    pub tag: TagMove,
    /// All blobs of the image, and those that the destination has.
    pub progress: Progress,
    /// Time spent so far.
    pub elapsed: Duration,
}

impl Plan {
    /// Replaces what the tag names at the destination, if it was read again after planning.
    #[must_use]
    pub fn with_tag_naming(self, digest: Option<Digest>) -> Self {
        let tag = tag_move(self.request.tag.as_ref(), digest, &self.root.digest);
        Self { tag, ..self }
    }

    /// Manifests to write, the root included.
    #[must_use]
    pub fn manifests_to_write(&self) -> usize {
        self.manifests.len() + usize::from(!self.root_held)
    }
}

/// What is to be at the destination in the end.
pub(in crate::copy) struct TargetImage {
    pub(in crate::copy) source_digest: Digest,
    pub(in crate::copy) root: Found,
    pub(in crate::copy) below: Vec<Found>,
    pub(in crate::copy) platforms: Vec<Platform>,
    pub(in crate::copy) platforms_offered: Option<usize>,
    pub(in crate::copy) tag: TagMove,
}

impl TargetImage {
    /// The root, unless it is an index that only the destination has, and the images below.
    fn subjects(&self, request: &Request) -> Vec<Digest> {
        let root = &self.root.manifest;
        let is_new = matches!(request.platforms, Platforms::Some(_)) && root.digest != self.source_digest;
        let manifests = || self.below.iter().map(|found| &found.manifest).chain([root]);
        let attestations: HashSet<&Digest> = manifests()
            .flat_map(Manifest::children)
            .filter(|child| child.is_attestation())
            .map(|child| &child.digest)
            .collect();
        let digests = manifests().rev().skip(usize::from(is_new)).map(|manifest| &manifest.digest);
        digests.filter(|digest| !attestations.contains(digest)).cloned().collect()
    }

    /// The plan that leads there, when these blobs are missing.
    pub(in crate::copy) fn plan(
        self,
        request: &Request,
        blobs: Vec<Descriptor>,
        progress: Progress,
        elapsed: Duration,
    ) -> Plan {
        let subjects = if request.include_referrers { self.subjects(request) } else { Vec::new() };
        let children = self.below.iter().map(|found| found.manifest.digest.clone()).collect();
        let missing = self.below.into_iter().filter(|found| !found.held);
        Plan {
            request: request.clone(),
            subjects,
            source_digest: self.source_digest,
            root_held: self.root.held,
            root: self.root.manifest,
            children,
            manifests: missing.map(|found| found.manifest).collect(),
            blobs,
            platforms: self.platforms,
            platforms_offered: self.platforms_offered,
            tag: self.tag,
            progress,
            elapsed,
        }
    }
}

pub(in crate::copy) fn tag_move(tag: Option<&Tag>, names: Option<Digest>, root: &Digest) -> TagMove {
    match (tag, names) {
        (None, _) => TagMove::Untagged,
        (Some(_), Some(digest)) if digest == *root => TagMove::Unchanged,
        (Some(_), from) => TagMove::Moved { from },
    }
}
