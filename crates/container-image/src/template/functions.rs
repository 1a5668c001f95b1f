//! Intrinsic functions
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html>).

use image_copy::text::SanitizedText;
use image_copy::yaml::Id;

use super::conditions::Truth;
use super::evaluate::{Evaluator, resolved};
use super::value::{Unknown, Value};
use super::{QUOTE_CHARS, TemplateError, quoted};

type Result = std::result::Result<Value, TemplateError>;

/// Evaluates a function without its prefix `Fn::`. `at` is its place in the template.
pub(super) fn call(evaluator: &Evaluator<'_>, at: Id, name: &str, argument: Id) -> Result {
    let call = Call { evaluator, at };
    match name {
        "Ref" => evaluator.reference(at, call.name(argument)?),
        "GetAtt" => call.get_att(argument),
        "Sub" => call.sub(argument),
        "If" => call.branch(argument),
        "Join" => call.join(argument),
        "Split" => call.split(argument),
        "Select" => call.select(argument),
        "FindInMap" => call.find_in_map(argument),
        "ImportValue" => Ok(match call.argument(argument)? {
            Value::Text(name) => {
                unknown(format!("it imports the value {}", SanitizedText::from(name.as_str())))
            }
            _ => unknown("it imports a value of another stack"),
        }),
        other => Ok(unknown(format!("it is computed by {}", SanitizedText::new(other, QUOTE_CHARS)))),
    }
}

fn unknown(reason: impl Into<String>) -> Value {
    Value::Unknown(Unknown::new(reason))
}

/// A call of a function in a template.
struct Call<'a, 'b> {
    evaluator: &'a Evaluator<'b>,
    at: Id,
}

impl Call<'_, '_> {
    fn error<T>(&self, problem: impl Into<String>) -> std::result::Result<T, TemplateError> {
        Err(self.evaluator.error(self.at, problem))
    }

    /// Evaluates an argument. In the short form, it is the node of the function itself.
    fn argument(&self, argument: Id) -> Result {
        if argument == self.at { self.evaluator.plain(argument) } else { self.evaluator.value(argument) }
    }

    fn items(&self, argument: Id) -> &[Id] {
        self.evaluator.tree.items(argument).unwrap_or_default()
    }

    fn name(&self, argument: Id) -> std::result::Result<&str, TemplateError> {
        match self.evaluator.tree.text(argument) {
            Some(name) => Ok(name),
            None => self.error("Ref needs a name. Correct it"),
        }
    }

    /// `Resource.Attribute`, or a list of both.
    fn get_att(&self, argument: Id) -> Result {
        let tree = self.evaluator.tree;
        let parts = match (tree.text(argument), self.items(argument)) {
            (Some(text), _) => text.split_once('.').map(|(name, key)| (name.to_owned(), key.to_owned())),
            (None, [name, key]) => match (self.evaluator.value(*name)?, self.evaluator.value(*key)?) {
                (Value::Text(name), Value::Text(key)) => Some((name, key)),
                (Value::Unknown(unknown), _) | (_, Value::Unknown(unknown)) => {
                    return Ok(Value::Unknown(unknown));
                }
                _ => None,
            },
            _ => None,
        };
        match parts {
            Some((name, key)) => self.evaluator.attribute(self.at, &name, &key),
            None => self.error("GetAtt needs the name of a resource and an attribute. Correct it"),
        }
    }

    /// A text with `${Name}` and `${Resource.Attribute}`, or a list of this text and a map of variables.
    fn sub(&self, argument: Id) -> Result {
        let tree = self.evaluator.tree;
        let (text, variables) = match (tree.text(argument), self.items(argument)) {
            (Some(text), _) => (Some(text), Value::Map(Vec::new())),
            (None, [text, variables]) => (tree.text(*text), self.evaluator.value(*variables)?),
            _ => (None, Value::Removed),
        };
        let Some(text) = text else { return self.error("Sub needs a text. Correct it") };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            parts.push(Value::Text(before.to_owned()));
            let Some((name, after)) = after.split_once('}') else {
                return self.error(format!("{} has no closing brace. Add it", quoted(text)));
            };
            rest = after;
            parts.push(match (name.strip_prefix('!'), variables.get(name), name.split_once('.')) {
                (Some(literal), ..) => Value::Text(format!("${{{literal}}}")),
                (_, Some(value), _) => value.clone(),
                (_, _, Some((resource, key))) => self.evaluator.attribute(self.at, resource, key)?,
                _ => self.evaluator.reference(self.at, name)?,
            });
        }
        parts.push(Value::Text(rest.to_owned()));
        self.concatenated(&parts, "", "Sub")
    }

    fn join(&self, argument: Id) -> Result {
        let [delimiter, list] = self.items(argument) else {
            return self.error("Join needs a delimiter and a list. Correct it");
        };
        let delimiter = self.evaluator.tree.text(*delimiter).unwrap_or_default();
        match self.evaluator.value(*list)? {
            Value::List(items) => self.concatenated(&items, delimiter, "Join"),
            unknown @ Value::Unknown(_) => Ok(unknown),
            _ => self.error("Join needs a list. Correct it"),
        }
    }

    /// Joins texts. The result is unknown if one of them is.
    fn concatenated(&self, parts: &[Value], delimiter: &str, function: &str) -> Result {
        let mut texts = Vec::new();
        let mut missing: Option<Unknown> = None;
        for part in parts {
            match part {
                Value::Text(text) => texts.push(text.as_str()),
                Value::Unknown(unknown) => {
                    missing =
                        Some(missing.map_or_else(|| unknown.clone(), |other| other.and(unknown.clone())));
                }
                Value::Removed => {}
                Value::List(_) | Value::Map(_) => {
                    return self.error(format!("{function} contains a value that is not text. Correct it"));
                }
            }
        }
        Ok(missing.map_or_else(|| resolved(texts.join(delimiter)), Value::Unknown))
    }

    fn split(&self, argument: Id) -> Result {
        let [delimiter, text] = self.items(argument) else {
            return self.error("Split needs a delimiter and a text. Correct it");
        };
        match (self.evaluator.value(*delimiter)?, self.evaluator.value(*text)?) {
            (Value::Text(delimiter), Value::Text(text)) => {
                let parts = text.split(delimiter.as_str()).map(|part| Value::Text(part.to_owned()));
                Ok(Value::List(parts.collect()))
            }
            (Value::Unknown(unknown), _) | (_, Value::Unknown(unknown)) => Ok(Value::Unknown(unknown)),
            _ => self.error("Split needs a delimiter and a text. Correct it"),
        }
    }

    fn select(&self, argument: Id) -> Result {
        let [index, list] = self.items(argument) else {
            return self.error("Select needs an index and a list. Correct it");
        };
        let (index, list) = (self.evaluator.value(*index)?, self.evaluator.value(*list)?);
        match (index, list) {
            (Value::Text(index), Value::List(items)) => {
                match index.parse::<usize>().ok().and_then(|index| items.get(index).cloned()) {
                    Some(item) => Ok(item),
                    None => self.error(format!(
                        "Select cannot find index {} in the list. Correct it",
                        quoted(&index)
                    )),
                }
            }
            (Value::Unknown(unknown), _) | (_, Value::Unknown(unknown)) => Ok(Value::Unknown(unknown)),
            _ => self.error("Select needs an index and a list. Correct it"),
        }
    }

    /// The branch of a condition. If the condition is unknown, the result is known only if both branches are
    /// equal.
    fn branch(&self, argument: Id) -> Result {
        let [name, yes, no] = self.items(argument) else {
            return self.error("If needs the name of a condition and two values. Correct it");
        };
        let condition = self.evaluator.tree.text(*name).unwrap_or_default();
        match self.evaluator.named_condition(*name, condition)? {
            Truth::Known(truth) => self.evaluator.value(if truth { *yes } else { *no }),
            Truth::Unknown(unknown) => {
                let (yes, no) = (self.evaluator.value(*yes)?, self.evaluator.value(*no)?);
                if yes == no {
                    return Ok(yes);
                }
                let branches = [yes, no];
                let others = branches.iter().filter_map(Value::unknown).cloned();
                Ok(Value::Unknown(others.fold(unknown, Unknown::and)))
            }
        }
    }

    fn find_in_map(&self, argument: Id) -> Result {
        let (keys, options) = match self.items(argument) {
            [map, first, second, options @ ..] => ([map, first, second], options),
            _ => return self.error("FindInMap needs the name of a map and two keys. Correct it"),
        };
        let mut names = Vec::new();
        for key in keys {
            match self.evaluator.value(*key)? {
                Value::Text(name) => names.push(name),
                Value::Unknown(unknown) => return Ok(Value::Unknown(unknown)),
                _ => return self.error("FindInMap needs the name of a map and two keys. Correct it"),
            }
        }
        let tree = self.evaluator.tree;
        let mut found = tree.get(self.evaluator.root, "Mappings");
        for name in &names {
            found = found.and_then(|map| tree.get(map, name));
        }
        let default = || options.first().and_then(|options| tree.get(*options, "DefaultValue"));
        match found.or_else(default) {
            Some(value) => self.evaluator.value(value),
            None if self.evaluator.has_transform => Ok(unknown("it depends on a transform")),
            None => self.error(format!("the Mappings contain no {}. Add this key", quoted(&names.join(".")))),
        }
    }
}
