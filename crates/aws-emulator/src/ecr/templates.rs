//! Repository creation templates: settings of repositories that ECR creates itself
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-create.html>).
//!
//! `CreateRepository` uses no template.

use serde_json::{Value, json};

use crate::api::now;

use super::describe::page;
use super::error::ApiError;
use super::store::{Repository, RepositoryKey, Settings, State};
use super::{lifecycle, policies, settings};

/// Prefix of the template for repositories without another template.
const ROOT: &str = "ROOT";

/// A repository creation template.
pub(super) struct Template {
    /// Account, Region and prefix.
    prefix_key: RepositoryKey,
    /// Actions that use the template, such as `CREATE_ON_PUSH`.
    applied_for: Vec<String>,
    settings: Settings,
    created: f64,
}

impl Template {
    fn is_in(&self, account: &str, region: &str) -> bool {
        self.prefix_key.account == account && self.prefix_key.region == region
    }

    fn prefix(&self) -> &str {
        &self.prefix_key.repository
    }

    /// Returns true for a repository below the prefix: "There is always an assumed / applied to the end of the
    /// prefix" (API reference, `CreateRepositoryCreationTemplate`).
    fn matches(&self, key: &RepositoryKey) -> bool {
        let below =
            |prefix| key.repository.strip_prefix(prefix).is_some_and(|rest: &str| rest.starts_with('/'));
        self.is_in(&key.account, &key.region) && (self.prefix() == ROOT || below(self.prefix()))
    }

    fn detail(&self) -> Value {
        let mut detail = json!({
            "prefix": self.prefix(),
            "appliedFor": self.applied_for,
            "encryptionConfiguration": settings::encryption_json(&self.settings),
            "resourceTags": settings::resource_tags_json(&self.settings.resource_tags),
            "createdAt": self.created,
            "updatedAt": self.created,
        });
        settings::add_mutability(&mut detail, &self.settings.mutability);
        for (name, text) in [
            ("lifecyclePolicy", &self.settings.lifecycle_policy),
            ("repositoryPolicy", &self.settings.repository_policy),
        ] {
            if let Some(text) = text {
                detail[name] = json!(text);
            }
        }
        detail
    }
}

/// Handles `CreateRepositoryCreationTemplate`.
pub(super) fn create(
    state: &mut State,
    account: &str,
    region: &str,
    input: &Value,
) -> Result<Value, ApiError> {
    let prefix_key = RepositoryKey::new(account, region, input["prefix"].as_str().unwrap_or_default());
    let applied_for = input["appliedFor"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let applied_for: Vec<_> = applied_for.filter_map(Value::as_str).map(ToOwned::to_owned).collect();
    let known = ["CREATE_ON_PUSH", "PULL_THROUGH_CACHE", "REPLICATION"];
    if prefix_key.repository.is_empty()
        || applied_for.is_empty()
        || applied_for.iter().any(|name| !known.contains(&name.as_str()))
    {
        return Err(ApiError::new(
            "InvalidParameterException",
            "Invalid parameter at 'prefix' or 'appliedFor'",
        ));
    }
    if state.templates.iter().any(|template| template.prefix_key == prefix_key) {
        let message =
            "The repository creation template already exists. Specify a unique prefix and try again.";
        return Err(ApiError::new("TemplateAlreadyExistsException", message));
    }
    let text = |name: &str| input[name].as_str().map(ToOwned::to_owned);
    let settings = Settings {
        mutability: settings::mutability(input)?,
        encryption: settings::encryption(&prefix_key, &input["encryptionConfiguration"])?,
        resource_tags: settings::resource_tags(&input["resourceTags"])?,
        lifecycle_policy: text("lifecyclePolicy"),
        repository_policy: text("repositoryPolicy"),
        ..Settings::default()
    };
    settings.lifecycle_policy.as_deref().map_or(Ok(()), lifecycle::check)?;
    settings.repository_policy.as_deref().map_or(Ok(()), policies::check)?;
    if (settings.encryption.is_some() || !settings.resource_tags.is_empty())
        && input["customRoleArn"].is_null()
    {
        // The guide requires a role for KMS keys and resource tags.
        let message = "Invalid parameter at 'customRoleArn': a role is required";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let template = Template { prefix_key, applied_for, settings, created: now() };
    let output = json!({"registryId": account, "repositoryCreationTemplate": template.detail()});
    state.templates.push(template);
    Ok(output)
}

/// Handles `DescribeRepositoryCreationTemplates`.
pub(super) fn describe(state: &State, account: &str, region: &str, input: &Value) -> Result<Value, ApiError> {
    let prefixes = input["prefixes"].as_array().filter(|prefixes| !prefixes.is_empty());
    let wanted = |template: &&Template| {
        template.is_in(account, region)
            && prefixes.is_none_or(|prefixes| prefixes.iter().any(|prefix| prefix == template.prefix()))
    };
    let all = state.templates.iter().filter(wanted).map(Template::detail).collect();
    let mut output = page(all, input, "repositoryCreationTemplates");
    output["registryId"] = json!(account);
    Ok(output)
}

/// Returns the settings of the template for an action such as `CREATE_ON_PUSH`. The longest prefix wins.
pub(super) fn settings(state: &State, key: &RepositoryKey, action: &str) -> Option<Settings> {
    let applies = |template: &&Template| {
        template.applied_for.iter().any(|name| name == action) && template.matches(key)
    };
    let rank = |template: &&Template| if template.prefix() == ROOT { 0 } else { template.prefix().len() };
    state.templates.iter().filter(applies).max_by_key(rank).map(|template| template.settings.clone())
}

/// Creates the repository for a push if a template applies. Returns false if none does
/// (<https://github.com/aws/containers-roadmap/issues/853>).
pub(super) fn create_on_push(state: &mut State, key: &RepositoryKey) -> bool {
    let Some(settings) = settings(state, key, "CREATE_ON_PUSH") else { return false };
    let repository = Repository { settings, created: now(), ..Repository::default() };
    state.repositories.insert(key.clone(), repository);
    true
}
