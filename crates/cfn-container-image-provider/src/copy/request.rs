//! The copy that a Create or an Update requests.

use image_copy::copy::{EarlierCopy, PlatformSelection};
use image_copy::oci::{Digest, Platform};
use image_copy_aws::{CopyRecord, InvalidProperty, Owner, Properties, TagState, fingerprint};
use serde_json::Value;

use super::lifecycle::check_owners;
use crate::context::EventContext;
use crate::failure::Failure;

/// A copy that CloudFormation requests.
pub(crate) struct CopyRequest {
    pub(crate) properties: Properties,
    /// Hash of all properties.
    pub(crate) fingerprint: String,
    /// Error in the properties. It is no failure if the resource had exactly these properties before, because
    /// a rollback restores properties that the original provider ignored.
    pub(crate) property_error: Option<InvalidProperty>,
    /// Previous properties of an Update with their hash, if they are valid.
    previous: Option<(Properties, String)>,
    /// Physical ID of the resource in an Update.
    pub(crate) previous_physical_id: Option<String>,
    pub(crate) owner: Owner,
    /// True if no other owner can put another image under the tag.
    pub(crate) is_exclusive: bool,
    /// Time of the event, in seconds since 1970.
    pub(crate) time: u64,
}

impl CopyRequest {
    /// Parses the properties of a Create, or of an Update with its previous ones.
    ///
    /// # Errors
    /// [`Failure::Property`].
    pub(crate) fn parse(
        properties: &Value,
        previous: Option<&Value>,
        default: &PlatformSelection,
        context: &EventContext<'_>,
    ) -> Result<Self, Failure> {
        let before = previous.unwrap_or(&Value::Null);
        let (parsed, property_error) = match Properties::parse(properties, before, default) {
            Ok(parsed) => (parsed, None),
            Err(error) if previous.is_none() => return Err(Failure::Property(error)),
            // With themselves as previous properties, no name is unknown. Other errors remain.
            Err(error) => match Properties::parse(properties, properties, default) {
                Ok(parsed) => (parsed, Some(error)),
                Err(error) => return Err(Failure::Property(error)),
            },
        };
        let before = previous.and_then(|previous| Properties::parse(previous, previous, default).ok());
        Ok(Self {
            fingerprint: fingerprint(properties),
            previous: before.zip(previous.map(fingerprint)),
            previous_physical_id: previous.map(|_| context.resource.physical_id.clone()),
            owner: context.resource.owner.clone(),
            is_exclusive: context.resource.is_exclusive,
            time: context.continuation.event_time(),
            properties: parsed,
            property_error,
        })
    }

    /// Returns the key of the item, if it is known before planning. Without a tag, a platform of an index and
    /// a changed image have a separate digest.
    pub(crate) fn item_key(&self) -> Option<String> {
        let properties = &self.properties;
        match (&properties.tag, &properties.source.digest) {
            (None, None) => None,
            (None, Some(_)) if !properties.keeps_digest() => None,
            (_, digest) => Some(self.format_item_key(digest.as_ref())),
        }
    }

    /// Returns the key of the item, which is the physical ID, of a copy with this digest.
    pub(crate) fn item_key_with(&self, digest: &Digest) -> String {
        self.format_item_key(Some(digest))
    }

    fn format_item_key(&self, digest: Option<&Digest>) -> String {
        let repository = self.properties.repository.repository();
        match (&self.properties.tag, digest) {
            (Some(tag), _) => repository.with_tag(tag.clone()).to_string(),
            (None, Some(digest)) => repository.with_digest(digest.clone()).to_string(),
            (None, None) => repository.to_string(),
        }
    }

    pub(crate) fn is_update(&self) -> bool {
        self.previous_physical_id.is_some()
    }

    /// Returns a record for the image that an Update finds under its tag. Its digest is a placeholder.
    pub(crate) fn missing_record(&self) -> Option<CopyRecord> {
        let (previous, fingerprint) = self.previous.as_ref()?;
        if self.previous_physical_id != self.item_key() {
            return None;
        }
        let mut record = CopyRecord::new(0, self.owner.clone(), Digest::of(b""));
        record.source = previous.source.to_string();
        record.source_digest = previous.source.digest.clone();
        record.selection = previous.platforms.to_string();
        record.customization = previous.customization_digest();
        record.properties = fingerprint.clone();
        Some(record)
    }

    /// Checks the request with the item.
    ///
    /// # Errors
    /// [`Failure::Superseded`]; [`Failure::Property`] if the properties are invalid and the resource never
    /// had them.
    pub(crate) fn check(&self, item: Option<&TagState>) -> Result<(), Failure> {
        if item.is_some_and(|item| item.has_newer_event(&self.owner, self.time)) {
            return Err(Failure::Superseded);
        }
        match &self.property_error {
            Some(property_error) if self.same_properties(item).is_none() => {
                Err(Failure::Property(property_error.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Checks before the transfer that no other owner has another image under the tag.
    ///
    /// # Errors
    /// [`Failure::OtherOwner`].
    pub(crate) fn check_owners(&self, item: Option<&TagState>, digest: &Digest) -> Result<(), Failure> {
        let mut record = CopyRecord::new(self.time, self.owner.clone(), digest.clone());
        record.is_exclusive = self.is_exclusive;
        check_owners(item, &record)
    }

    /// Returns the newest copy of this resource with exactly these properties.
    pub(crate) fn same_properties<'a>(&'a self, item: Option<&'a TagState>) -> Option<&'a CopyRecord> {
        item?.copies_of(&self.owner).find(|copy| copy.properties == self.fingerprint)
    }
}

/// Returns the records that the engine can use, newest first.
pub(crate) fn earlier_copies(item: Option<&TagState>, selection: &PlatformSelection) -> Vec<EarlierCopy> {
    let copies = item.into_iter().flat_map(|item| item.copies.iter().rev());
    let name = selection.to_string();
    copies
        .filter(|copy| copy.selection == name)
        .filter_map(|copy| {
            let platforms: Result<Vec<Platform>, _> =
                copy.platforms.iter().map(|name| name.parse()).collect();
            let customization = match copy.customization.as_str() {
                "" => None,
                digest => Some(digest.parse().ok()?),
            };
            Some(EarlierCopy {
                source_digest: copy.source_digest.clone()?,
                requested: selection.clone(),
                customization,
                digest: copy.digest.clone(),
                platforms: platforms.unwrap_or_default(),
            })
        })
        .collect()
}
