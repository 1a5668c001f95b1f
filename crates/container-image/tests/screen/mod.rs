//! Runs the program on a terminal with 80 columns.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::common::{Sandbox, without_times};

const COLUMNS: usize = 80;

/// Returns both ends of a pseudo-terminal: ours and the program's.
fn terminal() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs =
        rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let size = Winsize { ws_row: 24, ws_col: COLUMNS as u16, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&theirs, size).unwrap();
    (ours, theirs)
}

/// Runs the program on a terminal and returns the screen text with wrapped lines.
pub(crate) async fn shown(sandbox: &Sandbox, variables: &[(&str, &str)], arguments: &str) -> String {
    shown_with(sandbox, variables, arguments, str::to_owned).await
}

/// Like [`shown`]. `replace` changes the text before lines are wrapped.
pub(crate) async fn shown_with(
    sandbox: &Sandbox,
    variables: &[(&str, &str)],
    arguments: &str,
    replace: impl Fn(&str) -> String,
) -> String {
    let (ours, theirs) = terminal();
    let mut command = sandbox.command(&arguments.split_whitespace().collect::<Vec<_>>());
    command.env("TERM", "xterm").envs(variables.iter().copied());
    command.stdout(Stdio::from(theirs.try_clone().unwrap())).stderr(Stdio::from(theirs));
    let mut child = command.spawn().unwrap();
    drop(command);
    let reader = tokio::task::spawn_blocking(move || {
        let (mut bytes, mut file) = (Vec::new(), File::from(ours));
        // The system reports the end of a terminal as an error.
        let _ = file.read_to_end(&mut bytes);
        String::from_utf8(bytes).unwrap()
    });
    let code = child.wait().await.unwrap().code();
    let text = without_times(&reader.await.unwrap().replace("\r\n", "\n"));
    let text = replace(&number_digests(&text.replace('\u{1b}', "<ESC>")));
    let wrapped: Vec<String> = text.lines().map(wrapped).collect();
    format!("$ container-image {arguments}\n{}\n[exit {}]", wrapped.join("\n"), code.unwrap())
}

/// Replaces digests, also short ones, by numbers of the same length. A library that compresses layers can change the
/// digests.
fn number_digests(text: &str) -> String {
    const SHORT: usize = 12;
    let mut seen: Vec<String> = Vec::new();
    let digest = regex::Regex::new(r"sha256:([0-9a-f]{12}(?:[0-9a-f]{52})?)\b").unwrap();
    let numbered = digest.replace_all(text, |found: &regex::Captures<'_>| {
        let start = &found[1][..SHORT];
        let position = seen.iter().position(|known| known == start).unwrap_or(seen.len());
        if position == seen.len() {
            seen.push(start.to_owned());
        }
        format!("sha256:{}", (position + 1).to_string().repeat(found[1].len()))
    });
    numbered.into_owned()
}

/// Wraps a line at the terminal's width. Color sequences have no width.
fn wrapped(line: &str) -> String {
    let (mut rows, mut column, mut colour) = (String::new(), 0, false);
    for character in line.replace("<ESC>", "\u{1b}").chars() {
        colour |= character == '\u{1b}';
        if !colour {
            if column == COLUMNS {
                rows.push('\n');
                column = 0;
            }
            column += 1;
        }
        colour &= character != 'm';
        rows.push(character);
    }
    rows.replace('\u{1b}', "<ESC>")
}
