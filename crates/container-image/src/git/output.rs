//! Runs git, and quotes its errors.

use std::io;
use std::process::Stdio;

use image_copy::text::SanitizedText;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::child_process::{ProcessGroup, RunningProgram};
use crate::{display, git_url};

/// Maximum size of git's output in bytes, such as the status of all files.
const MAX_STDOUT_BYTES: u64 = 64 << 20;

/// Number of bytes of git's standard error that are kept.
const MAX_STDERR_BYTES: usize = 64 << 10;

/// Maximum length of a quote from git, in characters.
const MAX_QUOTE_CHARS: usize = 200;

/// Runs git to its end. The size of its output is limited, because servers control a part of it.
pub(super) async fn output(mut command: Command, failed: &str, secrets: &[String]) -> Result<String, String> {
    let is_killed = command.get_kill_on_drop();
    let run_error = |error: &io::Error| {
        format!("{failed}: git cannot be run ({}). Install git.", display::io_error(error))
    };
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(|error| run_error(&error))?;
    let group = is_killed.then(|| ProcessGroup::of(&child));
    let running = (!is_killed).then(|| RunningProgram::of(&child));
    let stdout = read_stdout(child.stdout.take());
    let stderr = read_stderr(child.stderr.take());
    let (stdout, stderr) = tokio::join!(stdout, stderr);
    let status = match stdout {
        Some(_) => {
            let status = child.wait().await;
            running.into_iter().for_each(RunningProgram::ended);
            status.map_err(|error| run_error(&error))?
        }
        None => {
            return Err(format!(
                "{failed}: the output of git is larger than {} MiB.",
                MAX_STDOUT_BYTES >> 20
            ));
        }
    };
    if !status.success() {
        return Err(format!(
            "{failed}: git failed with \"{}\".",
            error_line(&String::from_utf8_lossy(&stderr), secrets)
        ));
    }
    group.into_iter().for_each(ProcessGroup::release);
    Ok(String::from_utf8_lossy(&stdout.unwrap_or_default()).into_owned())
}

/// Reads the whole output, or returns `None` if it is too long.
async fn read_stdout(pipe: Option<impl AsyncRead + Unpin>) -> Option<Vec<u8>> {
    let mut stdout = Vec::new();
    if let Some(pipe) = pipe {
        // A read error ends the output, like the end of the program.
        let _ = pipe.take(MAX_STDOUT_BYTES + 1).read_to_end(&mut stdout).await;
    }
    (stdout.len() as u64 <= MAX_STDOUT_BYTES).then_some(stdout)
}

/// Returns the end of the output, which contains the reason of a failure.
async fn read_stderr(pipe: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut end = Vec::new();
    if let Some(mut pipe) = pipe {
        while matches!(pipe.read_buf(&mut end).await, Ok(1..)) {
            if end.len() > 2 * MAX_STDERR_BYTES {
                end.drain(..end.len() - MAX_STDERR_BYTES);
            }
        }
    }
    end
}

/// Returns the line that starts with `fatal:` or `error:`, otherwise the last line.
fn error_line(stderr: &str, secrets: &[String]) -> SanitizedText {
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error_at = lines.iter().position(|line| line.starts_with("fatal: ") || line.starts_with("error: "));
    // The line before has the reason, from ssh or from the server.
    let error_at = error_at.map(|at| match at.checked_sub(1) {
        Some(before) if lines[at].contains("Could not read from remote") => before,
        _ if lines[at].contains("failed to push") => {
            let of_remote = lines.iter().position(|line| !remote_message(line).is_empty());
            of_remote.or_else(|| lines.iter().position(|line| line.starts_with("! ["))).unwrap_or(at)
        }
        _ => at,
    });
    let line = error_at.map(|at| lines[at]).or(lines.last().copied()).unwrap_or("nothing");
    let line = git_url::redact(line, secrets).replace('"', "'");
    SanitizedText::new(&line, MAX_QUOTE_CHARS)
}

/// Returns the server's message about a rejected push. Lines of git itself return an empty text.
fn remote_message(line: &str) -> &str {
    line.strip_prefix("remote:").map(str::trim).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_git_without_credentials() {
        let message = "Cloning into 'x'...\nremote: no\nfatal: unable to access 'https://me:secret@h.example/x/': 403\n";
        assert_eq!(error_line(message, &[]), "fatal: unable to access 'https://***@h.example/x/': 403");
        assert_eq!(
            error_line("fatal: '\"https://me:pw@h/x\"' is none", &[]),
            "fatal: ''https://***@h/x'' is none"
        );
        assert_eq!(error_line("a\nb \"c\"\n", &[]), "b 'c'");
        let ssh = "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.\n\nPlease make sure\n";
        assert_eq!(error_line(ssh, &[]), "ssh: connect to host h port 22: Connection refused");
        let rejected = "remote: \nremote: error: GH006: Protected branch update failed.        \nTo https://h/x\n ! [remote rejected] HEAD -> main (protected branch hook declined)\nerror: failed to push some refs to 'https://h/x'\n";
        assert_eq!(error_line(rejected, &[]), "remote: error: GH006: Protected branch update failed.");
        let behind = "To /x\n ! [rejected] HEAD -> main (fetch first)\nerror: failed to push some refs to '/x'\nhint: y\n";
        assert_eq!(error_line(behind, &[]), "! [rejected] HEAD -> main (fetch first)");
    }
}
