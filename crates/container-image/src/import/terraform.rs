//! Terraform: the module elasticscale/ecs-dockerhub-clone, which copies images from Docker Hub to ECR
//! (<https://registry.terraform.io/modules/elasticscale/ecs-dockerhub-clone/aws>).
//!
//! `containers` maps a repository to its tags, or is a list of references. `build_commands` maps a reference to
//! Dockerfile lines.

mod values;

use std::collections::HashSet;

use hcl_edit::expr::Expression;
use hcl_edit::parser;
use hcl_edit::structure::{Attribute, Body};
use image_copy::customize::Customization;
use image_copy::list::{Entry, Target};
use image_copy::oci::Reference;
use image_copy::text::SanitizedText;

use super::customization::{self, UnsupportedLines};
use super::destinations::{is_path, target_name};
use super::found::Found;
use super::mapping::key as key_name;
use super::text::is_repository;
use values::{Source, Value};

/// The module's default of `namespace`, the first component of all repositories in ECR.
const DEFAULT_NAMESPACE: &str = "ecsclone";

/// Attributes of every module block, which do not concern the images.
const OF_TERRAFORM: [&str; 6] = ["source", "version", "providers", "depends_on", "count", "for_each"];

/// Attributes that a list has.
const KNOWN: [&str; 3] = ["containers", "build_commands", "namespace"];

/// Returns true for Terraform with one of the attributes that are read.
pub(super) fn is_terraform(content: &str) -> bool {
    // Other text is not parsed.
    let has_word = content.contains("containers") || content.contains("build_commands");
    has_word && parser::parse_body(content).is_ok_and(|body| has_settings(&body))
}

fn has_settings(body: &Body) -> bool {
    let is_set = body.has_attribute("containers") || body.has_attribute("build_commands");
    is_set || body.blocks().any(|block| has_settings(&block.body))
}

/// Reads a file.
///
/// # Errors
/// Line and sentence of a syntax error.
pub(super) fn read(content: &str, found: &mut Found) -> Result<(), (usize, String)> {
    let body = parser::parse_body(content).map_err(|error| {
        let reason = SanitizedText::from(error.message());
        (error.location().line(), format!("the Terraform syntax is invalid: {reason}. Correct it."))
    })?;
    let source = Source::new(content, &body);
    read_body(&body, "", &source, found);
    Ok(())
}

fn read_body(body: &Body, path: &str, source: &Source<'_>, found: &mut Found) {
    if body.has_attribute("containers") || body.has_attribute("build_commands") {
        read_module(body, path, source, found);
    }
    for block in body.blocks() {
        let labels = block.labels.iter().map(|label| key_name(label.as_str()));
        let name: Vec<String> =
            std::iter::once(block.ident.to_string().trim().to_owned()).chain(labels).collect();
        read_body(&block.body, &format!("{path}{}.", name.join(".")), source, found);
    }
}

fn read_module(body: &Body, path: &str, source: &Source<'_>, found: &mut Found) {
    for attribute in body.attributes() {
        note_attribute(attribute, path, source, found);
    }
    let namespace = namespace(body, path, source, found);
    let commands = body
        .get_attribute("build_commands")
        .map(|attribute| build_commands(&attribute.value, &format!("{path}build_commands"), source, found))
        .unwrap_or_default();
    let mut used = HashSet::new();
    for entry in body
        .get_attribute("containers")
        .map(|attribute| containers(&attribute.value, &format!("{path}containers"), source, found))
        .unwrap_or_default()
    {
        let default = target_name(&entry.target);
        let target = if namespace.is_empty() { default } else { format!("{namespace}/{default}") };
        let command = commands.iter().position(|command| command.matches(&entry.source));
        used.extend(command);
        let lines = command.map_or(Ok(None), |at| commands[at].lines(found));
        let (customization, unsupported) = match lines {
            Ok(lines) => (lines, None),
            Err(unsupported) => (None, Some(unsupported)),
        };
        let entry = Entry { target: Target::Below(target), customization, ..entry };
        found.image_with_comment(entry, unsupported);
    }
    for (_, command) in commands.iter().enumerate().filter(|(at, _)| !used.contains(at)) {
        found.note(command.line, &command.key, "has no image in containers");
    }
}

/// Notes an attribute that a list does not have. The variables of a file can belong to other modules.
fn note_attribute(attribute: &Attribute, path: &str, source: &Source<'_>, found: &mut Found) {
    let name = attribute.key.as_str();
    let problem = match name {
        "docker_hub_username" | "docker_hub_access_token" => "has no equivalent. Log in to Docker Hub",
        "schedule_expression" => "has no equivalent. Run sync on a schedule",
        _ if path.is_empty() || KNOWN.contains(&name) || OF_TERRAFORM.contains(&name) => return,
        _ => "has no equivalent",
    };
    found.note(source.line(&attribute.value), &format!("{path}{}", key_name(name)), problem);
}

fn namespace(body: &Body, path: &str, source: &Source<'_>, found: &mut Found) -> String {
    let key = format!("{path}namespace");
    let Some(attribute) = body.get_attribute("namespace") else {
        let line = body.attributes().next().map_or(1, |attribute| source.line(&attribute.value));
        found.note(line, &key, &format!("is not set. The module's default {DEFAULT_NAMESPACE} is used"));
        return DEFAULT_NAMESPACE.into();
    };
    match source.value(&attribute.value) {
        Value::Text(name) if name.is_empty() || is_path(&name) => name,
        _ => {
            let problem = format!("is not a literal path. The module's default {DEFAULT_NAMESPACE} is used");
            found.note(source.line(&attribute.value), &key, &problem);
            DEFAULT_NAMESPACE.into()
        }
    }
}

/// Returns the images of `containers`.
fn containers(value: &Expression, key: &str, source: &Source<'_>, found: &mut Found) -> Vec<Entry> {
    let line = source.line(value);
    let mut entries = Vec::new();
    let mut add = |line: usize, key: &str, text: &str, found: &mut Found| {
        entries.extend(found.reference(line, key, text).map(|source| Entry::new(source, line)));
    };
    match source.value(value) {
        Value::List(items) => {
            for item in items {
                match source.value(item) {
                    Value::Text(text) => add(source.line(item), key, &text, found),
                    _ => not_literal(source.line(item), key, "an item", found),
                }
            }
        }
        Value::Map(pairs) => {
            for (name, tags) in pairs {
                let key = format!("{key}.{}", key_name(&name));
                let line = source.line(tags);
                match source.texts(tags) {
                    Some(tags) => {
                        for (tag, line) in tags {
                            add(line, &key, &format!("{name}:{tag}"), found);
                        }
                    }
                    None => not_literal(line, &key, &name, found),
                }
            }
        }
        _ => not_literal(line, key, "containers", found),
    }
    entries
}

fn not_literal(line: usize, key: &str, subject: &str, found: &mut Found) {
    found.omit(line, key, subject, "has no literal value in this file. Write the value");
}

/// Dockerfile lines of an image.
struct BuildCommands {
    key: String,
    line: usize,
    image: Reference,
    /// True if the reference has no tag, which means all tags.
    is_repository: bool,
    texts: Vec<String>,
}

impl BuildCommands {
    fn matches(&self, source: &Reference) -> bool {
        self.image == *source || (self.is_repository && self.image.repository == source.repository)
    }

    fn lines(&self, found: &mut Found) -> Result<Option<Customization>, UnsupportedLines> {
        customization::parse(&self.key, self.line, &self.texts, found)
    }
}

fn build_commands(
    value: &Expression,
    key: &str,
    source: &Source<'_>,
    found: &mut Found,
) -> Vec<BuildCommands> {
    let Value::Map(pairs) = source.value(value) else {
        found.note(source.line(value), key, "has no literal value in this file");
        return Vec::new();
    };
    let mut commands = Vec::new();
    for (name, lines) in pairs {
        let (key, line) = (format!("{key}.{}", key_name(&name)), source.line(lines));
        let Some(texts) = source.texts(lines) else {
            found.note(line, &key, "has no literal value in this file");
            continue;
        };
        let Some(image) = found.reference(line, &key, &name) else { continue };
        let is_repository = is_repository(&name);
        let texts = texts.into_iter().map(|(text, _)| text).collect();
        commands.push(BuildCommands { key, line, image, is_repository, texts });
    }
    commands
}
