//! Reads what a deployment of images depends on: the account, the provider's function, and the permissions of its
//! role. Only reads.

use std::collections::HashMap;

use aws_config::Region;
use aws_sdk_iam::types::{EvaluationResult, PolicyEvaluationDecisionType};
use image_copy::registry::Error;

use crate::arn::{ArnParts, RepositoryArn};
use crate::clients::AwsClients;
use crate::ecr_registry_host::EcrRegistryHost;
use crate::endpoints::Service;
use crate::repository::EcrRepository;
use crate::repository_policy::RepositoryPolicy;
use crate::retry::{RetryingClient, message_text};

/// Actions on the repository that every copy needs.
pub(crate) const REPOSITORY_ACTIONS: [&str; 7] = [
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
];

/// Configuration of a Lambda function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionConfiguration {
    /// ARN of its role.
    pub role: String,
    /// Environment variables, or the reason why they cannot be read, such as a denied KMS key.
    pub environment: Result<HashMap<String, String>, String>,
}

/// An action that the policies of a role do not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeniedAction {
    /// Name of the action in IAM policies.
    pub action: String,
    /// True if a statement denies it. Otherwise a policy of the repository can still allow it.
    pub is_explicit: bool,
    /// Keys of conditions whose values are unknown, such as a tag of the repository. The result depends on them.
    pub missing_keys: Vec<String>,
}

/// Returns the Region of the ARN of a Lambda function. `None` if it is another text.
#[must_use]
pub fn function_region(arn: &str) -> Option<&str> {
    let parts = ArnParts::parse(arn)?;
    (parts.service == "lambda" && parts.resource.starts_with("function:")).then_some(parts.region)
}

impl AwsClients {
    fn region(&self) -> String {
        self.config().region().map(ToString::to_string).unwrap_or_default()
    }

    /// Returns the account of the credentials: the account in the URL of its registry
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_AuthorizationData.html>). Every user of ECR
    /// has this permission.
    ///
    /// # Errors
    /// ECR's error.
    pub async fn caller_account(&self) -> Result<String, Error> {
        let client = self.ecr_client(&self.region(), None);
        let response =
            client.send("ecr:GetAuthorizationToken", || client.sdk.get_authorization_token().send()).await?;
        let endpoint = response.authorization_data().first().and_then(|data| data.proxy_endpoint());
        let host = endpoint.and_then(|url| EcrRegistryHost::parse(url.trim_start_matches("https://")));
        host.map(|host| host.account).ok_or(Error::Protocol("ECR returned no registry of the account"))
    }

    /// Reads the configuration of the function with this ARN.
    ///
    /// # Errors
    /// Lambda's error, with `ResourceNotFoundException` if the function is missing.
    pub async fn function_configuration(&self, arn: &str) -> Result<FunctionConfiguration, Error> {
        let region = function_region(arn).map_or_else(|| self.region(), ToOwned::to_owned);
        let config = aws_sdk_lambda::config::Builder::from(self.config()).region(Region::new(region.clone()));
        let sdk = aws_sdk_lambda::Client::from_conf(config.build());
        let host = self.api_host(Service::Lambda, &region);
        let client = RetryingClient::new(sdk, host, None, self.retry_policy());
        let request = client.sdk.get_function_configuration().function_name(arn);
        let response = client.send("lambda:GetFunctionConfiguration", || request.clone().send()).await?;
        let environment = response.environment();
        let error = environment.and_then(|environment| environment.error());
        Ok(FunctionConfiguration {
            role: response.role().unwrap_or_default().to_owned(),
            environment: match error {
                Some(error) => Err(message_text(error.message()).to_string()),
                None => Ok(environment.and_then(|all| all.variables()).cloned().unwrap_or_default()),
            },
        })
    }

    /// Returns the actions of a copy to `repository` that the policies of `role` do not allow. Policies of the
    /// repository are not part of the simulation
    /// (<https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>).
    ///
    /// # Errors
    /// IAM's error.
    pub async fn denied_actions(
        &self,
        role: &str,
        repository: &RepositoryArn,
    ) -> Result<Vec<DeniedAction>, Error> {
        let host = format!("iam.{}", repository.partition().suffix());
        let sdk = aws_sdk_iam::Client::new(self.config());
        let client = RetryingClient::new(sdk, host, None, self.retry_policy());
        let token = vec!["ecr:GetAuthorizationToken".to_owned()];
        let actions = REPOSITORY_ACTIONS.map(ToOwned::to_owned).to_vec();
        let mut denied = Vec::new();
        for (actions, resource) in [(token, "*".to_owned()), (actions, repository.to_string())] {
            let request = client
                .sdk
                .simulate_principal_policy()
                .policy_source_arn(role)
                .set_action_names(Some(actions))
                .resource_arns(resource);
            let response = client.send("iam:SimulatePrincipalPolicy", || request.clone().send()).await?;
            denied.extend(response.evaluation_results().iter().filter_map(denied_action));
        }
        Ok(denied)
    }
}

fn denied_action(result: &EvaluationResult) -> Option<DeniedAction> {
    let decision = result.eval_decision();
    (*decision != PolicyEvaluationDecisionType::Allowed).then(|| DeniedAction {
        action: result.eval_action_name().to_owned(),
        is_explicit: *decision == PolicyEvaluationDecisionType::ExplicitDeny,
        missing_keys: result.missing_context_values().to_vec(),
    })
}

impl EcrRepository {
    /// Reads the repository's own policy.
    ///
    /// # Errors
    /// ECR's error, with `RepositoryNotFoundException` if the repository is missing.
    pub async fn policy(&self) -> Result<Option<RepositoryPolicy>, Error> {
        let request = self
            .client
            .sdk
            .get_repository_policy()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name());
        match self.client.send("ecr:GetRepositoryPolicy", || request.clone().send()).await {
            Ok(response) => Ok(response.policy_text().map(RepositoryPolicy::parse)),
            Err(error) if error.has_code("RepositoryPolicyNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
