//! Images of CloudFormation stacks: the physical IDs of their resources, and digests in their outputs.
//!
//! CloudFormation does not return attributes of custom resources. The state table has the digest and the
//! source of each resource's last copy. Without a record there, the source comes from the template.

use std::collections::{BTreeSet, HashSet, VecDeque};

use futures_util::{StreamExt as _, stream};
use image_copy::oci::{self, Reference};
use image_copy_aws::{Owner, Stack, StackError, StackResource, Stacks, StateTable};

use super::images::{Origin, ReliedCopy, ReliedImages};
use super::notes::{Check, Note, Unchecked};
use super::{table, templates};
use crate::aws::private_host;

/// Types of resources whose physical ID is an image.
const IMAGE_TYPES: [&str; 2] = ["Custom::ContainerImage", "AWS::CloudFormation::CustomResource"];

/// Type of a nested stack. Its physical ID is the ARN of the stack.
const NESTED_STACK: &str = "AWS::CloudFormation::Stack";

/// Maximum number of stacks of one run, nested ones included.
const MAX_STACKS: usize = 2000;

/// A deployed stack with its resources.
struct DeployedStack {
    stack: Stack,
    resources: Vec<StackResource>,
}

/// An image resource of a stack.
struct ImageResource {
    stack_id: String,
    stack: String,
    logical_id: String,
    name: Reference,
}

/// Reads the images of these stacks and of their nested stacks.
///
/// # Errors
/// The first stack that cannot be read.
pub(super) async fn read(
    stacks: &Stacks,
    names: &[String],
    state_table: Option<&StateTable>,
    jobs: usize,
    notes: &mut Vec<Note>,
) -> Result<ReliedImages, StackError> {
    let mut pending: VecDeque<String> = names.iter().cloned().collect();
    let mut seen = HashSet::new();
    let mut deployed = Vec::new();
    let mut resources = Vec::new();
    let mut outputs = Vec::new();
    while let Some(name) = pending.pop_front() {
        let stack = stacks.describe(&name).await?;
        if seen.len() >= MAX_STACKS || !seen.insert(stack.id.clone()) {
            continue;
        }
        let all = stacks.resources(&stack.id).await?;
        let (images, nested) = classify(&stack, &all, notes);
        if images.is_empty() && nested.is_empty() {
            notes.push(Note::Text(format!("stack {} contains no Custom::ContainerImage.", stack.name)));
        }
        let repositories: BTreeSet<&oci::Repository> =
            images.iter().map(|image| &image.name.repository).collect();
        outputs.extend(digests_in_outputs(&stack, &repositories));
        resources.extend(images);
        pending.extend(nested);
        deployed.push(DeployedStack { stack, resources: all });
    }
    let mut images = ReliedImages::default();
    let mut copies = copies(resources, state_table, jobs, notes).await;
    for DeployedStack { stack, resources } in &deployed {
        let unsourced = copies
            .iter_mut()
            .filter(|(resource, copy)| resource.stack_id == stack.id && copy.source.is_none());
        let mut unsourced: Vec<&mut ReliedCopy> = unsourced.map(|(_, copy)| copy).collect();
        if !unsourced.is_empty() {
            templates::add_sources(stacks, stack, resources, &mut unsourced, notes).await;
        }
    }
    for (resource, copy) in copies {
        images.add(resource.name, copy);
    }
    for (name, copy) in outputs {
        if !images.has_digest(&name) {
            images.add(name, copy);
        }
    }
    Ok(images)
}

/// Returns the images and the nested stacks of a stack.
fn classify(
    stack: &Stack,
    all: &[StackResource],
    notes: &mut Vec<Note>,
) -> (Vec<ImageResource>, Vec<String>) {
    let mut images = Vec::new();
    let mut nested = Vec::new();
    // Resources that are no longer in the stack. `DELETE_SKIPPED` are those with `DeletionPolicy: Retain`.
    let existing = all
        .iter()
        .filter(|resource| !matches!(resource.status.as_str(), "DELETE_COMPLETE" | "DELETE_SKIPPED"));
    for resource in existing {
        let physical_id = resource.physical_id.as_deref().unwrap_or_default();
        if resource.resource_type == NESTED_STACK && !physical_id.is_empty() {
            nested.push(physical_id.to_owned());
        } else if IMAGE_TYPES.contains(&resource.resource_type.as_str()) {
            match image_name(physical_id) {
                Some(name) => images.push(ImageResource {
                    stack_id: stack.id.clone(),
                    stack: stack.name.clone(),
                    logical_id: resource.logical_id.clone(),
                    name,
                }),
                // Another program's custom resource, or a resource that was not created.
                None if resource.resource_type == IMAGE_TYPES[0] => notes.push(Note::Text(format!(
                    "resource {} of stack {} has no image ({}).",
                    resource.logical_id, stack.name, resource.status
                ))),
                None => {}
            }
        }
    }
    (images, nested)
}

/// Parses a physical ID: `<registry>/<repository>:<tag>`, or `@<digest>`.
fn image_name(physical_id: &str) -> Option<Reference> {
    let name: Reference = physical_id.parse().ok()?;
    private_host(&name.repository).is_some().then_some(name)
}

/// Returns the digests in the outputs that are in one of the repositories. Other stacks can use them.
fn digests_in_outputs(
    stack: &Stack,
    repositories: &BTreeSet<&oci::Repository>,
) -> Vec<(Reference, ReliedCopy)> {
    let digests = stack.outputs.iter().filter_map(|(name, value)| {
        let image = image_name(value).filter(|image| repositories.contains(&image.repository))?;
        let digest = image.digest.clone()?;
        let origin = Origin::Output { stack: stack.name.clone(), name: name.clone() };
        let copy = ReliedCopy { origin, digest: Some(digest), source: None };
        Some((Reference { tag: None, ..image }, copy))
    });
    digests.collect()
}

/// Adds the last copy of each resource from the state table.
async fn copies(
    resources: Vec<ImageResource>,
    state_table: Option<&StateTable>,
    jobs: usize,
    notes: &mut Vec<Note>,
) -> Vec<(ImageResource, ReliedCopy)> {
    let reads = stream::iter(resources)
        .map(|resource| async move {
            let state = match state_table {
                Some(table) => table.get(&resource.name.to_string()).await,
                None => Ok(None),
            };
            (resource, state)
        })
        .buffered(jobs);
    let mut reads = std::pin::pin!(reads);
    let mut copies = Vec::new();
    while let Some((resource, state)) = reads.next().await {
        let state = state.unwrap_or_else(|cause| {
            let subject = resource.name.to_string();
            notes.push(Note::Unchecked(Unchecked { check: Check::StateTable, subject, cause }));
            None
        });
        let owner = Owner::of_resource(&resource.stack_id, &resource.logical_id);
        let origin =
            Origin::Resource { stack: resource.stack.clone(), logical_id: resource.logical_id.clone() };
        let copy = match state.as_ref().and_then(|state| state.copies_of(&owner).next()) {
            Some(record) => table::copy(origin, record),
            None => {
                let digest = resource.name.digest.clone();
                ReliedCopy { origin, digest, source: None }
            }
        };
        copies.push((resource, copy));
    }
    copies
}
