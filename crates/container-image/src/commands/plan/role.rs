//! The provider of an image: its settings, and the permissions of its role.

use image_copy_aws::{DeniedAction, RepositoryArn};

use super::check::Checker;
use super::findings::ImagePlan;
use super::provider::{Provider, Settings};
use super::target::Target;
use crate::template::{Resource, Value};

/// Code of a function that cannot be called.
const CODE: &str = "CI-401";

impl Checker<'_> {
    /// Returns role and settings of the function, unless they are unknown.
    pub(super) async fn provider(
        &self,
        resource: &Resource,
        plan: &mut ImagePlan,
    ) -> Option<(String, Settings)> {
        let line = resource.line_of("ServiceToken");
        let token = match resource.properties.get("ServiceToken") {
            Some(Value::Text(token)) => token,
            Some(Value::Unknown(unknown)) => {
                plan.not_checked(line, format!("the provider's settings and permissions: {unknown}"));
                return None;
            }
            _ => {
                let text =
                    "ServiceToken is missing or not a string. Set it to the ARN of the provider's function.";
                plan.fail(line, text, CODE);
                return None;
            }
        };
        if let Some(Value::Text(previous)) = self.previous(resource).and_then(|all| all.get("ServiceToken"))
            && previous != token
        {
            // https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html
            let text = "ServiceToken differs from the deployed one, which CloudFormation rejects. Use a new logical ID.";
            plan.fail(line, text, CODE);
        }
        match self.providers.function(token).await {
            Provider::Function { role, settings } => {
                match &settings {
                    Settings::Valid(_) => {}
                    Settings::Invalid(text) => plan.fail(line, text, "CI-105"),
                    Settings::Unknown(reason) => {
                        plan.not_checked(line, format!("the provider's settings: {reason}"));
                    }
                }
                Some((role, settings))
            }
            Provider::Invalid(text) => {
                plan.fail(line, text, CODE);
                None
            }
            Provider::Unknown(reason) => {
                plan.not_checked(line, format!("the provider's settings and permissions: {reason}"));
                None
            }
        }
    }

    /// Adds the permissions that the function's role lacks.
    pub(super) async fn permissions(
        &self,
        role: &str,
        target: &Target,
        resource: &Resource,
        plan: &mut ImagePlan,
    ) {
        let line = resource.line_of("RepositoryArn");
        let (Target::Existing(arn) | Target::New { arn: Some(arn), .. }) = target else {
            let text = format!("the permissions of {role}: the name of the repository is unknown");
            return plan.not_checked(line, text);
        };
        let may_have_policy = match target {
            Target::New { has_policy, .. } => *has_policy,
            _ => self.repository_policy(role, arn, line, plan).await,
        };
        let denied = match self.providers.denied_actions(role, arn).await {
            Ok(denied) => denied,
            Err(reason) => return plan.not_checked(line, format!("the permissions of {role}: {reason}")),
        };
        let missing_keys = |denied: &DeniedAction| !denied.missing_keys.is_empty();
        let (conditional, denied): (Vec<_>, Vec<_>) = denied.into_iter().partition(missing_keys);
        if let Some(first) = conditional.first() {
            let keys = first.missing_keys.join(", ");
            plan.not_checked(line, format!("the permissions of {role}: they depend on {keys}"));
        }
        if denied.is_empty() {
            return;
        }
        let is_explicit = denied.iter().any(|denied| denied.is_explicit);
        if !is_explicit && may_have_policy {
            let text =
                format!("the permissions of {role}: a policy of repository {} can extend them", arn.name());
            return plan.not_checked(line, text);
        }
        let actions: Vec<&str> = denied.iter().map(|denied| denied.action.as_str()).collect();
        let verb = if is_explicit { "denies" } else { "does not allow" };
        let text = format!(
            "Role {role} {verb} {} on {arn}. Allow it, or add the repository to the provider's parameter \
             RepositoryArns.",
            actions.join(", ")
        );
        plan.fail(line, text, "CI-008");
    }
    /// Adds the denials in the repository's own policy. Returns true if the repository can have a policy.
    async fn repository_policy(
        &self,
        role: &str,
        arn: &RepositoryArn,
        line: usize,
        plan: &mut ImagePlan,
    ) -> bool {
        let name = arn.name();
        let policy = match self.connection.repository_policy(arn).await {
            Ok(Some(policy)) => policy,
            Ok(None) => return false,
            // The plan of the copy reports a missing repository.
            Err(Some(error)) if !error.has_code("RepositoryNotFoundException") => {
                plan.not_checked(line, format!("the policy of repository {name}: {error}"));
                return true;
            }
            Err(_) => return true,
        };
        let denials = policy.denials(role);
        if !denials.actions.is_empty() {
            let actions = denials.actions.join(", ");
            let text = format!(
                "The policy of repository {name} denies {actions} to role {role}. Change its statement with Deny."
            );
            plan.fail(line, text, "CI-008");
        } else if denials.depends_on_call {
            let text =
                format!("the permissions of {role}: the policy of repository {name} has conditional denials");
            plan.not_checked(line, text);
        }
        true
    }
}
