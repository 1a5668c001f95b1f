//! What a Create or an Update wants, and what the record says against it.

use std::time::{SystemTime, UNIX_EPOCH};

use image_copy::copy::Plan;
use image_copy::oci::Tag;

use crate::ledger::{Ledger, Line, Look, Place, untagged};
use crate::properties::{InvalidProperty, Properties};
use crate::reason::Failure;

/// What an event wants.
pub(crate) struct Wish {
    pub(crate) properties: Properties,
    /// The hash of all properties.
    pub(crate) fingerprint: String,
    /// What is wrong with it, unless the resource had exactly these properties before: a roll-back
    /// brings back what the provider before ours ignored.
    pub(crate) objection: Option<InvalidProperty>,
    /// Whether the tag was the resource's own before.
    pub(crate) keeps_tag: bool,
    /// What an Update had before, where that can be read.
    pub(crate) previous: Option<(Properties, String)>,
    /// When the event was issued, in seconds since 1970.
    pub(crate) issued: Option<u64>,
    /// Whether an earlier invocation began this and put the claim.
    pub(crate) is_continued: bool,
}

impl Wish {
    pub(super) fn seconds(&self) -> u64 {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.issued.unwrap_or_else(now)
    }

    /// What the record of this copy is about; for an image without any name, nothing.
    pub(super) fn about(&self) -> Option<Tag> {
        let Properties { tag, source, .. } = &self.properties;
        tag.clone().or_else(|| source.digest.as_ref().map(untagged))
    }

    /// Whether the tag may be somebody else's. One that follows from a digest always is ours.
    pub(super) fn takes_over(&self) -> bool {
        !self.keeps_tag && self.properties.tag.is_some()
    }

    pub(super) fn place(&self, plan: &Plan) -> Place {
        match &self.properties.tag {
            Some(tag) => Place::of_tag(tag),
            None => Place::of_untagged(&plan.source_digest, &plan.root.digest),
        }
    }

    pub(super) fn may_go_on(&self, seen: Option<(&Ledger, &Look)>) -> Result<(), Failure> {
        if seen.is_some_and(|(ledger, look)| ledger.is_overtaken(look, self.issued)) {
            return Err(Failure::Overtaken);
        }
        let had = seen
            .is_some_and(|(ledger, look)| ledger.own(look).any(|line| line.properties == self.fingerprint));
        match &self.objection {
            Some(objection) if !had => Err(Failure::Property(objection.clone())),
            _ => Ok(()),
        }
    }

    /// A line of the resource with exactly these properties.
    pub(super) fn same_properties<'a>(&self, ledger: &'a Ledger, look: &'a Look) -> Option<&'a Line> {
        let selection = self.properties.platforms.to_string();
        let is_same = |line: &&Line| line.properties == self.fingerprint && line.selection == selection;
        ledger.own(look).find(is_same)
    }
}
