//! Literal values of Terraform. Variables and locals are replaced if the same file defines them.

use std::collections::HashMap;

use hcl_edit::Span as _;
use hcl_edit::expr::{Expression, ObjectKey, TraversalOperator};
use hcl_edit::structure::Body;
use hcl_edit::template::{Element, Template};

/// Maximum number of variables that refer to each other.
const MAX_REFERENCES: usize = 8;

/// A file with its variables.
pub(super) struct Source<'a> {
    /// Offset of each line.
    lines: Vec<usize>,
    /// Values of `var.NAME` and `local.NAME`.
    names: HashMap<String, &'a Expression>,
}

/// A value that is literal, at least on the outside.
pub(super) enum Value<'a> {
    Text(String),
    List(Vec<&'a Expression>),
    Map(Vec<(String, &'a Expression)>),
    Other,
}

impl<'a> Source<'a> {
    pub(super) fn new(content: &str, body: &'a Body) -> Self {
        let breaks = content.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let mut names = HashMap::new();
        // A file with the values of variables, such as terraform.tfvars.
        for attribute in body.attributes() {
            names.insert(format!("var.{}", attribute.key.as_str()), &attribute.value);
        }
        for block in body.get_blocks("variable") {
            if let (Some(name), Some(default)) = (block.labels.first(), block.body.get_attribute("default")) {
                names.insert(format!("var.{}", name.as_str()), &default.value);
            }
        }
        for attribute in body.get_blocks("locals").flat_map(|block| block.body.attributes()) {
            names.insert(format!("local.{}", attribute.key.as_str()), &attribute.value);
        }
        Self { lines: breaks.map(|(at, _)| at).collect(), names }
    }

    /// Returns the line of an expression, from 1.
    pub(super) fn line(&self, expression: &Expression) -> usize {
        let start = expression.span().map_or(0, |span| span.start);
        1 + self.lines.partition_point(|at| *at < start)
    }

    /// Returns the value of an expression.
    pub(super) fn value(&self, expression: &'a Expression) -> Value<'a> {
        match self.resolved(expression) {
            Expression::String(text) => Value::Text(text.value().clone()),
            Expression::Number(number) => Value::Text(number.value().to_string()),
            Expression::StringTemplate(template) => self.text(template),
            Expression::HeredocTemplate(heredoc) => self.text(&heredoc.template),
            Expression::Array(items) => Value::List(items.iter().collect()),
            Expression::Object(object) => {
                let pair = |(key, value): (&'a ObjectKey, &'a hcl_edit::expr::ObjectValue)| {
                    let name = match key {
                        ObjectKey::Ident(name) => name.as_str().to_owned(),
                        ObjectKey::Expression(key) => match self.value(key) {
                            Value::Text(name) => name,
                            _ => return None,
                        },
                    };
                    Some((name, value.expr()))
                };
                let pairs: Option<Vec<_>> = object.iter().map(pair).collect();
                pairs.map_or(Value::Other, Value::Map)
            }
            _ => Value::Other,
        }
    }

    /// Returns a text, or the texts of a list, each with its line. `None` if one is not literal.
    pub(super) fn texts(&self, expression: &'a Expression) -> Option<Vec<(String, usize)>> {
        let text = |item: &'a Expression| match self.value(item) {
            Value::Text(text) => Some((text, self.line(item))),
            _ => None,
        };
        match self.value(expression) {
            Value::Text(text) => Some(vec![(text, self.line(expression))]),
            Value::List(items) => items.into_iter().map(text).collect(),
            _ => None,
        }
    }

    /// Returns the definition of a variable or a local.
    fn resolved(&self, mut expression: &'a Expression) -> &'a Expression {
        for _ in 0..MAX_REFERENCES {
            let inner = match expression {
                Expression::Parenthesis(inner) => Some(inner.inner()),
                Expression::Traversal(traversal) => match (&traversal.expr, traversal.operators.as_slice()) {
                    (Expression::Variable(root), [operator]) => match operator.value() {
                        TraversalOperator::GetAttr(name) => {
                            self.names.get(&format!("{}.{}", root.as_str(), name.as_str())).copied()
                        }
                        _ => None,
                    },
                    _ => None,
                },
                _ => None,
            };
            match inner {
                Some(inner) => expression = inner,
                None => break,
            }
        }
        expression
    }

    /// Returns the text of a template whose interpolations are texts.
    fn text(&self, template: &'a Template) -> Value<'a> {
        let mut text = String::new();
        for element in template {
            match element {
                Element::Literal(literal) => text.push_str(literal.value()),
                Element::Interpolation(part) => match self.resolved(&part.expr) {
                    Expression::String(value) => text.push_str(value.value()),
                    _ => return Value::Other,
                },
                Element::Directive(_) => return Value::Other,
            }
        }
        Value::Text(text)
    }
}
