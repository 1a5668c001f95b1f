//! The command line: copies container images between registries.
//!
//! [`args`] is what was typed, [`commands`] do the work, [`report`] tells how it ended,
//! [`credentials`] knows the logins of whoever runs it. Results go to stdout, everything else to
//! stderr. Exit codes: 0 done, 1 failed, 2 not understood, 130 interrupted, 143
//! terminated.

mod args;
mod commands;
mod credential_helper;
mod credentials;
mod progress;
mod report;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use args::{Args, Command, Verbosity};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(said) => return report::usage(&said),
    };
    log_to_stderr(args.verbosity());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return report::fail(&format!("the program cannot start: {error}.")),
    };
    let code = runtime.block_on(async {
        match &args.command {
            Command::Copy(copy) => commands::copy::run(copy, args.verbosity()).await,
        }
    });
    // A connection that is being closed, or a name being resolved, is nothing to wait for.
    runtime.shutdown_background();
    code
}

/// The engine's log lines, for those who ask for them. Other crates stay silent: what they write is
/// not checked for secrets.
fn log_to_stderr(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::OFF,
        Verbosity::Normal => LevelFilter::WARN,
        Verbosity::Verbose => LevelFilter::DEBUG,
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_target(false)
        .without_time()
        .with_ansi(false);
    let ours = Targets::new().with_target("image_copy", level).with_target("container_image", level);
    tracing_subscriber::registry().with(lines).with(ours).init();
}
