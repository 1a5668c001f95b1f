//! `container-image completions` and `container-image man`.

use std::io;
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::{Args, CompletionsArgs, ManArgs, VERSION};
use crate::report;

const NAME: &str = "container-image";

/// Prints the completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), NAME, &mut text);
    let script = String::from_utf8_lossy(&text);
    match args.shell {
        Shell::Bash => print(&fix_bash_labels(&script)),
        _ => print(&script),
    }
}

/// Corrects the bash script of clap_complete 4.6.
///
/// The hyphen in the program's name gives the labels another prefix than the jumps to them.
fn fix_bash_labels(script: &str) -> String {
    script.replace("container__subcmd__image__", "container__image__")
}

/// Prints a manual page.
pub(crate) fn man(args: &ManArgs) -> ExitCode {
    match page(args.command.as_deref()) {
        Ok(text) => print(&String::from_utf8_lossy(&text)),
        Err(error) => report::fail(&format!("the manual page cannot be created: {error}.")),
    }
}

fn page(name: Option<&str>) -> io::Result<Vec<u8>> {
    let mut all = Args::command();
    all.build();
    let command = name.and_then(|name| all.find_subcommand(name).cloned()).unwrap_or(all);
    let title = name.map_or(NAME.to_owned(), |name| format!("{NAME}-{name}"));
    let mut text = Vec::new();
    clap_mangen::Man::new(command.version(VERSION)).title(title).render(&mut text)?;
    Ok(text)
}

fn print(text: &str) -> ExitCode {
    report::print(text.trim_end(), "")
}
