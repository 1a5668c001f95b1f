//! Removes entries from an index or appends entries. All other bytes are kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Returns the document with only those entries of its `manifests` for which `kept` is true. Returns a
/// document without `manifests` unchanged.
pub(super) fn keep_entries(index: &[u8], kept: &[bool]) -> Vec<u8> {
    replace_manifests(index, |list| filter_entries(list, kept))
}

/// Returns the document with `new` entries at the end of its `manifests`.
pub(super) fn append_entries(index: &[u8], new: &[String]) -> Vec<u8> {
    replace_manifests(index, |list| {
        let old = list.get().trim().strip_suffix(']').unwrap_or("[").trim_end();
        let comma = if old.ends_with('[') { "" } else { "," };
        format!("{old}{comma}{}]", new.join(","))
    })
}

/// Returns the document with its `manifests` replaced. Returns a document without `manifests` unchanged.
fn replace_manifests(index: &[u8], changed: impl Fn(&RawValue) -> String) -> Vec<u8> {
    let Ok(Fields(fields)) = serde_json::from_slice::<Fields<'_>>(index) else { return index.to_vec() };
    let fields: Vec<String> = fields
        .into_iter()
        .map(|(name, value)| match name.as_str() {
            "manifests" => format!("\"manifests\":{}", changed(value)),
            _ => format!("{}:{}", serde_json::Value::from(name), value.get()),
        })
        .collect();
    format!("{{{}}}", fields.join(",")).into_bytes()
}

fn filter_entries(list: &RawValue, kept: &[bool]) -> String {
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(list.get()) else { return list.get().into() };
    let chosen = entries.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(entry, _)| entry.get());
    format!("[{}]", chosen.collect::<Vec<&str>>().join(","))
}

/// The fields of a JSON object, in their order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}
