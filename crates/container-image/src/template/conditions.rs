//! Conditions
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-conditions.html>).

use image_copy::yaml::Id;

use super::TemplateError;
use super::evaluate::Evaluator;
use super::quoted;
use super::value::{Unknown, Value};

/// Result of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Truth {
    Known(bool),
    Unknown(Unknown),
}

impl Evaluator<'_> {
    /// Evaluates the condition with this name.
    pub(super) fn named_condition(&self, at: Id, name: &str) -> Result<Truth, TemplateError> {
        match self.declaration("Conditions", name) {
            Some(condition) => self.condition(condition),
            None if self.has_transform => Ok(Truth::Unknown(Unknown::new("it depends on a transform"))),
            None => {
                let problem = format!("condition {} does not exist. Correct the name", quoted(name));
                Err(self.error(at, problem))
            }
        }
    }

    /// Evaluates a condition.
    fn condition(&self, id: Id) -> Result<Truth, TemplateError> {
        self.nested(id, || {
            let function = self.function(id);
            let items = |argument: Id| self.tree.items(argument).unwrap_or_default();
            match function {
                Some(("Equals", argument)) => match items(argument) {
                    [left, right] => Ok(equal(&self.value(*left)?, &self.value(*right)?)),
                    _ => Err(self.error(id, "Equals needs two values. Correct the condition")),
                },
                Some(("Not", argument)) => match items(argument) {
                    [one] => Ok(match self.condition(*one)? {
                        Truth::Known(truth) => Truth::Known(!truth),
                        unknown @ Truth::Unknown(_) => unknown,
                    }),
                    _ => Err(self.error(id, "Not needs one condition. Correct it")),
                },
                Some(("And", argument)) => self.combined(items(argument), false),
                Some(("Or", argument)) => self.combined(items(argument), true),
                Some(("Condition", argument)) => {
                    let name = self.tree.text(argument).unwrap_or_default();
                    self.named_condition(id, name)
                }
                _ => Err(self.error(id, "a condition is not Equals, And, Or, Not or Condition. Correct it")),
            }
        })
    }

    /// Returns `decisive` if any condition has this value, also if others are unknown.
    fn combined(&self, items: &[Id], decisive: bool) -> Result<Truth, TemplateError> {
        let mut result = Truth::Known(!decisive);
        for item in items {
            match self.condition(*item)? {
                Truth::Known(truth) if truth == decisive => return Ok(Truth::Known(decisive)),
                Truth::Known(_) => {}
                unknown @ Truth::Unknown(_) => result = unknown,
            }
        }
        Ok(result)
    }
}

fn equal(left: &Value, right: &Value) -> Truth {
    match left.unknown().or_else(|| right.unknown()) {
        Some(unknown) => Truth::Unknown(unknown.clone()),
        None => Truth::Known(left == right),
    }
}
