//! CloudFormation templates, evaluated without a deployment.
//!
//! [`parameters`] are the inputs, and [`evaluate()`] returns each resource with its [`value`]s. [`functions`] are the
//! intrinsic functions, and [`conditions`] decide which resources exist. Values that only the deployment knows are
//! [`value::Unknown`], with a reason. No I/O.

mod conditions;
mod evaluate;
mod functions;
pub(crate) mod parameters;
mod resources;
mod value;

use image_copy::text::SanitizedText;
use image_copy::yaml::{Id, SyntaxError, Tree};

pub(crate) use evaluate::{Inputs, evaluate};
pub(crate) use resources::{Resource, Resources};
pub(crate) use value::{Unknown, Value};

/// Maximum length of a quoted text in characters.
const QUOTE_CHARS: usize = 80;

/// A parsed template.
pub(crate) struct Template {
    tree: Tree,
    root: Id,
}

/// An error in a template, which fails its deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateError {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Problem and one thing to change, as sentences without the last full stop.
    pub(crate) problem: String,
}

impl Template {
    /// Parses YAML or JSON. Returns `None` if the document has no resources.
    ///
    /// # Errors
    /// The first syntax error.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, SyntaxError> {
        let tree = Tree::parse(text)?;
        let root = tree.roots().find(|root| tree.get(*root, "Resources").is_some());
        Ok(root.map(|root| Self { tree, root }))
    }

    /// Returns the names of the parameters.
    pub(crate) fn parameter_names(&self) -> impl Iterator<Item = &str> {
        let parameters = self.tree.get(self.root, "Parameters");
        parameters.into_iter().flat_map(|parameters| self.tree.entries(parameters)).map(|(name, _)| name)
    }
}

/// Returns text of a template for a message, on one line between double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", SanitizedText::quotable(text, QUOTE_CHARS))
}

#[cfg(test)]
mod tests;
