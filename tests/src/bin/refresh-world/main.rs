//! Runs the function, ECR and source registries for the tests of the refresh stack, which Python drives.
//!
//! Usage: `refresh-world [--variable NAME=VALUE]...`. The first line of the output is a JSON object with the
//! address of the Lambda API, the settings of the function and the environment for other programs. Then each
//! line of the input is a [`Command`], and each line of the output is its result, or an object with `error`.
//! The program ends with its input, and at the latest after [`LIMIT`].

mod command;

use std::process::ExitCode;
use std::time::Duration;

use aws_emulator::BoxError;
use clap::Parser;
use end_to_end::{World, bootstrap};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use command::{Command, Commands};

/// Maximum duration of the program, in case that the process which started it hangs.
const LIMIT: Duration = Duration::from_secs(900);
/// Timeout of an invocation. It ends a hanging function before the test's own timeout.
const INVOCATION_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs the function, ECR and source registries for the tests of the refresh stack.
#[derive(Parser)]
struct Arguments {
    /// Environment variable of the function, as NAME=VALUE. Can be repeated.
    #[arg(long = "variable", value_parser = parse_variable)]
    variables: Vec<(String, String)>,
}

fn parse_variable(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = tokio::time::timeout(LIMIT, serve(Arguments::parse().variables)).await;
    let error = match result {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("stopped after {} seconds", LIMIT.as_secs()),
    };
    eprintln!("refresh-world: {error}");
    ExitCode::FAILURE
}

async fn serve(variables: Vec<(String, String)>) -> Result<(), BoxError> {
    let world = World::start(bootstrap()?, |settings| {
        settings.timeout = INVOCATION_TIMEOUT;
        settings.environment.extend(variables);
    })
    .await?;
    let lambda = world.emulator.expose(world.lambda.clone()).await?;
    let environment: serde_json::Map<String, Value> =
        world.emulator.environment().into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    let settings = world.function.settings();
    let start = json!({
        "Lambda": format!("http://{lambda}"),
        "Function": settings.name,
        "Memory": settings.memory,
        "Account": settings.account,
        "Region": settings.region,
        "Environment": environment,
    });
    println!("{start}");
    let mut commands = Commands::new(world);
    let mut lines = read_lines();
    while let Some(line) = lines.recv().await {
        let result = match serde_json::from_str::<Command>(&line) {
            Ok(command) => commands.run(command),
            Err(error) => Err(error.into()),
        };
        let result = result.unwrap_or_else(|error| json!({"error": error.to_string()}));
        println!("{result}");
    }
    Ok(())
}

/// Reads the lines of the input in a thread, which blocks no other work and no exit.
fn read_lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lines().map_while(Result::ok);
        // The receiver is dropped when the program ends.
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    receiver
}
