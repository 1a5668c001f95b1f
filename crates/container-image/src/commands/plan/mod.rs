//! `container-image plan`: what would fail in a deployment of templates, and in a copy of lists.
//!
//! [`inputs`] reads the files, and [`stack`] the deployed stack. [`check`] checks one image with its [`properties`],
//! its [`source`] and [`target`], the [`provider`] and its [`role`]. [`consumers`] and [`conflicts`] compare the images of one
//! template. [`findings`] are the result.

mod check;
mod conflicts;
mod consumers;
mod findings;
mod inputs;
mod properties;
mod provider;
mod role;
mod source;
mod stack;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use image_copy_aws::Partition;

use crate::args::{PlanArgs, Verbosity};
use crate::connection::Connection;
use crate::report::aws_failure::stack_failure;
use crate::report::{self, deployment};
use crate::signals::wait_for_signal;
use crate::template::{self, Resources};
use check::Checker;
use inputs::Inputs;
use provider::Providers;
use stack::Deployed;

pub(crate) use findings::{Event, Finding, Findings, ImagePlan};

/// Code of an error in a template.
const TEMPLATE_ERROR: &str = "CI-404";

/// Account of hosts in messages if the account is unknown.
const UNKNOWN_ACCOUNT: &str = "000000000000";

/// Plans a deployment, and prints the result.
pub(crate) async fn run(args: &PlanArgs, verbosity: Verbosity) -> ExitCode {
    let inputs = match inputs::read(args) {
        Ok(inputs) => inputs,
        Err(lines) => return report::invalid(&lines),
    };
    let requests = || inputs.images.iter().map(|image| &image.request);
    let repositories = requests().flat_map(|request| [&request.destination, &request.source.repository]);
    let connection = match Connection::open(&args.connection, repositories) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    let region = match connection.configured_region().await {
        Some(region) => region,
        None if inputs.templates.is_empty() => String::new(),
        None => {
            let line = "no AWS Region is configured, and templates depend on it. Pass --region.";
            return report::invalid(&[line.to_owned()]);
        }
    };
    let plan = tokio::select! {
        plan = plan(args, &inputs, &connection, &region) => plan,
        signal = wait_for_signal() => return report::interrupted(signal, "nothing was changed"),
    };
    match plan {
        Ok(plan) => deployment::print(&plan, args.json, verbosity),
        Err(line) => report::fail(&line),
    }
}

/// The result of a plan.
#[derive(Debug, Default)]
pub(crate) struct DeploymentPlan {
    pub(crate) images: Vec<ImagePlan>,
    /// Findings that do not concern one image.
    pub(crate) others: Findings,
}

/// # Errors
/// Error line if the stack cannot be read.
async fn plan(
    args: &PlanArgs,
    inputs: &Inputs,
    connection: &Connection,
    region: &str,
) -> Result<DeploymentPlan, String> {
    let account = match inputs.templates.is_empty() {
        true => Err(String::new()),
        false => {
            let account = connection.aws_clients().await.caller_account().await;
            account.map_err(|error| format!("the AWS account is unknown ({error})"))
        }
    };
    let suffix = Partition::of_region(region).suffix();
    let shown_account = account.as_deref().unwrap_or(UNKNOWN_ACCOUNT);
    let default_host = format!("{shown_account}.dkr.ecr.{region}.{suffix}");
    let mut values = template::Inputs {
        parameters: inputs.parameters.clone(),
        hidden: BTreeSet::new(),
        region: region.to_owned(),
        account: account.clone(),
        stack_name: None,
        physical_ids: BTreeMap::new(),
    };
    let deployed = match &args.stack {
        Some(name) => {
            let read = Deployed::read(&connection.aws_clients().await, name, &values).await;
            Some(read.map_err(|error| stack_failure(&error, &args.connection))?)
        }
        None => None,
    };
    if let Some(deployed) = &deployed {
        values.stack_name = Some(deployed.name.clone());
        values.physical_ids = deployed.physical_ids.clone();
        values.hidden = deployed.hidden.clone();
        let kept = deployed.parameters.iter().map(|(name, value)| (name.clone(), value.clone()));
        values.parameters = kept.chain(inputs.parameters.clone()).collect();
    }
    let checker = Checker {
        connection,
        options: &args.connection,
        providers: Providers::new(connection, region),
        deployed: deployed.as_ref(),
        default_host,
    };
    let templates: Vec<(&str, Resources)> = inputs
        .templates
        .iter()
        .map(|file| (file.name.as_str(), template::evaluate(&file.template, &values)))
        .collect();
    let mut checks = Vec::new();
    for (file, resources) in &templates {
        for resource in resources.all.iter().filter(|resource| resource.is_image()) {
            checks.push(checker.resource(file, resources, resource).boxed());
        }
    }
    checks.extend(inputs.images.iter().map(|image| checker.listed(image).boxed()));
    let mut images: Vec<ImagePlan> = stream::iter(checks).buffered(args.jobs.into()).collect().await;
    let mut others = Findings::default();
    for (file, resources) in &templates {
        others.extend(template_findings(file, resources));
        others.extend(consumers::check(file, resources, &images));
    }
    others.extend(conflicts::check(&images));
    if let (Some(deployed), [(file, resources)]) = (&deployed, templates.as_slice()) {
        others.extend(deployed.check_status(file));
        others.extend(checker.new_repositories(file, resources, deployed).await);
        images.extend(deployed.deleted(file, resources));
    }
    Ok(DeploymentPlan { images, others })
}

/// Returns the errors of a template, and its loops, which are not evaluated.
fn template_findings(file: &str, resources: &Resources) -> Findings {
    let finding =
        |line: usize, text: String, code| Finding { file: file.to_owned(), line, resource: None, text, code };
    let errors = resources.errors.iter();
    let errors = errors
        .map(|error| finding(error.line, format!("{}.", sentence(&error.problem)), Some(TEMPLATE_ERROR)));
    let loops = resources.loops.iter();
    let loops = loops.map(|(line, name)| {
        finding(*line, format!("the resources of {name}: loops are not evaluated"), None)
    });
    Findings { failures: errors.collect(), not_checked: loops.collect() }
}

/// Returns the text with an upper-case first letter.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
