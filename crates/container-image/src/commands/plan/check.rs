//! Checks one image: its properties, the source, the repository, the provider's settings and permissions.

use image_copy::copy::{self, Destination, Failure, PlatformSelection, Problem, Request, Side, Source};
use image_copy::oci;
use image_copy_aws::{CopySettings, DeniedAction, InvalidProperty, NewRepository, RepositoryArn};

use super::findings::{INVOCATION_SECONDS, ImagePlan};
use super::properties::{self, Known};
use super::provider::{Provider, Providers, Settings};
use crate::args::ConnectionArgs;
use crate::commands::sync::{Change, Image};
use crate::connection::Connection;
use crate::planning::Prepared;
use crate::report::plan_failure;
use crate::template::{Resource, Resources, Value};

/// CloudFormation's maximum time for a custom resource in seconds
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-cloudformation-customresource.html>).
const MAX_SERVICE_TIMEOUT: u64 = 3600;

/// Checks images.
pub(super) struct Checker<'a> {
    pub(super) connection: &'a Connection,
    pub(super) options: &'a ConnectionArgs,
    pub(super) providers: Providers<'a>,
    /// Host of the account's registry in the Region of the stack.
    pub(super) default_host: String,
}

/// Destination of an image.
enum Target {
    /// A repository with this ARN.
    Existing(RepositoryArn),
    /// A repository that the template creates. Its ARN is unknown if CloudFormation generates the name.
    New { arn: Option<RepositoryArn>, name: oci::Repository, has_policy: bool },
    /// The reason why the repository is unknown.
    Unknown(oci::Repository, String),
}

impl Checker<'_> {
    /// Checks an image of a list.
    pub(super) async fn listed(&self, image: &Image) -> ImagePlan {
        let (file, line) = image.origin.clone().unwrap_or_default();
        let mut plan = ImagePlan::new(&file, line, None);
        plan.set_request(&image.request);
        let destination = self.connection.destination(&image.request.destination).await;
        self.copy(&mut plan, &image.request, destination, &[], line).await;
        plan
    }

    /// Checks an image of a template.
    pub(super) async fn resource(&self, file: &str, resources: &Resources, resource: &Resource) -> ImagePlan {
        let line = resource.line_of("ImageReference");
        let mut plan = ImagePlan::new(file, line, Some(&resource.name));
        if let Some(unknown) = &resource.condition {
            plan.not_checked(resource.line, format!("its condition is unknown: {unknown}"));
            return plan;
        }
        let provider = self.provider(resource, &mut plan).await;
        let settings = match &provider {
            Some((_, Settings::Valid(settings))) => Some(settings),
            _ => None,
        };
        let Some(known) = properties_of(resource, settings, &mut plan) else { return plan };
        if let (Some(settings), false) = (settings, known.is_unknown("ImageReference"))
            && let Err(error) = settings.allowed_sources.check(&known.properties.source)
        {
            let text =
                format!("{error}. Check the name in ImageReference, or add the source to AllowedSources.");
            plan.fail(line, text, "CI-106");
        }
        let target = self.target(resources, resource, &known);
        if let Some((role, _)) = &provider {
            self.permissions(role, &target, resource, &mut plan).await;
        }
        if known.is_unknown("ImageReference") {
            return plan;
        }
        let has_known_name = matches!(target, Target::Existing(_) | Target::New { arn: Some(_), .. });
        let (destination, name) = self.destination(target, resource, &mut plan).await;
        let mut request = Request { destination: name, ..known.properties.request() };
        if known.is_unknown("Tag") {
            request.tag = None;
        }
        plan.set_request(&request);
        if !has_known_name {
            plan.destination = None;
        }
        let mirrors = settings.map(|settings| settings.mirrors.as_slice()).unwrap_or_default();
        let has_secret = resource.properties.get("CredentialArn").is_some()
            || settings.is_some_and(|settings| {
                let registry = request.source.repository.registry();
                settings.registry_credentials.iter().any(|listed| listed.registry == *registry)
            });
        if known.is_unknown("Platform") {
            // All platforms are the upper limit of the size.
            request.platforms = PlatformSelection::All;
        }
        let before = plan.findings.failures.len();
        self.copy(&mut plan, &request, destination, mirrors, line).await;
        if has_secret {
            excuse_credentials(&mut plan, before);
        }
        if known.is_unknown("Platform")
            && let Some(change) = &mut plan.change
        {
            change.platforms.clear();
        }
        check_time(&mut plan, resource);
        plan
    }

    /// Returns role and settings of the function, unless they are unknown.
    async fn provider(&self, resource: &Resource, plan: &mut ImagePlan) -> Option<(String, Settings)> {
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
                plan.fail(line, text, "CI-401");
                return None;
            }
        };
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
                plan.fail(line, text, "CI-401");
                None
            }
            Provider::Unknown(reason) => {
                plan.not_checked(line, format!("the provider's settings and permissions: {reason}"));
                None
            }
        }
    }

    fn target(&self, resources: &Resources, resource: &Resource, known: &Known) -> Target {
        let has_policy = |repository: &Resource| repository.properties.get("RepositoryPolicyText").is_some();
        let arn = known.properties.repository.clone();
        let Some(Value::Unknown(unknown)) = resource.properties.get("RepositoryArn") else {
            let creates = |other: &&Resource| {
                let name = other.properties.get("RepositoryName").and_then(Value::text);
                other.is_repository() && name == Some(arn.name()) && arn.host() == self.default_host
            };
            return match resources.all.iter().find(creates) {
                Some(repository) => {
                    Target::New { name: arn.repository(), has_policy: has_policy(repository), arn: Some(arn) }
                }
                None => Target::Existing(arn),
            };
        };
        let created = unknown.resources.iter().filter_map(|name| resources.get(name));
        let created = created.into_iter().find(|other| other.is_repository());
        // A placeholder for the generated name, which is only compared.
        let name = created.map_or(resource.name.as_str(), |repository| repository.name.as_str());
        let name = format!("{}/{}", self.default_host, name.to_ascii_lowercase());
        let name = name.parse::<oci::Reference>().map(|reference| reference.repository);
        let name = name.unwrap_or_else(|_| arn.repository());
        match created {
            Some(repository) => Target::New { arn: None, name, has_policy: has_policy(repository) },
            None => Target::Unknown(name, unknown.to_string()),
        }
    }

    /// Returns the destination with its name. A repository that cannot be read counts as new.
    async fn destination(
        &self,
        target: Target,
        resource: &Resource,
        plan: &mut ImagePlan,
    ) -> (Destination, oci::Repository) {
        let new = |name: &oci::Repository| self.new_destination(name);
        match target {
            Target::Existing(arn) => {
                let name = arn.repository();
                (self.connection.destination(&name).await, name)
            }
            // An earlier deployment can have created it.
            Target::New { arn: Some(_), name, .. } => match self.connection.existing_or_empty(&name).await {
                Some(destination) => (destination, name),
                None => (new(&name), name),
            },
            Target::New { arn: None, name, .. } => (new(&name), name),
            Target::Unknown(name, reason) => {
                plan.not_checked(resource.line_of("RepositoryArn"), format!("the repository: {reason}"));
                (new(&name), name)
            }
        }
    }

    fn new_destination(&self, name: &oci::Repository) -> Destination {
        let registry = self.connection.client.repository(name.clone(), None);
        Destination::with_inventory(registry, std::sync::Arc::new(NewRepository))
    }

    /// Adds the permissions that the function's role lacks.
    async fn permissions(&self, role: &str, target: &Target, resource: &Resource, plan: &mut ImagePlan) {
        let line = resource.line_of("RepositoryArn");
        let (Target::Existing(arn) | Target::New { arn: Some(arn), .. }) = target else {
            let text = format!("the permissions of {role}: the name of the repository is unknown");
            return plan.not_checked(line, text);
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
        let may_have_policy = match target {
            Target::New { has_policy, .. } => *has_policy,
            _ => self.connection.may_have_policy(arn).await,
        };
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

    /// Plans the copy. If the destination cannot be read, the source is still checked.
    async fn copy(
        &self,
        plan: &mut ImagePlan,
        request: &Request,
        destination: Destination,
        mirrors: &[copy::Mirror],
        line: usize,
    ) {
        let client = &self.connection.client;
        let source = Source::with_mirrors(client, request.source.repository.clone(), None, mirrors);
        let mut result = planned(request, &source, destination).await;
        if let Err(failure) = &result
            && failure.side() == Side::Destination
        {
            self.add_failure(plan, failure, line);
            result = planned(request, &source, self.new_destination(&request.destination)).await;
        }
        match result {
            Ok(change) => plan.change = Some(change),
            Err(failure) => self.add_failure(plan, &failure, line),
        }
        let usage = source.upstream().usage();
        if request.source.repository.registry().is_docker_hub() {
            plan.pulls = usage.manifest_gets;
            plan.rate_limit = usage.rate_limit;
        }
    }

    fn add_failure(&self, plan: &mut ImagePlan, failure: &Failure, line: usize) {
        let text = plan_failure(failure, self.options, plan.resource.is_some());
        match is_about_this_machine(failure) {
            true => plan.not_checked(line, text),
            false => plan.fail(line, text, failure.code()),
        }
    }
}

async fn planned(
    request: &Request,
    source: &Source,
    destination: Destination,
) -> Result<Change, copy::Error> {
    let prepared = Prepared::of_destination(request, source, destination).await?;
    Ok(Change::of_plan(&prepared.plan().await?))
}

/// Returns true if the failure concerns the user's credentials or limits. The function has others.
fn is_about_this_machine(failure: &Failure) -> bool {
    match failure.problem() {
        Problem::CredentialsUnavailable
        | Problem::CredentialsRejected
        | Problem::PullLimit
        | Problem::Throttled
        | Problem::Interrupted
        | Problem::ProxyUnreachable => true,
        Problem::CredentialsRequired | Problem::AccessDenied | Problem::Unreachable => {
            failure.side() == Side::Destination || failure.is_ecr()
        }
        _ => false,
    }
}

/// Returns the valid properties. Adds a failure if a known one is invalid.
fn properties_of(
    resource: &Resource,
    settings: Option<&CopySettings>,
    plan: &mut ImagePlan,
) -> Option<Known> {
    let default = settings.map(|settings| settings.default_platforms.clone());
    match properties::parse(&resource.properties, default) {
        Ok(known) => {
            for (name, unknown) in &known.unknown {
                plan.not_checked(resource.line_of(name), format!("{name}: {unknown}"));
            }
            Some(known)
        }
        Err(error) => {
            let code = match &error {
                InvalidProperty::Missing(_) => "CI-101",
                InvalidProperty::Value(_) => "CI-102",
                InvalidProperty::Unknown(_) => "CI-103",
            };
            let line = properties::line_of(resource, &error);
            let text = error.to_string();
            plan.fail(line, if text.ends_with('?') { text } else { format!("{text}.") }, code);
            None
        }
    }
}

/// Failures of authentication do not concern a function that has credentials in a secret.
fn excuse_credentials(plan: &mut ImagePlan, before: usize) {
    let is_about_credentials = |code: Option<&str>| matches!(code, Some("CI-004" | "CI-005" | "CI-006"));
    let failures = plan.findings.failures.split_off(before);
    for failure in failures {
        if is_about_credentials(failure.code) {
            let text = "the source: the function reads it with the credentials of a secret";
            plan.not_checked(failure.line, text);
        } else {
            plan.findings.failures.push(failure);
        }
    }
}

/// Adds a failure if the copy takes longer than CloudFormation waits.
fn check_time(plan: &mut ImagePlan, resource: &Resource) {
    let timeout = resource.properties.get("ServiceTimeout").and_then(Value::text);
    let timeout = timeout.and_then(|text| text.parse::<u64>().ok());
    let limit = timeout.unwrap_or(MAX_SERVICE_TIMEOUT).min(MAX_SERVICE_TIMEOUT);
    let Some(seconds) = plan.seconds().filter(|seconds| *seconds > limit.min(INVOCATION_SECONDS)) else {
        return;
    };
    let line = resource.line_of("ServiceTimeout");
    if seconds > limit {
        let advice =
            if limit < MAX_SERVICE_TIMEOUT { "Increase ServiceTimeout" } else { "Copy fewer platforms" };
        let text = format!("The copy takes about {seconds} s, but CloudFormation waits {limit} s. {advice}.");
        plan.fail(line, text, "CI-303");
    }
}
