//! Conditions of a template, and `Fn::If`
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html>).

use serde_json::{Map, Value};

use super::resolve::Resolver;

/// The conditions, whose functions refer to parameters and mappings only.
pub(super) struct Conditions<'a> {
    pub(super) expressions: &'a Map<String, Value>,
    pub(super) resolver: Resolver<'a>,
}

/// Maximum nesting of conditions, which ends a circle of conditions.
const MAX_NESTING: usize = 32;

impl Conditions<'_> {
    /// Returns the value of the condition that a resource or output has. Without one, it is true.
    pub(super) fn holds(&self, object: &Value) -> Result<bool, String> {
        match object.get("Condition") {
            None => Ok(true),
            Some(name) => self.named(name.as_str().unwrap_or_default(), 0),
        }
    }

    /// Replaces each `Fn::If` in a value by the branch that its condition selects.
    pub(super) fn resolve(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::Object(object) => match object.get("Fn::If").map(Value::as_array) {
                Some(Some(branches)) if branches.len() == 3 && object.len() == 1 => {
                    let condition = self.named(branches[0].as_str().unwrap_or_default(), 0)?;
                    self.resolve(&branches[if condition { 1 } else { 2 }])?
                }
                Some(_) => {
                    return Err(
                        "Template error: Fn::If requires a list argument with three elements".to_owned()
                    );
                }
                None => {
                    let resolved =
                        object.iter().map(|(name, value)| Ok((name.clone(), self.resolve(value)?)));
                    Value::Object(resolved.collect::<Result<_, String>>()?)
                }
            },
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.resolve(item)).collect::<Result<_, _>>()?)
            }
            _ => value.clone(),
        })
    }

    fn named(&self, name: &str, nesting: usize) -> Result<bool, String> {
        let expression = self.expressions.get(name).ok_or_else(|| {
            format!("Template format error: Unresolved condition dependency {name} in the template")
        })?;
        if nesting > MAX_NESTING {
            return Err("Template error: Found circular condition dependency".to_owned());
        }
        self.evaluate(expression, nesting + 1)
    }

    fn evaluate(&self, expression: &Value, nesting: usize) -> Result<bool, String> {
        let object = expression.as_object().filter(|object| object.len() == 1);
        let call = object.and_then(|object| object.iter().next());
        match call.map(|(name, argument)| (name.as_str(), argument)) {
            Some(("Condition", Value::String(name))) => self.named(name, nesting),
            Some(("Fn::Equals", Value::Array(sides))) if sides.len() == 2 => {
                Ok(self.resolver.value(&sides[0])? == self.resolver.value(&sides[1])?)
            }
            Some(("Fn::Not", Value::Array(items))) if items.len() == 1 => {
                Ok(!self.evaluate(&items[0], nesting)?)
            }
            Some(("Fn::And", Value::Array(items))) => {
                Ok(self.evaluate_all(items, nesting)?.into_iter().all(|is| is))
            }
            Some(("Fn::Or", Value::Array(items))) => {
                Ok(self.evaluate_all(items, nesting)?.into_iter().any(|is| is))
            }
            _ => Err(format!("aws-emulator: the condition {expression} is not emulated")),
        }
    }

    fn evaluate_all(&self, items: &[Value], nesting: usize) -> Result<Vec<bool>, String> {
        items.iter().map(|item| self.evaluate(item, nesting)).collect()
    }
}
