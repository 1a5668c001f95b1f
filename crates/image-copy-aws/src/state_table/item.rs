//! Conversion between [`TagState`] and items in DynamoDB.
//!
//! Unknown attributes and fields are kept, so that functions of different versions can share the table.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use image_copy::oci::Digest;

use super::copy_record::{CopyRecord, Owner};
use super::tag_state::{Lease, TagState};

/// The partition key.
pub(crate) const IMAGE: &str = "Image";
/// The attribute in the condition of every write.
pub(crate) const VERSION: &str = "Version";
/// The attribute for DynamoDB's time to live.
const EXPIRES_AT: &str = "ExpiresAt";

pub(crate) type Item = HashMap<String, AttributeValue>;

/// Parses an item. Returns `None` if it is no tag's state or its owners are invalid: without them, a Delete
/// could delete an image that another resource needs.
pub(crate) fn parse(mut item: Item) -> Option<TagState> {
    let image = take_text(&mut item, IMAGE)?;
    let version = take_number(&mut item, VERSION)?;
    item.remove(EXPIRES_AT);
    let Some(AttributeValue::M(owners)) = item.remove("Owners") else { return None };
    let owners = owners.into_iter().map(|(name, value)| Some((Owner::named(name), parse_number(&value)?)));
    let owners = owners.collect::<Option<_>>()?;
    let ended = take_map(&mut item, "Ended").into_iter();
    let ended = ended.filter_map(|(name, value)| Some((Owner::named(name), parse_number(&value)?))).collect();
    let copies = take_list(&mut item, "Copies").into_iter().filter_map(parse_copy).collect();
    let children = take_map(&mut item, "Children").into_iter();
    let children = children
        .filter_map(|(index, value)| Some((index.parse().ok()?, parse_digests(&value))))
        .collect::<BTreeMap<Digest, Vec<Digest>>>();
    let replaced = take_text(&mut item, "Replaced").and_then(|text| text.parse().ok());
    let mut lease = take_map(&mut item, "Lease");
    let lease = take_text(&mut lease, "Holder")
        .and_then(|holder| Some(Lease { holder, until: take_number(&mut lease, "Until")? }));
    let seen = take_map(&mut item, "Seen").into_iter();
    let seen = seen.filter_map(|(digest, time)| Some((digest.parse().ok()?, parse_number(&time)?))).collect();
    Some(TagState { image, version, owners, copies, children, replaced, lease, ended, seen, unknown: item })
}

/// Serializes an item with its new version. `now` is in seconds since 1970.
pub(crate) fn serialize(state: &TagState, version: u64, now: u64) -> Item {
    let mut item = state.unknown.clone();
    item.insert(IMAGE.into(), text_value(&state.image));
    item.insert(VERSION.into(), number_value(version));
    item.insert("Owners".into(), owner_times(&state.owners));
    item.insert("Copies".into(), AttributeValue::L(state.copies.iter().map(serialize_copy).collect()));
    if !state.children.is_empty() {
        let children = state.children.iter().map(|(index, children)| {
            (
                index.to_string(),
                AttributeValue::L(children.iter().map(|child| text_value(child.as_str())).collect()),
            )
        });
        item.insert("Children".into(), AttributeValue::M(children.collect()));
    }
    if let Some(replaced) = &state.replaced {
        item.insert("Replaced".into(), text_value(replaced.as_str()));
    }
    if let Some(Lease { holder, until }) = &state.lease {
        let lease = [("Holder".to_owned(), text_value(holder)), ("Until".to_owned(), number_value(*until))];
        item.insert("Lease".into(), AttributeValue::M(lease.into()));
    }
    if !state.ended.is_empty() {
        item.insert("Ended".into(), owner_times(&state.ended));
    }
    if !state.seen.is_empty() {
        let seen = state.seen.iter().map(|(digest, time)| (digest.to_string(), number_value(time)));
        item.insert("Seen".into(), AttributeValue::M(seen.collect()));
    }
    if let Some(expires_at) = state.expires_at(now) {
        item.insert(EXPIRES_AT.into(), number_value(expires_at));
    }
    item
}

/// Parses a copy. Returns `None` if its digest or owner is invalid, because such a record proves nothing.
fn parse_copy(value: AttributeValue) -> Option<CopyRecord> {
    let AttributeValue::M(mut fields) = value else { return None };
    let fields = &mut fields;
    Some(CopyRecord {
        time: take_number(fields, "Time").unwrap_or_default(),
        owner: Owner::named(take_text(fields, "Owner")?),
        source: take_text(fields, "Source").unwrap_or_default(),
        source_digest: take_text(fields, "SourceDigest").and_then(|text| text.parse().ok()),
        selection: take_text(fields, "Selection").unwrap_or_default(),
        customization: take_text(fields, "Customization").unwrap_or_default(),
        platforms: parse_texts(take_list(fields, "Platforms")),
        digest: take_text(fields, "Digest")?.parse().ok()?,
        properties: take_text(fields, "Properties").unwrap_or_default(),
        is_exclusive: fields.remove("Exclusive") == Some(AttributeValue::Bool(true)),
        unknown: std::mem::take(fields),
    })
}

fn serialize_copy(copy: &CopyRecord) -> AttributeValue {
    let mut fields = copy.unknown.clone();
    fields.insert("Time".into(), number_value(copy.time));
    fields.insert("Owner".into(), text_value(copy.owner.name()));
    fields.insert("Source".into(), text_value(&copy.source));
    if let Some(digest) = &copy.source_digest {
        fields.insert("SourceDigest".into(), text_value(digest.as_str()));
    }
    fields.insert("Selection".into(), text_value(&copy.selection));
    if !copy.customization.is_empty() {
        fields.insert("Customization".into(), text_value(&copy.customization));
    }
    let platforms = copy.platforms.iter().map(|platform| text_value(platform)).collect();
    fields.insert("Platforms".into(), AttributeValue::L(platforms));
    fields.insert("Digest".into(), text_value(copy.digest.as_str()));
    fields.insert("Properties".into(), text_value(&copy.properties));
    if copy.is_exclusive {
        fields.insert("Exclusive".into(), AttributeValue::Bool(true));
    }
    AttributeValue::M(fields)
}

fn owner_times(owners: &BTreeMap<Owner, u64>) -> AttributeValue {
    AttributeValue::M(owners.iter().map(|(owner, time)| (owner.name().into(), number_value(*time))).collect())
}

fn text_value(value: &str) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number_value(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn parse_number(value: &AttributeValue) -> Option<u64> {
    value.as_n().ok()?.parse().ok()
}

fn parse_digests(value: &AttributeValue) -> Vec<Digest> {
    let values = value.as_l().map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(|value| value.as_s().ok()?.parse().ok()).collect()
}

fn parse_texts(values: Vec<AttributeValue>) -> Vec<String> {
    values.into_iter().filter_map(|value| value.as_s().ok().cloned()).collect()
}

fn take_text(item: &mut Item, name: &str) -> Option<String> {
    match item.remove(name)? {
        AttributeValue::S(text) => Some(text),
        _ => None,
    }
}

fn take_number(item: &mut Item, name: &str) -> Option<u64> {
    item.remove(name).as_ref().and_then(parse_number)
}

fn take_map(item: &mut Item, name: &str) -> Item {
    match item.remove(name) {
        Some(AttributeValue::M(map)) => map,
        _ => Item::new(),
    }
}

fn take_list(item: &mut Item, name: &str) -> Vec<AttributeValue> {
    match item.remove(name) {
        Some(AttributeValue::L(list)) => list,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> TagState {
        let record = CopyRecord {
            source: "docker.io/library/python:3.13".into(),
            source_digest: Some(Digest::of(b"index")),
            selection: "linux/amd64?".into(),
            customization: Digest::of(b"lines").to_string(),
            platforms: vec!["linux/amd64".into()],
            properties: "0123456789abcdef".into(),
            is_exclusive: true,
            ..CopyRecord::new(7, Owner::of_resource("arn:stack", "Python"), Digest::of(b"image"))
        };
        TagState { replaced: Some(Digest::of(b"before")), ..TagState::new("host/python:3.13") }
            .with_owner(record)
            .with_children(&Digest::of(b"image"), &[Digest::of(b"child")])
            .with_lease("attempt", 120)
            .without_owner(&Owner::of_resource("arn:stack", "Gone"), 9)
            .with_seen(&Digest::of(b"index"), 5)
    }

    #[test]
    fn parses_what_it_serialized() {
        let item = serialize(&state(), 17, 100);
        assert_eq!(parse(item), Some(TagState { version: 17, ..state() }));
    }

    #[test]
    fn keeps_attributes_of_a_newer_version() {
        let mut item = serialize(&state(), 17, 100);
        item.insert("ScannedAt".into(), text_value("yesterday"));
        let Some(AttributeValue::L(copies)) = item.get_mut("Copies") else { panic!("no copies") };
        let AttributeValue::M(copy) = &mut copies[0] else { panic!("no copy") };
        copy.insert("Signature".into(), text_value("hash"));
        let again = serialize(&parse(item.clone()).unwrap(), 17, 100);
        assert_eq!(again, item);
    }

    #[test]
    fn omits_invalid_fields_and_rejects_items_without_state() {
        let mut item = serialize(&state(), 17, 100);
        let Some(AttributeValue::L(copies)) = item.get_mut("Copies") else { panic!("no copies") };
        copies.push(AttributeValue::M(HashMap::from([("Digest".into(), text_value("nonsense"))])));
        copies.push(text_value("nonsense"));
        item.insert("Replaced".into(), number_value(3));
        let parsed = parse(item).unwrap();
        assert_eq!((parsed.copies.len(), parsed.replaced), (1, None));
        assert_eq!(parse(HashMap::from([("Image".into(), text_value("x"))])), None);
        for damaged in
            [text_value("x"), AttributeValue::M(HashMap::from([("arn:stack/A".into(), text_value("x"))]))]
        {
            let mut item = serialize(&state(), 17, 100);
            item.insert("Owners".into(), damaged);
            assert_eq!(parse(item), None);
        }
    }
}
