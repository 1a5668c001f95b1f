//! JSON objects whose fields keep their order, and whose other values keep their bytes.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::text::SanitizedText;

/// Maximum length of the JSON parser's message in characters. The message can quote the document.
const MAX_MESSAGE_CHARS: usize = 100;

/// A JSON object. Values that are not changed are written as they were read.
#[derive(Debug, Default)]
pub(super) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// Parses an object.
    ///
    /// # Errors
    /// If the text is not an object, or if it has a field twice, because programs read such an object
    /// differently.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| {
            SanitizedText::quotable(&error.to_string(), MAX_MESSAGE_CHARS).as_str().to_owned()
        })
    }

    /// Returns a value. A value that is `null` counts as missing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(field, _)| field == name);
        value.map(|(_, value)| value.get()).filter(|text| *text != "null")
    }

    /// Returns a value of the type, and `None` if it is missing.
    ///
    /// # Errors
    /// If the value has another type.
    pub(super) fn get_as<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, String> {
        let value = self.get(name).map(serde_json::from_str).transpose();
        value.map_err(|_| format!("its {name} has an unexpected type"))
    }

    /// Returns an object, which is empty if it is missing.
    ///
    /// # Errors
    /// If the value is not an object.
    pub(super) fn object(&self, name: &str) -> Result<Self, String> {
        match self.get(name) {
            Some(text) => Self::parse(text).map_err(|_| format!("its {name} is not a valid object")),
            None => Ok(Self::default()),
        }
    }

    /// Replaces a value, or adds it at the end.
    pub(super) fn set(&mut self, name: &str, value: &impl Serialize) {
        // Only maps with other keys than text cannot be serialized.
        let Ok(raw) = serde_json::value::to_raw_value(value) else { return };
        match self.0.iter_mut().find(|(field, _)| field == name) {
            Some((_, old)) => *old = raw,
            None => self.0.push((name.into(), raw)),
        }
    }

    /// Removes a value.
    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| field != name);
    }
}

impl Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                let mut names = HashSet::new();
                while let Some((name, value)) = map.next_entry::<String, _>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("it has {name} twice")));
                    }
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_and_the_bytes_of_other_values() {
        let mut object = Object::parse(r#"{"z": [1,  2], "a":1.50, "n":null}"#).unwrap();
        object.set("a", &"x");
        object.set("b", &vec![true]);
        assert_eq!(serde_json::to_string(&object).unwrap(), r#"{"z":[1,  2],"a":"x","n":null,"b":[true]}"#);
        assert_eq!((object.get("n"), object.get("z")), (None, Some("[1,  2]")));
        object.remove("z");
        assert_eq!(object.get("z"), None);
        assert!(Object::parse(r#"{"a":1,"a":2}"#).unwrap_err().contains("twice"));
        assert!(Object::parse("[]").is_err());
    }
}
