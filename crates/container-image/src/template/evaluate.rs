//! Evaluates the resources of a template.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashSet};

use image_copy::yaml::{Id, Tree};
use image_copy_aws::Partition;

use super::conditions::Truth;
use super::resources::{Resource, Resources, attribute, physical_id};
use super::value::{Unknown, Value};
use super::{Template, TemplateError, functions, parameters, quoted};

/// Maximum nesting of values and of references between them. A cycle exceeds it.
const MAX_NESTING: usize = 100;

/// Maximum number of evaluated nodes. CloudFormation's limit for a template is 1 MB.
const MAX_STEPS: usize = 1_000_000;

/// The inputs of a deployment.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    /// Values of parameters. They override the defaults.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Parameters with values that the stack keeps, but does not show.
    pub(crate) hidden: BTreeSet<String>,
    pub(crate) region: String,
    /// The account, or the reason why it is unknown.
    pub(crate) account: Result<String, String>,
    pub(crate) stack_name: Option<String>,
    /// Physical IDs of deployed resources, by logical ID.
    pub(crate) physical_ids: BTreeMap<String, String>,
}

/// Evaluates all resources and outputs. An invalid property is an error, and its value is unknown.
pub(crate) fn evaluate(template: &Template, inputs: &Inputs) -> Resources {
    let tree = &template.tree;
    let evaluator = Evaluator {
        tree,
        root: template.root,
        inputs,
        has_transform: tree.get(template.root, "Transform").is_some(),
        references: RefCell::default(),
        nesting: Cell::new(0),
        steps: Cell::new(0),
    };
    let mut found = Resources::default();
    for (name, declaration) in evaluator.section("Parameters") {
        if let Err(error) = parameters::value(tree, name, declaration, inputs) {
            found.errors.push(error);
        }
    }
    for (name, declaration) in evaluator.section("Resources") {
        if name.starts_with("Fn::ForEach::") {
            found.loops.push((tree.line(declaration), name.to_owned()));
            continue;
        }
        let resource = evaluator.resource(name, declaration, &mut found.errors);
        found.all.extend(resource);
    }
    for (_, defaults) in evaluator.section("Globals").filter(|(name, _)| *name == "Function") {
        // An error here concerns properties that are not read, or each function that uses them.
        found.function_defaults = evaluator.value(defaults).ok();
    }
    for (_, output) in evaluator.section("Outputs") {
        let value = tree.get(output, "Value");
        let result = match evaluator.presence(output) {
            Ok(Truth::Known(false)) => continue,
            Ok(_) => value.map_or(Ok(Value::Removed), |value| evaluator.value(value)),
            Err(error) => Err(error),
        };
        found.errors.extend(result.err());
    }
    // An invalid parameter or condition is an error of everything that uses it.
    found.errors.sort_by_key(|error| error.line);
    found.errors.dedup();
    found
}

/// Evaluates values of one template.
pub(super) struct Evaluator<'a> {
    pub(super) tree: &'a Tree,
    pub(super) root: Id,
    pub(super) inputs: &'a Inputs,
    /// True if a transform can add resources and parameters.
    pub(super) has_transform: bool,
    /// Logical IDs of the resources that the current resource refers to.
    references: RefCell<BTreeSet<String>>,
    nesting: Cell<usize>,
    steps: Cell<usize>,
}

impl<'a> Evaluator<'a> {
    /// Returns the entries of a section of the template.
    pub(super) fn section(&self, name: &str) -> impl Iterator<Item = (&'a str, Id)> + use<'a> {
        let tree = self.tree;
        tree.get(self.root, name).into_iter().flat_map(move |section| tree.entries(section))
    }

    /// Returns an entry of a section of the template.
    pub(super) fn declaration(&self, section: &str, name: &str) -> Option<Id> {
        self.tree.get(self.root, section).and_then(|section| self.tree.get(section, name))
    }

    /// Returns a resource, unless its condition is false.
    fn resource(&self, name: &str, declaration: Id, errors: &mut Vec<TemplateError>) -> Option<Resource> {
        let tree = self.tree;
        let kind = tree.get(declaration, "Type").and_then(|kind| tree.text(kind)).unwrap_or_default();
        let condition = match self.presence(declaration) {
            Ok(Truth::Known(false)) => return None,
            Ok(Truth::Known(true)) => None,
            Ok(Truth::Unknown(unknown)) => Some(unknown),
            Err(error) => {
                errors.push(error);
                Some(Unknown::new("its condition is invalid"))
            }
        };
        self.references.take();
        let mut properties = Vec::new();
        let mut lines = BTreeMap::new();
        let node = tree.get(declaration, "Properties");
        for (key, value) in node.into_iter().flat_map(|node| self.entries(node)) {
            lines.insert(key.to_owned(), tree.line(value));
            let value = self.value(value).unwrap_or_else(|error| {
                errors.push(error);
                Value::Unknown(Unknown::new("it is invalid"))
            });
            if value != Value::Removed {
                properties.push((key.to_owned(), value));
            }
        }
        let mut dependencies = self.references.take();
        if let Some(node) = tree.get(declaration, "DependsOn") {
            let names = tree.items(node).map_or_else(|| vec![node], <[Id]>::to_vec);
            dependencies.extend(names.into_iter().filter_map(|name| tree.text(name)).map(ToOwned::to_owned));
        }
        let first = tree.get(declaration, "Type").unwrap_or(declaration);
        let policy =
            |name: &str| tree.get(declaration, name).and_then(|node| tree.text(node)).map(ToOwned::to_owned);
        Some(Resource {
            name: name.to_owned(),
            kind: kind.to_owned(),
            line: tree.line(first),
            lines,
            properties: Value::Map(properties),
            condition,
            dependencies,
            deletion_policy: policy("DeletionPolicy"),
            update_replace_policy: policy("UpdateReplacePolicy"),
        })
    }

    /// Returns true if the condition of a resource or an output is true.
    fn presence(&self, declaration: Id) -> Result<Truth, TemplateError> {
        match self.tree.get(declaration, "Condition").and_then(|name| Some((name, self.tree.text(name)?))) {
            Some((node, name)) => self.named_condition(node, name),
            None => Ok(Truth::Known(true)),
        }
    }

    /// Evaluates a value.
    pub(super) fn value(&self, id: Id) -> Result<Value, TemplateError> {
        self.nested(id, || match self.function(id) {
            Some((name, argument)) => functions::call(self, id, name, argument),
            None => self.plain(id),
        })
    }

    /// Evaluates a value without its tag, such as the argument of a function in the short form.
    pub(super) fn plain(&self, id: Id) -> Result<Value, TemplateError> {
        let tree = self.tree;
        if let Some((name, argument)) = self.long_form(id) {
            return functions::call(self, id, name, argument);
        }
        if let Some(text) = tree.text(id) {
            return Ok(resolved(text.to_owned()));
        }
        if let Some(items) = tree.items(id) {
            let items = items.iter().map(|item| self.value(*item)).collect::<Result<Vec<_>, _>>()?;
            return Ok(Value::List(items.into_iter().filter(|item| *item != Value::Removed).collect()));
        }
        let entries = self.entries(id).map(|(key, value)| Ok((key.to_owned(), self.value(value)?)));
        let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
        entries.retain(|(_, value)| *value != Value::Removed);
        Ok(Value::Map(entries))
    }

    /// Returns the entries of a mapping, including those of merge keys.
    fn entries(&self, id: Id) -> impl Iterator<Item = (&'a str, Id)> + use<'a> {
        let tree = self.tree;
        let merged: Vec<Id> = match tree.entries(id).find(|(key, _)| *key == "<<") {
            Some((_, from)) => tree.items(from).map_or_else(|| vec![from], <[Id]>::to_vec),
            None => Vec::new(),
        };
        let own: Vec<(&str, Id)> = tree.entries(id).filter(|(key, _)| *key != "<<").collect();
        let names: HashSet<&str> = own.iter().map(|(name, _)| *name).collect();
        let others = merged.into_iter().flat_map(move |from| tree.entries(from));
        own.into_iter().chain(others.filter(move |(key, _)| !names.contains(key)))
    }

    /// Returns the name of an intrinsic function without `Fn::`, and its argument.
    pub(super) fn function(&self, id: Id) -> Option<(&'a str, Id)> {
        self.tree.tag(id).map(|tag| (tag, id)).or_else(|| self.long_form(id))
    }

    fn long_form(&self, id: Id) -> Option<(&'a str, Id)> {
        let mut entries = self.tree.entries(id);
        let (name, argument) = entries.next()?;
        let name = match name {
            "Ref" | "Condition" => name,
            name => name.strip_prefix("Fn::")?,
        };
        entries.next().is_none().then_some((name, argument))
    }

    /// Returns the value of `Ref` to a pseudo parameter, a parameter or a resource.
    pub(super) fn reference(&self, at: Id, name: &str) -> Result<Value, TemplateError> {
        let inputs = self.inputs;
        let known = |text: &str| Ok(Value::Text(text.to_owned()));
        let unknown = |reason: &str| Ok(Value::Unknown(Unknown::new(reason)));
        match name {
            "AWS::Region" => return known(&inputs.region),
            "AWS::Partition" => return known(Partition::of_region(&inputs.region).name()),
            "AWS::URLSuffix" => return known(Partition::of_region(&inputs.region).suffix()),
            "AWS::NoValue" => return Ok(Value::Removed),
            "AWS::AccountId" => {
                return match &inputs.account {
                    Ok(account) => known(account),
                    Err(reason) => unknown(reason),
                };
            }
            "AWS::StackName" => {
                return match &inputs.stack_name {
                    Some(name) => known(name),
                    None => unknown("it depends on the name of the stack, see --stack"),
                };
            }
            name if name.starts_with("AWS::") => return unknown(&format!("it depends on {name}")),
            _ => {}
        }
        if let Some(declaration) = self.declaration("Parameters", name) {
            let value = parameters::value(self.tree, name, declaration, inputs);
            // The declaration itself has the error.
            return value.or_else(|_| unknown(&format!("parameter {name} has no valid value")));
        }
        let declaration = self.existing_resource(at, name)?;
        match declaration {
            Some(declaration) => physical_id(self, name, declaration),
            None => unknown("it depends on a transform"),
        }
    }

    /// Returns an attribute of a resource.
    pub(super) fn attribute(&self, at: Id, name: &str, key: &str) -> Result<Value, TemplateError> {
        match self.existing_resource(at, name)? {
            Some(declaration) => attribute(self, at, (name, declaration), key),
            None => Ok(Value::Unknown(Unknown::new("it depends on a transform"))),
        }
    }

    /// Returns the declaration of a resource, or `None` if a transform can add it.
    ///
    /// # Errors
    /// If the template does not define it, or if its condition is false: CloudFormation rejects both as
    /// unresolved dependencies.
    fn existing_resource(&self, at: Id, name: &str) -> Result<Option<Id>, TemplateError> {
        let Some(declaration) = self.declaration("Resources", name) else {
            let problem = format!("{} is neither a resource nor a parameter. Correct the name", quoted(name));
            return if self.has_transform { Ok(None) } else { Err(self.error(at, problem)) };
        };
        match self.presence(declaration)? {
            Truth::Known(false) => {
                let problem = format!(
                    "resource {name} does not exist, because its condition is false. Use Fn::If with the same \
                     condition here"
                );
                Err(self.error(at, problem))
            }
            Truth::Known(true) | Truth::Unknown(_) => {
                self.references.borrow_mut().insert(name.to_owned());
                Ok(Some(declaration))
            }
        }
    }

    pub(super) fn error(&self, at: Id, problem: impl Into<String>) -> TemplateError {
        TemplateError { line: self.tree.line(at), problem: problem.into() }
    }

    /// Limits the work. Aliases and conditions can form cycles.
    pub(super) fn nested<T>(
        &self,
        at: Id,
        work: impl FnOnce() -> Result<T, TemplateError>,
    ) -> Result<T, TemplateError> {
        self.steps.set(self.steps.get() + 1);
        if self.nesting.get() >= MAX_NESTING || self.steps.get() > MAX_STEPS {
            return Err(
                self.error(at, "the values are nested too deeply, or refer to each other. Simplify them")
            );
        }
        self.nesting.set(self.nesting.get() + 1);
        let result = work();
        self.nesting.set(self.nesting.get() - 1);
        result
    }
}

/// CloudFormation resolves dynamic references during the deployment
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html>).
pub(super) fn resolved(text: String) -> Value {
    match text.contains("{{resolve:") {
        true => Value::Unknown(Unknown::new("a dynamic reference is resolved during the deployment")),
        false => Value::Text(text),
    }
}
