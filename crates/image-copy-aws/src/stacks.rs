//! CloudFormation stacks: their resources, parameters, outputs and templates. Only reads.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::types::TemplateStage;
use image_copy::registry::Error;
use image_copy::text::SanitizedText;

use crate::AwsClients;
use crate::endpoints::Service;
use crate::retry::RetryingClient;

/// Maximum number of pages of resources. CloudFormation returns up to 1 MB in a page, and a stack has at most
/// 500 resources
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>).
const MAX_PAGES: usize = 50;

/// Value of a parameter with `NoEcho`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>).
const MASKED: &str = "****";

/// CloudFormation's stacks in one Region.
#[derive(Clone)]
pub struct Stacks {
    client: RetryingClient<Client>,
    region: String,
}

/// A deployed stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// ARN of the stack.
    pub id: String,
    /// Name of the stack.
    pub name: String,
    /// Status, such as `UPDATE_COMPLETE`.
    pub status: String,
    /// Values of the parameters. For parameters of Systems Manager types, these are the resolved values.
    /// `None` if `NoEcho` hides the value.
    pub parameters: BTreeMap<String, Option<String>>,
    /// Values of the outputs.
    pub outputs: BTreeMap<String, String>,
}

/// A resource of a deployed stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StackResource {
    /// Name in the template.
    pub logical_id: String,
    /// Physical ID. `None` until the resource is created.
    pub physical_id: Option<String>,
    /// Type, such as `Custom::ContainerImage`.
    pub resource_type: String,
    /// Status, such as `CREATE_COMPLETE`.
    pub status: String,
}

/// A stack that could not be read. Its text is one clause without advice.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("stack {stack} in {region} could not be read: {cause}")]
pub struct StackError {
    /// Name or ARN of the stack.
    pub stack: SanitizedText,
    /// Region of the call.
    pub region: String,
    /// CloudFormation's error.
    pub cause: Error,
}

impl StackError {
    /// Returns true if CloudFormation rejected the name, also because no such stack exists
    /// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html>).
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.cause.has_code("ValidationError")
    }
}

impl AwsClients {
    /// Returns the stacks in the Region of the configuration.
    #[must_use]
    pub fn stacks(&self) -> Stacks {
        let region = self.config().region().map(ToString::to_string).unwrap_or_default();
        let host = self.api_host(Service::CloudFormation, &region);
        let client = RetryingClient::new(Client::new(self.config()), host, None, self.retry_policy());
        Stacks { client, region }
    }
}

impl Stacks {
    /// Returns the Region of the stacks.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the stack with this name or ARN. Needs `cloudformation:DescribeStacks`.
    ///
    /// # Errors
    /// CloudFormation's error, also if there is no such stack.
    pub async fn describe(&self, stack: &str) -> Result<Stack, StackError> {
        let request = self.client.sdk.describe_stacks().stack_name(stack);
        let response = self.client.send("cloudformation:DescribeStacks", || request.clone().send()).await;
        let response = response.map_err(|cause| self.error(stack, cause))?;
        let described = response.stacks().first().ok_or_else(|| self.incomplete(stack))?;
        let parameters = described.parameters().iter().filter_map(|parameter| {
            let value = parameter.resolved_value().or(parameter.parameter_value());
            let value = value.filter(|value| *value != MASKED).map(ToOwned::to_owned);
            Some((parameter.parameter_key()?.to_owned(), value))
        });
        let outputs = described
            .outputs()
            .iter()
            .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())));
        Ok(Stack {
            id: described.stack_id().ok_or_else(|| self.incomplete(stack))?.to_owned(),
            name: described.stack_name().ok_or_else(|| self.incomplete(stack))?.to_owned(),
            status: described.stack_status().map(|status| status.as_str().to_owned()).unwrap_or_default(),
            parameters: parameters.collect(),
            outputs: outputs.collect(),
        })
    }

    /// Returns all resources of a stack, including deleted ones. Needs `cloudformation:ListStackResources`.
    ///
    /// # Errors
    /// CloudFormation's error, also if there is no such stack.
    pub async fn resources(&self, stack: &str) -> Result<Vec<StackResource>, StackError> {
        let mut resources = Vec::new();
        let mut token = None;
        for _ in 0..MAX_PAGES {
            let request = self.client.sdk.list_stack_resources().stack_name(stack).set_next_token(token);
            let page = self.client.send("cloudformation:ListStackResources", || request.clone().send()).await;
            let page = page.map_err(|cause| self.error(stack, cause))?;
            resources.extend(page.stack_resource_summaries().iter().filter_map(|resource| {
                Some(StackResource {
                    logical_id: resource.logical_resource_id()?.to_owned(),
                    physical_id: resource.physical_resource_id().map(ToOwned::to_owned),
                    resource_type: resource.resource_type()?.to_owned(),
                    status: resource.resource_status()?.as_str().to_owned(),
                })
            }));
            token = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(resources);
            }
        }
        Err(self.error(stack, Error::Protocol("the list of resources does not end")))
    }

    /// Returns the template of a stack as it was deployed, before transforms. Needs
    /// `cloudformation:GetTemplate`.
    ///
    /// # Errors
    /// CloudFormation's error, also if there is no such stack.
    pub async fn template(&self, stack: &str) -> Result<String, StackError> {
        let request =
            self.client.sdk.get_template().stack_name(stack).template_stage(TemplateStage::Original);
        let response = self.client.send("cloudformation:GetTemplate", || request.clone().send()).await;
        let response = response.map_err(|cause| self.error(stack, cause))?;
        response.template_body.ok_or_else(|| self.incomplete(stack))
    }

    fn error(&self, stack: &str, cause: Error) -> StackError {
        /// Maximum length of an ARN with the longest name, in characters.
        const MAX_CHARS: usize = 300;
        StackError { stack: SanitizedText::new(stack, MAX_CHARS), region: self.region.clone(), cause }
    }

    fn incomplete(&self, stack: &str) -> StackError {
        self.error(stack, Error::Protocol("CloudFormation returned an incomplete description"))
    }
}

#[cfg(test)]
mod tests;
