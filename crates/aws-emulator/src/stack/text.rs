//! Parses the text of a template. Short forms such as `!Ref` become their long forms.
//!
//! JSON is a subset of YAML. Scalars that YAML 1.1 and 1.2 read differently are rejected, because no source
//! documents their value in CloudFormation.

use granit_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

/// Parses a template.
///
/// # Errors
///
/// Returns CloudFormation's message for an invalid document, or names a scalar or tag that is not emulated.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut open: Vec<Node> = Vec::new();
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, _) =
            event.map_err(|error| format!("Template format error: YAML not well-formed. ({error})"))?;
        let value = match event {
            Event::Scalar(text, style, _, tag) => {
                long_form(tag.as_deref(), scalar(&text, style, tag.is_some())?)?
            }
            Event::SequenceStart(_, _, tag) => {
                open.push(Node::sequence(tag_name(tag.as_deref())?));
                continue;
            }
            Event::MappingStart(_, _, tag) => {
                open.push(Node::mapping(tag_name(tag.as_deref())?));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(node) => node.build()?,
                None => continue,
            },
            // https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html
            Event::Alias(_) => {
                return Err(
                    "Template format error: YAML aliases are not allowed in CloudFormation templates"
                        .to_owned(),
                );
            }
            _ => continue,
        };
        match open.last_mut() {
            Some(parent) => parent.add(value)?,
            None if root.is_none() => root = Some(value),
            None => {
                return Err("aws-emulator: a template with several YAML documents is not emulated".to_owned());
            }
        }
    }
    root.ok_or_else(|| "Template format error: unsupported structure.".to_owned())
}

/// A sequence or mapping without its end.
struct Node {
    tag: Option<String>,
    content: Content,
}

enum Content {
    Sequence(Vec<Value>),
    Mapping(Map<String, Value>, Option<String>),
}

impl Node {
    fn sequence(tag: Option<String>) -> Self {
        Self { tag, content: Content::Sequence(Vec::new()) }
    }

    fn mapping(tag: Option<String>) -> Self {
        Self { tag, content: Content::Mapping(Map::new(), None) }
    }

    fn add(&mut self, value: Value) -> Result<(), String> {
        match &mut self.content {
            Content::Sequence(items) => items.push(value),
            Content::Mapping(entries, key) => match key.take() {
                Some(key) if entries.contains_key(&key) => {
                    return Err(format!("aws-emulator: the duplicate key {key} is not emulated"));
                }
                Some(key) => drop(entries.insert(key, value)),
                None => *key = Some(key_text(&value)?),
            },
        }
        Ok(())
    }

    fn build(self) -> Result<Value, String> {
        let value = match self.content {
            Content::Sequence(items) => Value::Array(items),
            Content::Mapping(entries, _) => Value::Object(entries),
        };
        Ok(match self.tag {
            Some(tag) => call(&tag, value)?,
            None => value,
        })
    }
}

/// Returns a key as text, because CloudFormation also accepts numbers, such as account IDs in mappings.
fn key_text(key: &Value) -> Result<String, String> {
    match key {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("aws-emulator: the key {key} is not emulated")),
    }
}

fn tag_name(tag: Option<&Tag>) -> Result<Option<String>, String> {
    match tag {
        None => Ok(None),
        Some(tag) if tag.handle() == "!" && !tag.suffix().is_empty() => Ok(Some(tag.suffix().to_owned())),
        Some(tag) => {
            Err(format!("aws-emulator: the YAML tag {}{} is not emulated", tag.handle(), tag.suffix()))
        }
    }
}

fn long_form(tag: Option<&Tag>, value: Value) -> Result<Value, String> {
    Ok(match tag_name(tag)? {
        Some(tag) => call(&tag, value)?,
        None => value,
    })
}

/// Returns the long form of a short form
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>).
fn call(tag: &str, argument: Value) -> Result<Value, String> {
    let name = match tag {
        "Ref" | "Condition" => tag.to_owned(),
        _ => format!("Fn::{tag}"),
    };
    let argument = match (tag, argument) {
        ("GetAtt", Value::String(text)) => {
            let (id, attribute) = text.split_once('.').ok_or_else(|| {
                format!("Template error: every Fn::GetAtt object requires two non-empty parameters, {text} has one")
            })?;
            json!([id, attribute])
        }
        (_, argument) => argument,
    };
    Ok(json!({name: argument}))
}

/// Returns the value of a scalar.
fn scalar(text: &str, style: ScalarStyle, is_tagged: bool) -> Result<Value, String> {
    if style != ScalarStyle::Plain || is_tagged {
        return Ok(Value::String(text.to_owned()));
    }
    let is_number = text.parse::<f64>().is_ok() && text.bytes().any(|byte| byte.is_ascii_digit());
    match text {
        "" | "~" | "null" => return Ok(Value::Null),
        "true" | "false" => return Ok(Value::Bool(text == "true")),
        _ if is_canonical_number(text) => {
            return serde_json::from_str(text).map_err(|error| format!("the number {text}: {error}"));
        }
        _ => {}
    }
    let lower = text.to_lowercase();
    let is_ambiguous = is_number
        || matches!(lower.as_str(), "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null")
        || lower.strip_prefix("0x").or_else(|| lower.strip_prefix("0o")).is_some_and(is_digits)
        || (text.contains(['_', ':']) && text.split(['_', ':']).all(is_digits));
    if is_ambiguous {
        return Err(format!("aws-emulator: the plain scalar {text} is not emulated; put it in quotes"));
    }
    Ok(Value::String(text.to_owned()))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns true for a number that has the same text after a conversion to a number and back.
fn is_canonical_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_short_forms() {
        for (text, expected) in [
            ("!Ref A", json!({"Ref": "A"})),
            ("!GetAtt A.B.C", json!({"Fn::GetAtt": ["A", "B.C"]})),
            ("!GetAtt [A, B]", json!({"Fn::GetAtt": ["A", "B"]})),
            ("!Sub '${A}'", json!({"Fn::Sub": "${A}"})),
            ("!If [C, !Ref A, 7]", json!({"Fn::If": ["C", {"Ref": "A"}, 7]})),
            ("A: !Condition B", json!({"A": {"Condition": "B"}})),
            (
                "!Select [0, !Split [',', !Ref A]]",
                json!({"Fn::Select": [0, {"Fn::Split": [",", {"Ref": "A"}]}]}),
            ),
            ("!Sub\n- ${A}\n- A: !Ref B", json!({"Fn::Sub": ["${A}", {"A": {"Ref": "B"}}]})),
            (
                r#"{"A": {"Ref": "B"}, "C": [true, 1.5, "3.10"]}"#,
                json!({"A": {"Ref": "B"}, "C": [true, 1.5, "3.10"]}),
            ),
            ("Version: 2012-10-17\nA: '012'", json!({"Version": "2012-10-17", "A": "012"})),
            ("A: |\n  x\n  y\n", json!({"A": "x\ny\n"})),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn rejects_what_has_no_documented_value() {
        for text in [
            "A: 3.10",
            "A: yes",
            "A: 0x1f",
            "A: 012",
            "A: 1_000",
            "A: 12:30",
            "A: 1e3",
            "A: True",
            "A: !!binary x",
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("is not emulated"), "{text}: {error}");
        }
        assert!(parse("A: &a x\nB: *a").unwrap_err().contains("aliases are not allowed"));
        assert!(parse("A: [").unwrap_err().starts_with("Template format error: YAML not well-formed."));
        assert!(parse("!GetAtt A").unwrap_err().contains("requires two non-empty parameters"));
    }
}
