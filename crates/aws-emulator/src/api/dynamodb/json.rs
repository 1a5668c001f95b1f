//! Converts items between plain JSON and the attribute values of the API.

use serde_json::{Map, Number, Value, json};

/// Converts an object to an item.
///
/// # Panics
///
/// Panics if the value is no object.
pub(super) fn encode_item(item: &Value) -> Value {
    let Value::Object(members) = item else { panic!("an item must be a JSON object: {item}") };
    Value::Object(members.iter().map(|(name, value)| (name.clone(), encode(value))).collect())
}

fn encode(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(flag) => json!({"BOOL": flag}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(values) => json!({"L": values.iter().map(encode).collect::<Vec<_>>()}),
        Value::Object(_) => json!({"M": encode_item(value)}),
    }
}

/// Converts an item to an object.
pub(super) fn decode_item(item: &Value) -> Value {
    let members = item.as_object().cloned().unwrap_or_default();
    Value::Object(members.iter().map(|(name, value)| (name.clone(), decode(value))).collect::<Map<_, _>>())
}

fn decode(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else {
        return Value::Null;
    };
    let list = |decode: fn(&Value) -> Value| value.as_array().into_iter().flatten().map(decode).collect();
    match kind.as_str() {
        "NULL" => Value::Null,
        "N" => number(value),
        "NS" => list(number),
        "L" => list(decode),
        "M" => decode_item(value),
        // BOOL, S, SS, B, BS.
        _ => value.clone(),
    }
}

/// Converts a number. If it is too large or too precise for JSON here, its text remains.
fn number(value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    let number = text.parse::<Number>().ok().filter(|number| number.to_string() == text);
    number.map_or_else(|| value.clone(), Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_an_item_in_both_directions() {
        let plain = json!({
            "Image": "a", "Version": 3, "Share": 0.5, "Pinned": true, "Note": null,
            "Owners": {"stack": {"At": 1_700_000_000}}, "Copies": [{"Digest": "sha256:1"}],
        });
        let item = encode_item(&plain);
        assert_eq!(item["Version"], json!({"N": "3"}));
        assert_eq!(item["Copies"], json!({"L": [{"M": {"Digest": {"S": "sha256:1"}}}]}));
        assert_eq!(decode_item(&item), plain);
    }

    #[test]
    fn converts_sets_to_lists_and_keeps_long_numbers() {
        let long = "12345678901234567890123456789";
        let item = json!({"Tags": {"SS": ["a"]}, "Sizes": {"NS": ["1"]}, "Long": {"N": long}});
        assert_eq!(decode_item(&item), json!({"Tags": ["a"], "Sizes": [1], "Long": long}));
    }
}
