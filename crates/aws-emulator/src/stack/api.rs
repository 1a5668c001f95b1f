//! CloudFormation's API for existing stacks
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/>): `DescribeStacks`, `GetTemplate`,
//! `DescribeStackResources` and `ListStackResources`. Stacks are deployed by [`Stack`], not by the API.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value};

use super::record::ResourceRecord;
use super::{Provider, Resource, Stack, StackSettings, StackStatus, Template, lock};
use crate::api::query::{Form, QueryApi, constraint, element, list};
use crate::api::{ApiError, Caller, Denials, hosts};
use crate::bucket::ResponseBucket;
use crate::service::{Operation, Request, Response, Service, reset_connection};
use crate::timestamp::iso;

static API: QueryApi = QueryApi {
    service: "cloudformation",
    namespace: "http://cloudformation.amazonaws.com/doc/2010-05-15/",
    unsigned: &[],
};

/// Default size of a page, and maximum number of resources in `DescribeStackResources`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResources.html>).
const PAGE: usize = 100;

/// The stacks of all Regions.
pub struct CloudFormation {
    /// Account of the caller.
    account: String,
    stacks: Mutex<Vec<Arc<Stack>>>,
    denials: Mutex<Denials>,
    page: Mutex<usize>,
}

impl CloudFormation {
    pub(crate) fn new(account: &str) -> Self {
        let (stacks, denials) = (Mutex::default(), Mutex::default());
        Self { account: account.to_owned(), stacks, denials, page: Mutex::new(PAGE) }
    }

    /// Adds a stack, which the API describes from its creation on.
    pub fn add(&self, stack: &Arc<Stack>) {
        lock(&self.stacks).push(Arc::clone(stack));
    }

    /// Adds a stack with existing resources, each with its logical and physical ID. The stack has no provider.
    pub fn import_stack(
        &self,
        name: &str,
        region: &str,
        template: &Template,
        physical_ids: &[(&str, &str)],
    ) -> Arc<Stack> {
        let token = format!(
            "arn:{}:lambda:{region}:{}:function:cfn-container-image-provider",
            hosts::partition(region),
            self.account
        );
        let settings = StackSettings::new(name, &self.account, region, &token);
        let stack = Arc::new(Stack::new(settings, Arc::new(NoProvider), ResponseBucket::new(region)));
        stack.set_template(template);
        *lock(&stack.status) = StackStatus::CreateComplete;
        *lock(&stack.created) = Some(SystemTime::now());
        for (logical_id, physical_id) in physical_ids {
            let resource: Resource = template.resources[*logical_id].clone();
            stack.import_resource(logical_id, resource, physical_id, Map::new());
        }
        self.add(&stack);
        stack
    }

    /// Denies actions such as `cloudformation:GetTemplate` on resources. Both are patterns with `*`.
    pub fn deny(&self, action: &str, resource: &str) {
        lock(&self.denials).add(action, resource);
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        lock(&self.denials).clear();
    }

    /// Sets the number of stacks or resources in a page.
    pub fn set_page_size(&self, size: usize) {
        *lock(&self.page) = size;
    }

    fn describe_stacks(&self, call: &Call<'_>) -> Result<String, ApiError> {
        let stacks = match call.form.get("StackName") {
            Some(name) => vec![self.stack(call, &name)?],
            None => {
                // https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
                for action in ["cloudformation:DescribeStacks", "cloudformation:ListStacks"] {
                    lock(&self.denials).check(&call.caller, action, "*")?;
                }
                self.visible(call.region)
                    .filter(|stack| stack.status() != StackStatus::DeleteComplete)
                    .collect()
            }
        };
        let (stacks, token) = self.page(call, &stacks)?;
        Ok(list("Stacks", stacks.iter().map(|stack| describe(stack))) + &token)
    }

    fn get_template(&self, call: &Call<'_>) -> Result<String, ApiError> {
        if let Some(parameter) = call.form.first_of(&["ChangeSetName"]) {
            return Err(API.unknown_parameter(call.action, parameter));
        }
        let stage = call.form.get("TemplateStage").unwrap_or_else(|| "Original".to_owned());
        let stack = self.stack(call, &call.form.required("StackName", "stackName")?)?;
        if stage != "Original" {
            return Err(API.unknown_parameter(call.action, &format!("TemplateStage {stage}")));
        }
        let body = element("TemplateBody", &lock(&stack.template).body());
        Ok(body + &list("StagesAvailable", ["Original".to_owned(), "Processed".to_owned()]))
    }

    fn describe_stack_resources(&self, call: &Call<'_>) -> Result<String, ApiError> {
        if let Some(parameter) = call.form.first_of(&["LogicalResourceId", "PhysicalResourceId"]) {
            return Err(API.unknown_parameter(call.action, parameter));
        }
        let stack = self.stack(call, &call.form.required("StackName", "stackName")?)?;
        let resources = stack.described_resources();
        let member = |(id, record): &(String, ResourceRecord)| {
            element("StackName", stack.name())
                + &element("StackId", stack.id())
                + &describe_resource(id, record, "Timestamp")
        };
        Ok(list("StackResources", resources.iter().take(PAGE).map(member)))
    }

    fn list_stack_resources(&self, call: &Call<'_>) -> Result<String, ApiError> {
        let stack = self.stack(call, &call.form.required("StackName", "stackName")?)?;
        let resources = stack.described_resources();
        let (resources, token) = self.page(call, &resources)?;
        let member =
            |(id, record): &(String, ResourceRecord)| describe_resource(id, record, "LastUpdatedTimestamp");
        Ok(list("StackResourceSummaries", resources.iter().map(member)) + &token)
    }

    /// Returns a stack by its name or ID, if the caller has the permission for the call. A deleted stack is found by
    /// its ID only.
    fn stack(&self, call: &Call<'_>, name: &str) -> Result<Arc<Stack>, ApiError> {
        let found = self.visible(call.region).filter(|stack| match stack.status() {
            StackStatus::DeleteComplete => stack.id() == name,
            _ => stack.id() == name || stack.name() == name,
        });
        let found = found.last();
        let partition = hosts::partition(call.region);
        let resource = match &found {
            Some(stack) => stack.id().to_owned(),
            None if name.starts_with("arn:") => name.to_owned(),
            None => format!("arn:{partition}:cloudformation:{}:{}:stack/{name}/*", call.region, self.account),
        };
        let action = format!("cloudformation:{}", call.action);
        lock(&self.denials).check(&call.caller, &action, &resource)?;
        found.ok_or_else(|| ApiError::new("ValidationError", format!("Stack with id {name} does not exist")))
    }

    /// Returns the caller's stacks of a Region, oldest first.
    fn visible(&self, region: &str) -> impl Iterator<Item = Arc<Stack>> {
        let is_visible = |stack: &&Arc<Stack>| {
            stack.settings.region == region
                && stack.settings.account == self.account
                && lock(&stack.created).is_some()
        };
        lock(&self.stacks).iter().filter(is_visible).cloned().collect::<Vec<_>>().into_iter()
    }

    /// Returns a page of a list, and the element with the token of the next page.
    fn page<'a, T>(&self, call: &Call<'_>, all: &'a [T]) -> Result<(&'a [T], String), ApiError> {
        let token = call.form.get("NextToken");
        let start = match &token {
            None => Some(0),
            Some(token) => token.strip_prefix("page-").and_then(|start| start.parse().ok()),
        };
        let start = start.filter(|start| *start <= all.len()).ok_or_else(|| {
            let token = format!("'{}'", token.unwrap_or_default());
            constraint(&token, "nextToken", "Member must be a token of an earlier response")
        })?;
        let end = all.len().min(start + *lock(&self.page));
        let next = if end < all.len() { element("NextToken", &format!("page-{end}")) } else { String::new() };
        Ok((&all[start..end], next))
    }
}

/// One call of the API.
struct Call<'a> {
    region: &'a str,
    caller: Caller,
    action: &'a str,
    form: &'a Form,
}

/// Returns the description of a stack.
fn describe(stack: &Stack) -> String {
    let template = lock(&stack.template);
    let parameters = template.parameters.iter().map(|(name, parameter)| {
        let value = if parameter.no_echo { "****" } else { &parameter.value };
        element("ParameterKey", name) + &element("ParameterValue", value)
    });
    let time = |name: &str, time: &Mutex<Option<SystemTime>>| {
        lock(time).map(|time| element(name, &iso(time))).unwrap_or_default()
    };
    [
        element("StackId", stack.id()),
        element("StackName", stack.name()),
        time("CreationTime", &stack.created),
        time("LastUpdatedTime", &stack.updated),
        element("StackStatus", &stack.status().to_string()),
        element("DisableRollback", "false"),
        list("Parameters", parameters),
        list("Outputs", outputs(stack, &template)),
        list("NotificationARNs", []),
        list("Tags", []),
    ]
    .concat()
}

/// Returns the outputs of a stack whose last operation succeeded.
fn outputs(stack: &Stack, template: &Template) -> Vec<String> {
    let deployed = lock(&stack.deployed);
    let resolver = stack.resolver(template, &deployed);
    let output = |(name, output): (&String, &super::template::Output)| {
        let Ok(Some(Value::String(value))) = resolver.value(&output.value) else { return None };
        let description = output.description.as_ref().map(|text| element("Description", text));
        Some(element("OutputKey", name) + &element("OutputValue", &value) + &description.unwrap_or_default())
    };
    template.outputs.iter().filter_map(output).collect()
}

fn describe_resource(id: &str, record: &ResourceRecord, time: &str) -> String {
    let optional =
        |name: &str, value: Option<&String>| value.map(|value| element(name, value)).unwrap_or_default();
    [
        element("LogicalResourceId", id),
        optional("PhysicalResourceId", record.physical_id.as_ref()),
        element("ResourceType", &record.resource_type),
        element(time, &iso(record.at)),
        element("ResourceStatus", &record.status),
        optional("ResourceStatusReason", record.reason.as_ref()),
    ]
    .concat()
}

/// The provider of stacks that are only described.
struct NoProvider;

impl Provider for NoProvider {
    fn invoke(&self, event: Value) -> String {
        panic!("an imported stack has no provider for {event}")
    }
}

/// Returns the Region of a host of CloudFormation.
fn region(host: &str) -> Option<String> {
    let (name, region, suffix) = hosts::split_at_region(host)?;
    let partition = hosts::partition_of(&region);
    let is_known = name == "cloudformation" && (suffix == partition.suffix || suffix == partition.api_suffix);
    is_known.then_some(region)
}

impl Service for CloudFormation {
    fn serves(&self, host: &str) -> bool {
        region(host).is_some()
    }

    /// The action is in the body. Until it is read, the operation is the same for all.
    fn operation(&self, _: &str, _: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("cloudformation", "cloudformation:call")
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let Some(region) = region(&request.host) else { return reset_connection() };
            let caller = Caller::of(&request.headers, &self.account, &region);
            let execute = |action: &str, form: &Form| {
                let call = Call { region: &region, caller, action, form };
                match action {
                    "DescribeStacks" => self.describe_stacks(&call),
                    "GetTemplate" => self.get_template(&call),
                    "DescribeStackResources" => self.describe_stack_resources(&call),
                    "ListStackResources" => self.list_stack_resources(&call),
                    _ => Err(API.unknown(action)),
                }
            };
            API.respond(&region, request, execute).await
        })
    }
}
