//! Other programs that know logins: started, waited for, and quoted when they fail.

use std::fmt;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use image_copy::text::SanitizedText;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::display;

/// Such programs fetch tokens over the network, in slow languages; one that takes longer waits for
/// somebody who is not there.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A login is a few hundred bytes, with a signed token a few thousand.
const MAX_STDOUT_BYTES: u64 = 64 * 1024;

/// Bytes within which standard error has its first line.
const MAX_STDERR_BYTES: usize = 4096;

/// Longest quote from standard error, in characters.
const MAX_QUOTE_CHARS: usize = 160;

/// For what is already in the pipe when the program has ended.
const STDERR_TIMEOUT: Duration = Duration::from_millis(500);

/// Words by which the advice on a program that is not there is found.
pub(crate) const NOT_INSTALLED: &str = "that program is not installed";

/// Why a program came to no end of its own.
#[derive(Debug)]
pub(crate) enum RunError {
    /// There is no such program.
    NotInstalled,
    /// A clause that says what happened.
    Failed(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInstalled => NOT_INSTALLED,
            Self::Failed(reason) => reason,
        })
    }
}

/// How a program ended.
pub(crate) struct Output {
    /// Whether it says that it was successful.
    pub(crate) success: bool,
    /// What it wrote to standard output: it may be a login, also of a program that failed.
    pub(crate) stdout: SecretString,
    stderr: Option<oneshot::Receiver<SanitizedText>>,
}

/// A program and all programs that it started. They are killed when this value is dropped.
pub(crate) struct ProcessGroup {
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
}

impl ProcessGroup {
    /// The group of a child that was started with [`set_process_group`]. Other children have none.
    pub(crate) fn of(child: &Child) -> Self {
        #[cfg(unix)]
        return Self { group: child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?)) };
        #[cfg(not(unix))]
        {
            let _ = child;
            Self {}
        }
    }

    /// Leaves the programs running, such as an agent that a successful program started.
    pub(crate) fn release(mut self) {
        #[cfg(unix)]
        {
            self.group = None;
        }
        #[cfg(not(unix))]
        let _ = &mut self;
    }
}

#[cfg(unix)]
impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Fails if the child has no group of its own, or nothing of it runs any more.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Gives the program a process group of its own, so that its children can be ended with it.
pub(crate) fn set_process_group(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(not(unix))]
    let _ = command;
}

/// The same for a program that may ask its user something. If there is a terminal, the program stays
/// in our group: the system stops a background group that reads from the terminal. Ctrl-C reaches all of
/// our group there.
pub(crate) fn set_process_group_without_terminal(command: &mut Command) {
    #[cfg(unix)]
    if std::fs::File::open("/dev/tty").is_ok() {
        return;
    }
    set_process_group(command);
}

/// Runs a program to its end. If it fails, takes too long or the caller gives up, the programs that it
/// started end too.
///
/// # Errors
/// The reason why it did not run to its end.
pub(crate) async fn run(
    mut command: Command,
    input: &str,
    timeout_after: Duration,
) -> Result<Output, RunError> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => RunError::NotInstalled,
            _ => RunError::Failed(format!("it cannot be started ({})", display::io_error(&error))),
        })?;
    let group = ProcessGroup::of(&child);
    let stderr = child.stderr.take().map(first_line);
    match timeout(timeout_after, exchange(child, input)).await {
        Ok(Ok((success, stdout))) => {
            if success {
                group.release();
            }
            Ok(Output { success, stdout, stderr })
        }
        Ok(Err(error)) if error.kind() == ErrorKind::InvalidData => {
            Err(RunError::Failed("its output cannot be read".into()))
        }
        Ok(Err(error)) => Err(RunError::Failed(format!("it broke off ({})", display::io_error(&error)))),
        Err(_) => Err(RunError::Failed(format!("it gave no output in {} s", timeout_after.as_secs()))),
    }
}

impl Output {
    /// Why it failed, in its own words. What it wrote to stdout is kept back.
    pub(crate) async fn failure_reason(self) -> String {
        let line = match self.stderr {
            Some(line) => timeout(STDERR_TIMEOUT, line).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => SanitizedText::default(),
        };
        if line.is_empty() {
            "it failed; run it by hand to see why".into()
        } else {
            format!("it failed and says \"{line}\"")
        }
    }
}

/// The first line with words in it. All of it is read, so that the program is never kept from
/// writing; by a task of its own, since what the program left running may hold the pipe open.
fn first_line(mut errors: ChildStderr) -> oneshot::Receiver<SanitizedText> {
    let (sender, line) = oneshot::channel();
    tokio::spawn(async move {
        let mut start = Vec::new();
        while start.len() < MAX_STDERR_BYTES && !has_whole_line(&start) {
            if !matches!(errors.read_buf(&mut start).await, Ok(1..)) {
                break;
            }
        }
        // Nobody listens once the program was successful.
        let _ = sender.send(quote_first_line(&start));
        let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    });
    line
}

fn has_whole_line(start: &[u8]) -> bool {
    start.trim_ascii_start().contains(&b'\n')
}

fn quote_first_line(start: &[u8]) -> SanitizedText {
    let text = String::from_utf8_lossy(start);
    let line = text.trim_start().lines().next().unwrap_or_default();
    SanitizedText::quotable(line, MAX_QUOTE_CHARS)
}

/// Writes the input and reads to the end. Returns true if the program was successful.
///
/// # Errors
/// `InvalidData` if the output is not text or is too long.
async fn exchange(mut child: Child, input: &str) -> std::io::Result<(bool, SecretString)> {
    if let Some(mut pipe) = child.stdin.take() {
        // A program may answer without reading; then the pipe is closed, and that is no fault.
        let _ = pipe.write_all(input.as_bytes()).await;
    }
    let mut stdout = String::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_STDOUT_BYTES + 1).read_to_string(&mut stdout).await?;
    }
    if stdout.len() as u64 > MAX_STDOUT_BYTES {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok((child.wait().await?.success(), stdout.into()))
}
