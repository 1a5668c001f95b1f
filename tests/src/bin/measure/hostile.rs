//! Peak memory of the function for responses of a hostile registry, one row for each kind.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::bucket::Status;
use aws_emulator::stack::{End, Turn};
use aws_emulator::{BoxError, Image, Mutability};
use end_to_end::{World, bootstrap};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::command_line;
use super::rows::{Row, rows};
use super::server::Server;
use super::store::TAG;
use super::{MIB, mib};

/// Most memory that any input may take, in bytes.
const BOUND: u64 = 96 * MIB;

/// Memory at which a row is ended, so that a missing bound does not fill the machine.
pub(super) const ENDED_AT: u64 = 512 * MIB;

/// Rows that run at the same time. Six of them wait for most of the timeout.
const PARALLEL: usize = 10;

/// Timeout of the function. The function must respond before it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A second of CloudFormation, which waits an hour: 72 s for the response.
const SECOND: Duration = Duration::from_millis(20);

/// Longest outcome in the table, in characters.
const OUTCOME: usize = 110;

/// Result of one row.
pub(super) struct Measured {
    pub(super) name: &'static str,
    /// Peak memory in bytes.
    pub(super) peak: u64,
    /// The response or the exit in short, or what is wrong with it.
    pub(super) outcome: Result<String, String>,
}

/// The measurement of one row.
type Measurement = Pin<Box<dyn Future<Output = Result<Measured, BoxError>> + Send>>;

/// Measures all rows, or those whose name contains `filter`, and prints the table. Returns true if each had
/// exactly one response, or an exit code, and stayed below the bound.
pub(super) async fn measure_all(filter: &str) -> Result<bool, BoxError> {
    let (mut tasks, slots) = (JoinSet::new(), Arc::new(Semaphore::new(PARALLEL)));
    let mut spawn = |row: Measurement| {
        let slots = Arc::clone(&slots);
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            row.await.map_err(|error| error.to_string())
        });
    };
    rows().into_iter().filter(|row| row.name.contains(filter)).for_each(|row| spawn(Box::pin(measure(row))));
    let commands = command_line::rows().into_iter().filter(|command| command.row.name.contains(filter));
    commands.for_each(|command| spawn(Box::pin(command_line::measure(command))));
    let mut good = true;
    while let Some(measured) = tasks.join_next().await {
        let Measured { name, peak, outcome } = measured??;
        let (verdict, text) = match &outcome {
            Ok(text) if peak <= BOUND => ("", text),
            Ok(text) => ("ABOVE THE BOUND ", text),
            Err(text) => ("WITHOUT ONE END ", text),
        };
        good &= verdict.is_empty();
        let text: String = text.chars().take(OUTCOME).collect();
        println!("{name:46} {:6.1} MiB  {verdict}{text}", mib(peak));
    }
    println!("hostile inputs: bound {:.0} MiB", mib(BOUND));
    Ok(good)
}

/// Copies from the hostile registry in a new process.
async fn measure(row: Row) -> Result<Measured, BoxError> {
    let world = World::start(bootstrap()?, |settings| {
        settings.timeout = TIMEOUT;
        settings.max_retries = 0;
    })
    .await?;
    world.emulator.ecr().lift_rates();
    let arn = world.emulator.repository_arn("hostile");
    let repository = world.emulator.ecr().create_repository(&arn, Mutability::Mutable);
    if let Some(held) = &row.held {
        repository.put_image(Some(TAG), held);
    }
    let server = Server::start(row.respond).await?;
    let reference = row.held.as_ref().filter(|_| row.by_digest).map_or(format!(":{TAG}"), digest_of);
    let mut properties = json!({
        "ImageReference": format!("{}/a/b{reference}", server.host()),
        "RepositoryArn": arn,
        "Platform": "all",
        "Tag": TAG,
    });
    for (name, value) in row.properties.as_object().into_iter().flatten() {
        properties[name] = value.clone();
    }
    let stack = world.stack("hostile", SECOND);
    let event = json!({
        "RequestType": "Create",
        "ResourceType": "Custom::ContainerImage",
        "ResourceProperties": properties,
    });
    let outcome = tokio::select! {
        turn = stack.send(event) => in_short(&world, &turn),
        () = grown(&world) => Ok(ended()),
    };
    Ok(Measured { name: row.name, peak: peak(&world), outcome })
}

/// The outcome of a row that was ended for its memory.
pub(super) fn ended() -> String {
    format!("ended at {:.0} MiB", mib(ENDED_AT))
}

fn digest_of(image: &Image) -> String {
    format!("@{}", image.digest())
}

/// The response in one line, if the function sent exactly one and its process still runs.
fn in_short(world: &World, turn: &Turn) -> Result<String, String> {
    let sandboxes = world.function.sandboxes();
    match (&turn.end, sandboxes.as_slice()) {
        (End::Answered(answer), [sandbox]) if turn.discarded.is_empty() && sandbox.exit.is_none() => {
            let status = if answer.status == Status::Success { "SUCCESS" } else { "FAILED" };
            Ok(format!("{status} {}", answer.reason.as_deref().unwrap_or_default()))
        }
        (end, _) => Err(format!("{end:?}, discarded: {:?}, {sandboxes:?}", turn.discarded)),
    }
}

/// Waits until the process uses more memory than a row may.
async fn grown(world: &World) {
    while peak(world) < ENDED_AT {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Most memory that any process of the function ever had, in bytes.
fn peak(world: &World) -> u64 {
    world.function.sandboxes().iter().map(|sandbox| sandbox.peak_memory * 1024).max().unwrap_or_default()
}
