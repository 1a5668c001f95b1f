//! Sources in the templates of deployed stacks, for resources without a record in the state table.

use std::collections::BTreeSet;

use image_copy_aws::{Stack, StackResource, Stacks};

use super::images::{CopySource, Origin, ReliedCopy};
use super::notes::{Check, Note, Unchecked};
use crate::template::{Inputs, Template, Value, evaluate};

/// Property with the source.
const SOURCE_PROPERTY: &str = "ImageReference";

/// Adds sources to those copies of a stack that have none.
pub(super) async fn add_sources(
    stacks: &Stacks,
    stack: &Stack,
    resources: &[StackResource],
    copies: &mut [&mut ReliedCopy],
    notes: &mut Vec<Note>,
) {
    let text = match stacks.template(&stack.id).await {
        Ok(text) => text,
        Err(error) => {
            let subject = stack.name.clone();
            notes.push(Note::Unchecked(Unchecked { check: Check::Template, subject, cause: error.cause }));
            return;
        }
    };
    let template = Template::parse(&text).ok().flatten();
    let evaluated = template.map(|template| evaluate(&template, &inputs(stack, resources)));
    for copy in copies {
        let Origin::Resource { stack, logical_id } = &copy.origin else { continue };
        let resource = evaluated.as_ref().and_then(|evaluated| evaluated.get(logical_id));
        let value = resource.and_then(|resource| resource.properties.get(SOURCE_PROPERTY));
        let reference = value.and_then(Value::text).and_then(|text| text.parse().ok());
        match reference {
            Some(reference) => copy.source = Some(CopySource { reference, digest: None }),
            None => {
                let reason = match value {
                    Some(Value::Unknown(unknown)) => unknown.to_string(),
                    _ => format!("the template has no valid {SOURCE_PROPERTY}"),
                };
                notes.push(Note::Text(format!(
                    "not checked: the source of resource {logical_id} in stack {stack}: {reason}."
                )));
            }
        }
    }
}

/// Returns the inputs of the stack's last deployment.
fn inputs(stack: &Stack, resources: &[StackResource]) -> Inputs {
    // `arn:PARTITION:cloudformation:REGION:ACCOUNT:stack/NAME/ID`
    let fields: Vec<&str> = stack.id.splitn(6, ':').collect();
    let field = |at: usize| fields.get(at).copied().unwrap_or_default().to_owned();
    let hidden: BTreeSet<String> =
        stack.parameters.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone()).collect();
    let parameters = stack.parameters.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    let physical_ids = resources
        .iter()
        .filter_map(|resource| Some((resource.logical_id.clone(), resource.physical_id.clone()?)));
    Inputs {
        parameters: parameters.collect(),
        hidden,
        region: field(3),
        account: Ok(field(4)),
        stack_name: Some(stack.name.clone()),
        physical_ids: physical_ids.collect(),
    }
}
