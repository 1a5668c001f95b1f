//! Other programs that know logins: started, waited for, and quoted when they fail.

use std::fmt;
use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use image_copy::text::ForeignText;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::system;

/// Such programs fetch tokens over the network, in slow languages; one that takes longer waits for
/// somebody who is not there.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A login is a few hundred bytes, with a signed token a few thousand.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Bytes within which a complaint has its first line.
const LONGEST_COMPLAINT: usize = 4096;

/// Longest quote from a complaint, in characters.
const LONGEST_QUOTE: usize = 160;

/// For what is already in the pipe when the program has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Words by which the advice on a program that is not there is found.
pub(crate) const NOT_INSTALLED: &str = "that program is not installed";

/// Why a program came to no end of its own.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// There is no such program.
    NotInstalled,
    /// A clause that says what happened.
    Failed(String),
}

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotInstalled => NOT_INSTALLED,
            Self::Failed(why) => why,
        })
    }
}

/// How a program ended.
pub(crate) struct Ended {
    /// Whether it says that it was successful.
    pub(crate) done: bool,
    /// What it wrote to standard output: it may be a login, also of a program that failed.
    pub(crate) answer: SecretString,
    complaint: Option<oneshot::Receiver<ForeignText>>,
}

/// A program and all programs that it started. They are killed when this value is dropped.
pub(crate) struct Family {
    #[cfg(unix)]
    group: Option<rustix::process::Pid>,
}

impl Family {
    /// The family of a child that was started with [`found_family`]. Other children have none.
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
impl Drop for Family {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Fails if the child has no group of its own, or nothing of it runs any more.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// Gives the program a process group of its own, so that its children can be ended with it.
pub(crate) fn found_family(command: &mut Command) {
    #[cfg(unix)]
    command.process_group(0);
    #[cfg(not(unix))]
    let _ = command;
}

/// The same for a program that may ask its user something. If there is a terminal, the program stays
/// in our group: the system stops a background group that reads from the terminal. Ctrl-C reaches all of
/// our group there.
pub(crate) fn found_family_without_terminal(command: &mut Command) {
    #[cfg(unix)]
    if std::fs::File::open("/dev/tty").is_ok() {
        return;
    }
    found_family(command);
}

/// Runs a program to its end. If it fails, takes too long or the caller gives up, the programs that it
/// started end too.
///
/// # Errors
/// The reason why it did not run to its end.
pub(crate) async fn run(mut command: Command, input: &str, wait: Duration) -> Result<Ended, NotRun> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => NotRun::NotInstalled,
            _ => NotRun::Failed(format!("it cannot be started ({})", system::words(&error))),
        })?;
    let family = Family::of(&child);
    let complaint = child.stderr.take().map(first_line);
    match timeout(wait, converse(child, input)).await {
        Ok(Ok((done, answer))) => {
            if done {
                family.release();
            }
            Ok(Ended { done, answer, complaint })
        }
        Ok(Err(error)) if error.kind() == ErrorKind::InvalidData => {
            Err(NotRun::Failed("its answer cannot be read".into()))
        }
        Ok(Err(error)) => Err(NotRun::Failed(format!("it broke off ({})", system::words(&error)))),
        Err(_) => Err(NotRun::Failed(format!("it gave no answer in {} s", wait.as_secs()))),
    }
}

impl Ended {
    /// Why it failed, in its own words. What it wrote to stdout is kept back.
    pub(crate) async fn words_of_failure(self) -> String {
        let line = match self.complaint {
            Some(line) => timeout(LAST_WORDS, line).await.ok().and_then(Result::ok).unwrap_or_default(),
            None => ForeignText::default(),
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
fn first_line(mut errors: ChildStderr) -> oneshot::Receiver<ForeignText> {
    let (said, line) = oneshot::channel();
    tokio::spawn(async move {
        let mut start = Vec::new();
        while start.len() < LONGEST_COMPLAINT && !has_whole_line(&start) {
            if !matches!(errors.read_buf(&mut start).await, Ok(1..)) {
                break;
            }
        }
        // Nobody listens once the program was successful.
        let _ = said.send(in_one_line(&start));
        let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    });
    line
}

fn has_whole_line(start: &[u8]) -> bool {
    start.trim_ascii_start().contains(&b'\n')
}

fn in_one_line(start: &[u8]) -> ForeignText {
    let text = String::from_utf8_lossy(start);
    let line = text.trim_start().lines().next().unwrap_or_default();
    ForeignText::quotable(line, LONGEST_QUOTE)
}

/// Writes the input and reads to the end. Returns true if the program was successful.
///
/// # Errors
/// `InvalidData` if the answer is not text or is too long.
async fn converse(mut child: Child, input: &str) -> std::io::Result<(bool, SecretString)> {
    if let Some(mut pipe) = child.stdin.take() {
        // A program may answer without reading; then the pipe is closed, and that is no fault.
        let _ = pipe.write_all(input.as_bytes()).await;
    }
    let mut answer = String::new();
    if let Some(output) = child.stdout.take() {
        output.take(LONGEST_ANSWER + 1).read_to_string(&mut answer).await?;
    }
    if answer.len() as u64 > LONGEST_ANSWER {
        return Err(ErrorKind::InvalidData.into());
    }
    Ok((child.wait().await?.success(), answer.into()))
}
