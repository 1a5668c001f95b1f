//! The command line `container-image`.
//!
//! [`args`] parses arguments, [`commands`] runs them, [`report`] prints results and errors. [`connection`]
//! builds the registry client with the credentials of [`auth_files`] and [`aws`]. [`import`] turns files of other
//! tools into lists. For references, [`scan`] finds them in files, [`resolve`] queries registries and [`edit`]
//! writes files. [`template`] evaluates CloudFormation templates.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 success, 1 failure, 2 invalid usage, 3
//! differences (`--check`), 130 interrupted, 143 terminated.

mod args;
mod auth_files;
mod aws;
mod child_process;
mod commands;
mod connection;
mod count_progress;
mod creation;
mod credential_helper;
mod customization;
mod display;
mod documents;
mod edit;
mod folder;
mod git;
mod git_url;
mod import;
mod input_file;
mod list_file;
mod log;
mod output_file;
mod planning;
mod progress;
mod report;
mod resolve;
mod scan;
mod signals;
mod tag_lists;
mod template;

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
        Err(error) => return report::usage(&error),
    };
    log_to_stderr(args.verbosity());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return report::fail(&format!("the program cannot start: {}.", display::io_error(&error)));
        }
    };
    let code = runtime.block_on(async {
        signals::watch();
        match &args.command {
            Command::Copy(copy) => commands::copy::run(copy, args.verbosity()).await,
            Command::Sync(sync) => commands::sync::run(sync, args.verbosity()).await,
            Command::Refresh(refresh) => commands::refresh::run(refresh, args.verbosity()).await,
            Command::Import(import) => commands::import::run(import, args.verbosity()).await,
            Command::Plan(plan) => commands::plan::run(plan, args.verbosity()).await,
            Command::Inspect(inspect) => commands::inspect::run(inspect, args.verbosity()).await,
            Command::Verify(verify) => commands::verify::run(verify, args.verbosity()).await,
            Command::List(list) => commands::list::run(list, args.verbosity()).await,
            Command::Tags(tags) => commands::tags::run(tags, args.verbosity()).await,
            Command::Pin(pin) => commands::update::run(&pin.as_update(), args.verbosity()).await,
            Command::Update(update) => commands::update::run(update, args.verbosity()).await,
            Command::Completions(completions) => commands::pages::completions(completions),
            Command::Man(args) => commands::pages::man(args),
        }
    });
    // Open connections and name lookups must not delay the exit.
    runtime.shutdown_background();
    code
}

/// Logs to stderr. Log lines of other crates are dropped, because they can contain secrets.
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
