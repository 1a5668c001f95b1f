//! Checks one image: its properties, the source, the repository, and the provider.

use image_copy::copy::{self, Destination, Failure, Plan, PlatformSelection, Problem, Request, Side, Source};

use super::findings::{Event, ImagePlan};
use super::properties;
use super::provider::{Providers, Settings};
use super::stack::Deployed;
use super::target::Target;
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
    pub(super) deployed: Option<&'a Deployed>,
    /// Host of the account's registry in the Region of the stack.
    pub(super) default_host: String,
}

impl Checker<'_> {
    /// Checks an image of a list.
    pub(super) async fn listed(&self, image: &Image) -> ImagePlan {
        let (file, line) = image.origin.clone().unwrap_or_default();
        let mut plan = ImagePlan::new(&file, line, None);
        plan.set_request(&image.request);
        let destination = self.connection.destination(&image.request.destination).await;
        let repository = image.request.source.repository.clone();
        let source = Source::from(self.connection.client.repository(repository, None));
        self.copy(&mut plan, &image.request, &source, destination, Some(image)).await;
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
        if self.deployed.is_some_and(|deployed| deployed.is_unchanged(resource)) {
            plan.event = Some(Event::None);
            return plan;
        }
        self.check(&mut plan, resources, resource).await;
        plan.event = self.deployed.map(|deployed| deployed.event(resource, &plan));
        plan
    }

    async fn check(&self, plan: &mut ImagePlan, resources: &Resources, resource: &Resource) {
        let line = plan.line;
        let provider = self.provider(resource, plan).await;
        let settings = match &provider {
            Some((_, Settings::Valid(settings))) => Some(settings),
            _ => None,
        };
        let Some(known) = properties::check(resource, self.previous(resource), settings, plan) else {
            return;
        };
        if let (Some(settings), false) = (settings, known.is_unknown("ImageReference"))
            && let Err(error) = settings.allowed_sources.check(&known.properties.source)
        {
            let text =
                format!("{error}. Check the name in ImageReference, or add the source to AllowedSources.");
            plan.fail(line, text, "CI-106");
        }
        let target = self.target(resources, resource, &known);
        self.check_order(&target, resource, plan).await;
        if let Some((role, _)) = &provider {
            self.permissions(role, &target, resource, plan).await;
        }
        if known.is_unknown("ImageReference") {
            return;
        }
        let has_known_name = matches!(target, Target::Existing(_) | Target::New { arn: Some(_), .. });
        let (destination, name) = self.destination(target, resource, plan).await;
        let mut request = Request { destination: name, ..known.properties.request() };
        if known.is_unknown("Tag") {
            request.tag = None;
        }
        plan.set_request(&request);
        if !has_known_name {
            plan.destination = None;
        }
        let mirrors = settings.map(|settings| settings.mirrors.as_slice()).unwrap_or_default();
        if known.is_unknown("Platform") {
            // All platforms are the upper limit of the size.
            request.platforms = PlatformSelection::All;
        }
        let secret_line =
            if known.properties.credentials.is_some() { resource.line_of("CredentialArn") } else { line };
        let access = self.source_access(&known, settings, secret_line, plan).await;
        let client = &access.client;
        let source = Source::with_mirrors(client, request.source.repository.clone(), None, mirrors);
        let before = plan.findings.failures.len();
        self.copy(plan, &request, &source, destination, None).await;
        if access.is_uncertain {
            excuse_credentials(plan, before);
        }
        if known.is_unknown("Platform")
            && let Some(change) = &mut plan.change
        {
            change.platforms.clear();
        }
        check_time(plan, resource);
        if known.is_unknown("Customize") {
            // The digest of the changed image is unknown, and so is the effect on the tag.
            plan.change = None;
        }
    }

    /// Returns the properties of the deployed resource.
    pub(super) fn previous(&self, resource: &Resource) -> Option<&Value> {
        self.deployed.and_then(|deployed| deployed.properties(&resource.name))
    }

    /// Plans the copy. If the destination cannot be read, the source is still checked.
    async fn copy(
        &self,
        plan: &mut ImagePlan,
        request: &Request,
        source: &Source,
        destination: Destination,
        list_image: Option<&Image>,
    ) {
        let mut result = planned(request, source, destination).await;
        if let Err(failure) = &result
            && failure.side() == Side::Destination
        {
            self.add_failure(plan, failure, list_image);
            result = planned(request, source, self.new_destination(&request.destination)).await;
        }
        match result {
            Ok(planned) => {
                plan.change = Some(Change::of_plan(&planned));
                plan.customized = planned.customized;
            }
            Err(failure) => self.add_failure(plan, &failure, list_image),
        }
        let usage = source.upstream().usage();
        if request.source.repository.registry().is_docker_hub() {
            plan.pulls = usage.manifest_gets;
            plan.rate_limit = usage.rate_limit;
        }
    }

    fn add_failure(&self, plan: &mut ImagePlan, failure: &Failure, list_image: Option<&Image>) {
        let text = plan_failure(failure, self.options, list_image);
        match is_about_this_machine(failure) {
            true => plan.not_checked(plan.line, text),
            false => plan.fail(plan.line, text, failure.code()),
        }
    }
}

async fn planned(request: &Request, source: &Source, destination: Destination) -> Result<Plan, copy::Error> {
    Prepared::of_destination(request, source, destination).await?.plan().await
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

/// Failures of authentication do not concern a function with other credentials.
fn excuse_credentials(plan: &mut ImagePlan, before: usize) {
    let is_about_credentials = |code: Option<&str>| matches!(code, Some("CI-004" | "CI-005" | "CI-006"));
    let failures = plan.findings.failures.split_off(before);
    for failure in failures {
        if is_about_credentials(failure.code) {
            let reason = failure.text.split(". ").next().unwrap_or_default();
            plan.not_checked(
                failure.line,
                format!("the source, because the function can have credentials: {reason}"),
            );
        } else {
            plan.findings.failures.push(failure);
        }
    }
}

/// Adds a failure if the copy takes longer than CloudFormation waits.
fn check_time(plan: &mut ImagePlan, resource: &Resource) {
    let timeout = resource.properties.get("ServiceTimeout").and_then(Value::text);
    let timeout = timeout.and_then(|text| text.parse::<u64>().ok());
    let limit = timeout.unwrap_or(MAX_SERVICE_TIMEOUT);
    if timeout.is_some_and(|timeout| !(1..=MAX_SERVICE_TIMEOUT).contains(&timeout)) {
        let text = format!(
            "ServiceTimeout is {}: expected 1 to {MAX_SERVICE_TIMEOUT} seconds.",
            timeout.unwrap_or_default()
        );
        return plan.fail(resource.line_of("ServiceTimeout"), text, "CI-102");
    }
    let Some(seconds) = plan.seconds().filter(|seconds| *seconds > limit) else { return };
    let advice = if limit < MAX_SERVICE_TIMEOUT { "Increase ServiceTimeout" } else { "Copy fewer platforms" };
    let text = format!("The copy takes about {seconds} s, but CloudFormation waits {limit} s. {advice}.");
    plan.fail(resource.line_of("ServiceTimeout"), text, "CI-303");
}

#[cfg(test)]
mod tests {
    use image_copy::oci::Digest;

    use super::*;
    use crate::commands::sync::ChangeKind;
    use crate::template::{self, Inputs, Template};

    /// Returns the failure of a copy with this size.
    fn failure(bytes: u64, timeout: &str) -> Option<String> {
        let text = format!("Resources: {{A: {{Type: x, Properties: {{ServiceTimeout: {timeout}}}}}}}");
        let inputs = Inputs {
            parameters: [].into(),
            hidden: [].into(),
            region: "eu-west-1".into(),
            account: Err(String::new()),
            stack_name: None,
            physical_ids: [].into(),
        };
        let resources = template::evaluate(&Template::parse(&text).ok().flatten()?, &inputs);
        let mut plan = ImagePlan::new("a.yaml", 1, Some("A"));
        plan.change = Some(Change {
            kind: ChangeKind::New,
            digest: Digest::of(b""),
            platforms: Vec::new(),
            size: Some(bytes),
            bytes,
            attestations_left_out: 0,
            warning: None,
        });
        check_time(&mut plan, &resources.all[0]);
        plan.findings.failures.pop().map(|finding| finding.text)
    }

    #[test]
    fn a_copy_must_end_before_cloudformation_stops_waiting() {
        const RATE: u64 = 78_000_000;
        assert_eq!(failure(60 * RATE, "60"), None);
        let text = "The copy takes about 61 s, but CloudFormation waits 60 s. Increase ServiceTimeout.";
        assert_eq!(failure(60 * RATE + 1, "60").as_deref(), Some(text));
        assert_eq!(failure(3600 * RATE, "3600"), None);
        let invalid = "ServiceTimeout is 9999: expected 1 to 3600 seconds.";
        assert_eq!(failure(1, "9999").as_deref(), Some(invalid));
        let text = "The copy takes about 4000 s, but CloudFormation waits 3600 s. Copy fewer platforms.";
        assert_eq!(failure(4000 * RATE, "3600").as_deref(), Some(text));
    }
}
