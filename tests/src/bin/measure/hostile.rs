//! Peak memory of the function for responses of a hostile registry, one case for each kind.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::bucket::Status;
use aws_emulator::stack::{CallOutcome, ProviderCall};
use aws_emulator::{BoxError, Image, Mutability};
use end_to_end::{World, bootstrap};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::cases::{HostileCase, cases};
use super::command_line;
use super::server::Server;
use super::store::TAG;
use super::{MIB, mib};

/// Maximum peak memory for any input, in bytes.
const BOUND: u64 = 96 * MIB;

/// Memory in bytes at which a case is stopped, so that a missing limit does not fill the machine.
pub(super) const STOPPED_AT: u64 = 512 * MIB;

/// Maximum number of concurrent cases. Six of them wait for most of the timeout.
const PARALLEL: usize = 10;

/// Timeout of the function. The function must respond before it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Duration of one second of CloudFormation's timeout: its hour lasts 72 s.
const SECOND: Duration = Duration::from_millis(20);

/// Maximum length of an outcome in the table, in characters.
const OUTCOME: usize = 110;

/// Result of one case.
pub(super) struct Measured {
    pub(super) name: &'static str,
    /// Peak memory in bytes.
    pub(super) peak: u64,
    /// The response or the exit status in one line, or the problem with it.
    pub(super) outcome: Result<String, String>,
}

/// The measurement of one case.
type Measurement = Pin<Box<dyn Future<Output = Result<Measured, BoxError>> + Send>>;

/// Measures all cases, or those whose name contains `filter`, and prints the table. Returns true if each had
/// exactly one response, or an exit code, and stayed below the limit.
pub(super) async fn measure_all(filter: &str) -> Result<bool, BoxError> {
    let (mut tasks, slots) = (JoinSet::new(), Arc::new(Semaphore::new(PARALLEL)));
    let mut spawn = |measurement: Measurement| {
        let slots = Arc::clone(&slots);
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            measurement.await.map_err(|error| error.to_string())
        });
    };
    cases()
        .into_iter()
        .filter(|case| case.name.contains(filter))
        .for_each(|case| spawn(Box::pin(measure(case))));
    let commands = command_line::cases().into_iter().filter(|command| command.case.name.contains(filter));
    commands.for_each(|command| spawn(Box::pin(command_line::measure(command))));
    let mut passed = true;
    while let Some(measured) = tasks.join_next().await {
        let Measured { name, peak, outcome } = measured??;
        let (label, text) = match &outcome {
            Ok(text) if peak <= BOUND => ("", text),
            Ok(text) => ("ABOVE THE LIMIT: ", text),
            Err(text) => ("NOT EXACTLY ONE RESPONSE: ", text),
        };
        passed &= label.is_empty();
        let text: String = text.chars().take(OUTCOME).collect();
        println!("{name:46} {:6.1} MiB  {label}{text}", mib(peak));
    }
    println!("hostile inputs: limit {:.0} MiB", mib(BOUND));
    Ok(passed)
}

/// Copies from the hostile registry in a new process.
async fn measure(case: HostileCase) -> Result<Measured, BoxError> {
    let world = World::start(bootstrap()?, |settings| {
        settings.timeout = TIMEOUT;
        settings.max_retries = 0;
    })
    .await?;
    world.emulator.ecr().remove_rate_limits();
    let arn = world.emulator.repository_arn("hostile");
    let repository = world.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    if let Some(held) = &case.held {
        repository.put_image(Some(TAG), held);
    }
    let server = Server::start(case.respond).await?;
    let reference = case.held.as_ref().filter(|_| case.by_digest).map_or(format!(":{TAG}"), digest_of);
    let mut properties = json!({
        "ImageReference": format!("{}/a/b{reference}", server.host()),
        "RepositoryArn": arn,
        "Platform": "all",
        "Tag": TAG,
    });
    for (name, value) in case.properties.as_object().into_iter().flatten() {
        properties[name] = value.clone();
    }
    let stack = world.stack("hostile", SECOND);
    let event = json!({
        "RequestType": "Create",
        "ResourceType": "Custom::ContainerImage",
        "ResourceProperties": properties,
    });
    let outcome = tokio::select! {
        call = stack.send(event) => summarize(&world, &call),
        () = exceeds_memory(&world) => Ok(stopped()),
    };
    Ok(Measured { name: case.name, peak: peak(&world), outcome })
}

/// Returns the outcome of a case that was stopped because of its memory.
pub(super) fn stopped() -> String {
    format!("stopped at {:.0} MiB", mib(STOPPED_AT))
}

fn digest_of(image: &Image) -> String {
    format!("@{}", image.digest())
}

/// Returns the response in one line if the function sent exactly one and its process still runs.
fn summarize(world: &World, call: &ProviderCall) -> Result<String, String> {
    let sandboxes = world.function.sandboxes();
    match (&call.outcome, sandboxes.as_slice()) {
        (CallOutcome::Responded(response), [sandbox])
            if call.discarded_responses.is_empty() && sandbox.exit.is_none() =>
        {
            let status = if response.status == Status::Success { "SUCCESS" } else { "FAILED" };
            Ok(format!("{status} {}", response.reason.as_deref().unwrap_or_default()))
        }
        (end, _) => Err(format!("{end:?}, discarded: {:?}, {sandboxes:?}", call.discarded_responses)),
    }
}

/// Waits until the process uses too much memory.
async fn exceeds_memory(world: &World) {
    while peak(world) < STOPPED_AT {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns the highest peak memory of the function's processes, in bytes.
fn peak(world: &World) -> u64 {
    world.function.sandboxes().iter().map(|sandbox| sandbox.peak_memory * 1024).max().unwrap_or_default()
}
