//! Reads templates, lists and parameters. Sends nothing.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use image_copy::list::MAX_LIST_BYTES;

use crate::args::PlanArgs;
use crate::commands::sync::{Image, ListOptions, images_of_list};
use crate::template::{Template, parameters};
use crate::{display, input_file};

/// Maximum size of a file of parameters in bytes. CloudFormation allows 200 parameters of 4 KB.
const MAX_PARAMETERS_BYTES: u64 = 4 << 20;

/// The files of a plan.
#[derive(Default)]
pub(super) struct Inputs {
    pub(super) templates: Vec<TemplateFile>,
    pub(super) images: Vec<Image>,
    pub(super) parameters: BTreeMap<String, String>,
}

/// A template with the name of its file.
pub(super) struct TemplateFile {
    pub(super) name: String,
    pub(super) template: Template,
}

/// Reads all files.
///
/// # Errors
/// One line for each error.
pub(super) fn read(args: &PlanArgs) -> Result<Inputs, Vec<String>> {
    let mut inputs = Inputs::default();
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    for path in args.files.iter().filter(|path| seen.insert(*path)) {
        if let Err(lines) = read_file(args, path, &mut inputs) {
            errors.extend(lines);
        }
    }
    if args.stack.is_some() && (inputs.templates.len(), inputs.images.len()) != (1, 0) && errors.is_empty() {
        errors.push("--stack compares one template. Pass one template and no list.".into());
    }
    if errors.is_empty() && inputs.templates.is_empty() && inputs.images.is_empty() {
        errors.push("the lists contain no image. Add a reference.".into());
    }
    match read_parameters(args, &inputs.templates) {
        Ok(parameters) => inputs.parameters = parameters,
        // The declarations of an unreadable template are unknown.
        Err(line) if errors.is_empty() => errors.push(line),
        Err(_) => {}
    }
    if errors.is_empty() { Ok(inputs) } else { Err(errors) }
}

fn read_file(args: &PlanArgs, path: &Path, inputs: &mut Inputs) -> Result<(), Vec<String>> {
    let name = display::path(path);
    let content = input_file::read(path, MAX_LIST_BYTES as u64)
        .map_err(|error| vec![display::unreadable("the file", path, &error)])?;
    // A list never contains this key, which is required in a template.
    let text = std::str::from_utf8(&content).ok().filter(|text| text.contains("Resources"));
    let template = match text.map(Template::parse) {
        Some(Ok(template)) => template,
        Some(Err(error)) => {
            let line =
                format!("{name}:{}: the template is invalid: {}. Correct it.", error.line, error.reason);
            return Err(vec![line]);
        }
        None => None,
    };
    match template {
        Some(template) => inputs.templates.push(TemplateFile { name, template }),
        None => {
            let options = ListOptions {
                to: args.to.as_ref(),
                platforms: &args.platform,
                include_referrers: false,
                ignores_min_age: true,
            };
            inputs.images.extend(images_of_list(&name, &content, &options)?);
        }
    }
    Ok(())
}

/// Returns the values of `--parameters` and `--parameter`. The latter override the former.
///
/// # Errors
/// One line if the file is invalid, or if no template has a parameter.
fn read_parameters(args: &PlanArgs, templates: &[TemplateFile]) -> Result<BTreeMap<String, String>, String> {
    let mut parameters = match &args.parameters {
        Some(path) => {
            let invalid =
                |problem: &str| format!("--parameters {}: {problem}. Correct the file.", display::path(path));
            let content = input_file::read(path, MAX_PARAMETERS_BYTES)
                .map_err(|error| invalid(&format!("it cannot be read: {}", display::io_error(&error))))?;
            parameters::parse_file(&content).map_err(|problem| invalid(&problem))?
        }
        None => BTreeMap::new(),
    };
    parameters.extend(args.parameter.iter().cloned());
    let is_declared = |name: &str| {
        templates.iter().any(|file| file.template.parameter_names().any(|declared| declared == name))
    };
    match parameters.keys().find(|name| !is_declared(name)) {
        Some(name) => Err(format!("no template has a parameter {name}. Correct the name, or remove it.")),
        None => Ok(parameters),
    }
}
