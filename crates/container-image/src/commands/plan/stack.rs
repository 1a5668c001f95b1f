//! The deployed stack, and the events that its update sends.

use std::collections::{BTreeMap, BTreeSet};

use image_copy_aws::{AwsClients, StackError};

use super::findings::{Event, Finding, Findings, ImagePlan};
use crate::template::{Inputs, Resource, Resources, Template, Value, evaluate};

/// Code of a stack or a resource that cannot be updated.
pub(super) const CODE: &str = "CI-405";

/// Physical ID of a failed Create. Its Delete removes nothing.
const CREATE_FAILED: &str = "create-failed";

/// A deployed stack.
pub(super) struct Deployed {
    pub(super) name: String,
    status: String,
    /// Its template, evaluated with its parameters. `None` if it is not a template that can be read.
    resources: Option<Resources>,
    /// Physical IDs by logical ID.
    pub(super) physical_ids: BTreeMap<String, String>,
    /// Parameters, without those of `hidden`.
    pub(super) parameters: BTreeMap<String, String>,
    /// Parameters whose values `NoEcho` hides.
    pub(super) hidden: BTreeSet<String>,
}

impl Deployed {
    /// Reads the stack. `inputs` has the Region and the account.
    ///
    /// # Errors
    /// CloudFormation's error.
    pub(super) async fn read(clients: &AwsClients, name: &str, inputs: &Inputs) -> Result<Self, StackError> {
        let stacks = clients.stacks();
        let stack = stacks.describe(name).await?;
        let (resources, template) = (stacks.resources(name).await?, stacks.template(name).await?);
        let exists = |status: &str| status != "DELETE_COMPLETE";
        let physical_ids: BTreeMap<String, String> = resources
            .into_iter()
            .filter(|resource| exists(&resource.status))
            .filter_map(|resource| Some((resource.logical_id, resource.physical_id?)))
            .collect();
        let (mut parameters, mut hidden) = (BTreeMap::new(), BTreeSet::new());
        for (name, value) in stack.parameters {
            match value {
                Some(value) => drop(parameters.insert(name, value)),
                None => drop(hidden.insert(name)),
            }
        }
        let inputs = Inputs {
            parameters: parameters.clone(),
            hidden: hidden.clone(),
            stack_name: Some(stack.name.clone()),
            physical_ids: physical_ids.clone(),
            ..inputs.clone()
        };
        let template = Template::parse(&template).ok().flatten();
        let resources = template.map(|template| evaluate(&template, &inputs));
        Ok(Self { name: stack.name, status: stack.status, resources, physical_ids, parameters, hidden })
    }

    /// Returns a failure if CloudFormation does not update a stack with this status
    /// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>).
    pub(super) fn check_status(&self, file: &str) -> Findings {
        let advice = match self.status.as_str() {
            status if status.ends_with("_IN_PROGRESS") => "Wait for the end of the operation",
            "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "CREATE_FAILED" | "DELETE_FAILED" => {
                "Delete the stack, and create it again"
            }
            "UPDATE_ROLLBACK_FAILED" => "Continue the rollback of the stack",
            _ => return Findings::default(),
        };
        let text = format!("Stack {} cannot be updated: it is in {}. {advice}.", self.name, self.status);
        let (file, code) = (file.to_owned(), Some(CODE));
        Findings {
            failures: vec![Finding { file, line: 1, resource: None, text, code }],
            ..Findings::default()
        }
    }

    /// Returns the deployed resource with its physical ID. `None` if the stack does not have it.
    fn image(&self, name: &str) -> Option<(Option<&Resource>, &str)> {
        let physical_id = self.physical_ids.get(name)?;
        Some((self.resources.as_ref().and_then(|resources| resources.get(name)), physical_id))
    }

    /// Returns the deployed properties of a resource.
    pub(super) fn properties(&self, name: &str) -> Option<&Value> {
        self.image(name)?.0.map(|resource| &resource.properties)
    }

    /// Returns true if the update sends no event for the resource, because all properties are known and equal.
    pub(super) fn is_unchanged(&self, resource: &Resource) -> bool {
        let Some((Some(deployed), _)) = self.image(&resource.name) else { return false };
        resource.properties.unknown().is_none()
            && resource.kind == deployed.kind
            && resource.properties.to_json() == deployed.properties.to_json()
    }

    /// Returns the event for a planned image. An Update that keeps the tag keeps the physical ID.
    pub(super) fn event(&self, resource: &Resource, plan: &ImagePlan) -> Event {
        let Some((_, physical_id)) = self.image(&resource.name) else { return Event::New };
        let new = match (&plan.tag, &plan.destination, &plan.change) {
            (Some(_), Some(destination), _) => destination.clone(),
            (None, Some(destination), Some(change)) => format!("{destination}@{}", change.digest),
            _ => return Event::Unknown,
        };
        match new == physical_id || physical_id == CREATE_FAILED {
            true => Event::InPlace,
            false => Event::Replaced {
                previous: physical_id.to_owned(),
                is_kept: resource.update_replace_policy.as_deref() == Some("Retain"),
            },
        }
    }

    /// Returns the images that are missing in the new template. CloudFormation deletes them.
    pub(super) fn deleted(&self, file: &str, resources: &Resources) -> Vec<ImagePlan> {
        let deployed = self.resources.iter().flat_map(|resources| &resources.all);
        let images =
            deployed.filter(|resource| resource.is_image() && resources.get(&resource.name).is_none());
        let plan = |resource: &Resource| {
            let previous = self.physical_ids.get(&resource.name)?.clone();
            let mut plan = ImagePlan::new(file, 1, Some(&resource.name));
            let policy = resource.deletion_policy.as_deref();
            let is_kept = matches!(policy, Some("Retain" | "RetainExceptOnCreate"));
            plan.event = Some(Event::Deleted { previous, is_kept });
            Some(plan)
        };
        images.filter_map(plan).collect()
    }
}
