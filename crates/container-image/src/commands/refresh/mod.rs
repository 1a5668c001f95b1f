//! `container-image refresh`: starts the state machine of a refresh stack, follows the execution, and prints its
//! report.
//!
//! [`list`] reads the file of `--list`, [`stack`] finds the state machine and the bucket, and [`follow`] waits for the
//! end of the execution. The images are copied by the provider's function in AWS.

mod follow;
mod list;
mod stack;

use std::pin::pin;
use std::process::ExitCode;

use image_copy_aws::{ExecutionStatus, Executions, ObjectLocation, Objects};
use jiff::Timestamp;

use crate::args::{ConnectionArgs, RefreshArgs, Verbosity};
use crate::connection::Connection;
use crate::report::refresh::{self as printing, RefreshReport};
use crate::report::{self, aws_failure};
use crate::signals::wait_for_signal;
use list::List;
use stack::RefreshStack;

/// Maximum size of a report in bytes: 3 kB for each image of the largest list.
const MAX_REPORT_BYTES: u64 = 64 << 20;

/// Name of the error if more images failed than the stack tolerates. The report lists them.
const IMAGES_FAILED: &str = "ImagesFailed";

/// A started execution.
pub(crate) struct Run {
    executions: Executions,
    objects: Objects,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) report: ObjectLocation,
}

/// Starts an execution, and prints its report.
pub(crate) async fn run(args: &RefreshArgs, verbosity: Verbosity) -> ExitCode {
    let list = match args.list.as_deref().map(list::read).transpose() {
        Ok(list) => list,
        Err(lines) => return report::invalid(&lines),
    };
    let options = args.aws.connection();
    let connection = match Connection::open(&options, []) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    if connection.configured_region().await.is_none() {
        let line = "no AWS Region is configured. Pass the Region of the stack with --region.";
        return report::invalid(&[line.to_owned()]);
    }
    // One handler for the whole run, because a signal between two handlers would be lost.
    let mut signal = pin!(wait_for_signal());
    let stack = async {
        let clients = connection.aws_clients().await;
        RefreshStack::read(&clients.stacks(), &args.stack, &options).await
    };
    let stack = tokio::select! {
        stack = stack => stack,
        signal = &mut signal => return report::interrupted(signal, "nothing was changed"),
    };
    let stack = match stack {
        Ok(stack) => stack,
        Err(line) => return report::fail(&line),
    };
    if let Some(list) = &list {
        if let Err(lines) = list.check(&stack.prefix) {
            return report::invalid(&lines);
        }
        if args.dry_run {
            return report::print(&printing::valid_list(&list.name, list.entries, &args.stack), "");
        }
    }
    let started = tokio::select! {
        started = start(args, stack, list, &connection, &options, verbosity) => started,
        signal = &mut signal => return report::interrupted(signal, "a run may have been started"),
    };
    let run = match started {
        Ok(run) => run,
        Err(line) => return report::fail(&line),
    };
    if args.no_wait {
        return report::print(&run.arn, "");
    }
    let finished = async {
        let execution = follow::follow(&run, verbosity).await;
        let execution =
            execution.map_err(|cause| aws_failure::unknown_execution(&run.arn, cause, &options))?;
        // An execution that failed later, for example in its notification, has a report too.
        let report = run.objects.get(&run.report, MAX_REPORT_BYTES).await;
        Ok::<_, String>((execution, report))
    };
    let finished = tokio::select! {
        finished = finished => finished,
        signal = &mut signal => return report::interrupted(signal, &continues(&run)),
    };
    let (execution, report) = match finished {
        Ok(finished) => finished,
        Err(line) => return report::fail(&line),
    };
    let is_complete = execution.status == ExecutionStatus::Succeeded
        || (execution.status == ExecutionStatus::Failed && execution.error == *IMAGES_FAILED);
    let failure = (!is_complete).then(|| printing::execution_failure(&run, &execution));
    let document = match (report, &failure) {
        (Ok(document), _) => document,
        (Err(_), Some(line)) => return report::fail(line),
        (Err(error), None) => return report::fail(&aws_failure::no_report(&run.report, &error, &options)),
    };
    let code = u8::from(execution.status != ExecutionStatus::Succeeded);
    let printed = match RefreshReport::parse(&document) {
        Some(report) => report.print(&run.report, code, args.json, verbosity),
        None => return report::fail(&printing::invalid_report(&run.report)),
    };
    if let Some(line) = failure {
        return report::fail(&line);
    }
    if printed == ExitCode::SUCCESS { ExitCode::from(code) } else { printed }
}

/// Uploads the list, and starts an execution.
async fn start(
    args: &RefreshArgs,
    stack: RefreshStack,
    list: Option<List>,
    connection: &Connection,
    options: &ConnectionArgs,
    verbosity: Verbosity,
) -> Result<Run, String> {
    let objects = connection.objects().await;
    let is_uploaded = list.is_some();
    if let Some(list) = list {
        let location = stack.list.as_ref().ok_or_else(|| printing::list_in_parameter(&args.stack))?;
        let uploaded = objects.put(location, list.content.into(), "text/plain; charset=utf-8").await;
        uploaded.map_err(|error| aws_failure::object_failure("written", location, &error, options))?;
        if verbosity != Verbosity::Quiet {
            report::note(&format!("{} was uploaded to {location} (entries: {})", list.name, list.entries));
        }
    }
    let executions = connection.aws_clients().await.executions();
    let name = execution_name();
    let started = executions.start(&stack.state_machine, &name).await;
    let arn = started
        .map_err(|cause| aws_failure::not_started(&stack.state_machine, is_uploaded, cause, options))?;
    if verbosity != Verbosity::Quiet && !args.no_wait {
        report::note(&format!("execution {name} was started"));
    }
    let report = ObjectLocation { bucket: stack.bucket, key: format!("runs/{name}/report.json") };
    Ok(Run { executions, objects, name, arn, report })
}

/// Returns a new name. The process ID distinguishes commands that are started at the same time.
fn execution_name() -> String {
    format!("cli-{}-{}", Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ"), std::process::id())
}

/// Returns the state after a signal, which ends only the command.
fn continues(run: &Run) -> String {
    format!(
        "the run continues in AWS. `aws stepfunctions stop-execution --execution-arn {}` stops it",
        run.arn
    )
}
