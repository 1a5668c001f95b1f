//! Runs the programs that provide credentials.

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

/// Maximum run time. Such programs fetch tokens over the network. A longer one probably waits for input.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// Maximum size of standard output. Credentials have a few hundred bytes, a signed token a few thousand.
const MAX_STDOUT_BYTES: u64 = 64 * 1024;

/// Number of bytes of standard error in which the first line is searched.
const MAX_STDERR_BYTES: usize = 4096;

/// Maximum length of a quote from standard error, in characters.
const MAX_QUOTE_CHARS: usize = 160;

/// Time to read the rest of the pipe after the program has ended.
const STDERR_TIMEOUT: Duration = Duration::from_millis(500);

/// Part of the error about a missing program. The hint depends on it.
pub(crate) const NOT_INSTALLED: &str = "the program is not installed";

/// Error of a program that did not run to its end.
#[derive(Debug)]
pub(crate) enum RunError {
    /// The program does not exist.
    NotInstalled,
    /// Description of the failure, as a clause.
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

/// Result of a program.
pub(crate) struct Output {
    /// True if the exit code is 0.
    pub(crate) success: bool,
    /// Standard output. It can contain credentials, even if the program failed.
    pub(crate) stdout: SecretString,
    stderr: Option<oneshot::Receiver<SanitizedText>>,
}

/// A program and all its children. Dropping this value kills them.
pub(crate) struct ProcessGroup {
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
}

impl ProcessGroup {
    /// Returns the group of a child that was started with [`set_process_group`]. Other children have none.
    pub(crate) fn of(child: &Child) -> Self {
        #[cfg(unix)]
        return Self { group: process_id(child) };
        #[cfg(not(unix))]
        {
            let _ = child;
            Self {}
        }
    }

    /// Lets the programs run on, such as an agent that a successful program started.
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
            // Fails if the child does not lead a group, or if the group has ended.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(unix)]
fn process_id(child: &Child) -> Option<rustix::process::Pid> {
    child.id().and_then(|id| rustix::process::Pid::from_raw(id.try_into().ok()?))
}

/// A running program that must delete its own files, such as git's locks. Dropping this value sends SIGTERM to the
/// program, and to its children if it leads a group.
pub(crate) struct RunningProgram {
    #[cfg(unix)]
    id: Option<rustix::process::Pid>,
}

impl RunningProgram {
    pub(crate) fn of(child: &Child) -> Self {
        #[cfg(unix)]
        return Self { id: process_id(child) };
        #[cfg(not(unix))]
        {
            let _ = child;
            Self {}
        }
    }

    /// Marks the program as ended. Its ID can belong to another program.
    pub(crate) fn ended(mut self) {
        #[cfg(unix)]
        {
            self.id = None;
        }
        #[cfg(not(unix))]
        let _ = &mut self;
    }
}

#[cfg(unix)]
impl Drop for RunningProgram {
    fn drop(&mut self) {
        use rustix::process::{Signal, kill_process, kill_process_group};
        if let Some(id) = self.id {
            let _ = kill_process_group(id, Signal::TERM).or_else(|_| kill_process(id, Signal::TERM));
        }
    }
}

/// Puts the program in a new process group, so that its children can be killed with it.
pub(crate) fn set_process_group(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(not(unix))]
    let _ = command;
}

/// Puts a program that can prompt its user in a new process group if no terminal exists.
///
/// The system stops a background group that reads from the terminal. With a terminal, Ctrl-C reaches the
/// program in our group.
pub(crate) fn set_process_group_without_terminal(command: &mut Command) {
    #[cfg(unix)]
    if std::fs::File::open("/dev/tty").is_ok() {
        return;
    }
    set_process_group(command);
}

/// Runs a program to its end. If it fails, times out or the future is dropped, its children are killed.
///
/// # Errors
/// If the program did not run to its end.
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
            Err(RunError::Failed("its output is invalid".into()))
        }
        Ok(Err(error)) => {
            Err(RunError::Failed(format!("its output cannot be read ({})", display::io_error(&error))))
        }
        Err(_) => Err(RunError::Failed(format!("it did not end within {} s", timeout_after.as_secs()))),
    }
}

impl Output {
    /// Returns the reason of the failure from standard error. Standard output is never quoted.
    pub(crate) async fn failure_reason(self) -> String {
        let line = match self.stderr {
            Some(line) => timeout(STDERR_TIMEOUT, line).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => SanitizedText::default(),
        };
        if line.is_empty() {
            "it failed without an error message".into()
        } else {
            format!("it failed with \"{line}\"")
        }
    }
}

/// Returns the first line that is not blank.
///
/// A separate task reads the whole pipe, so that the program never blocks. A process that outlives the
/// program can keep the pipe open.
fn first_line(mut errors: ChildStderr) -> oneshot::Receiver<SanitizedText> {
    let (sender, line) = oneshot::channel();
    tokio::spawn(async move {
        let mut start = Vec::new();
        while start.len() < MAX_STDERR_BYTES && !has_whole_line(&start) {
            if !matches!(errors.read_buf(&mut start).await, Ok(1..)) {
                break;
            }
        }
        // The receiver is dropped if the program was successful.
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

/// Writes the input and reads standard output. Returns true if the program was successful.
///
/// # Errors
/// `InvalidData` if the output is not text or is too long.
async fn exchange(mut child: Child, input: &str) -> std::io::Result<(bool, SecretString)> {
    if let Some(mut pipe) = child.stdin.take() {
        // A program can close the pipe without reading it, which is not an error.
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
