//! Peak memory of the command line for hostile inputs that the function does not read, such as lists of tags.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_emulator::BoxError;
use end_to_end::container_image;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::cases::{HostileCase, small, with_content, with_responses};
use super::hostile::{Measured, STOPPED_AT, stopped};
use super::server::{Part, Request, Server, response};
use super::store::{IMAGE, MANIFEST_LIMIT, image};

/// Maximum duration of a command. None of them waits for a timeout.
const LIMIT: Duration = Duration::from_secs(60);

/// A hostile input, and its arguments for a registry host and a folder.
pub(super) struct CommandCase {
    pub(super) case: HostileCase,
    arguments: fn(&str, &Path) -> Vec<String>,
}

/// All hostile inputs of the command line.
pub(super) fn cases() -> Vec<CommandCase> {
    let copy = |host: &str, _: &Path| {
        let source = format!("{host}/a/b:1");
        ["copy", &source, "--to", &format!("{host}/c/d:1"), "--dry-run"].map(ToOwned::to_owned).to_vec()
    };
    let update = |_: &str, folder: &Path| {
        let file = folder.join("images.txt").display().to_string();
        ["update", "--all", "--latest", &file].map(ToOwned::to_owned).to_vec()
    };
    vec![
        CommandCase {
            case: with_responses("command line: an endless list of tags", small, endless_tags),
            arguments: update,
        },
        CommandCase {
            case: with_responses("command line: endless pages of tags", small, pages_of_tags),
            arguments: update,
        },
        CommandCase {
            case: with_content("command line: 1000 children of 4 MiB", |store| {
                let children = store.add_family(IMAGE, &image(0, MANIFEST_LIMIT), 1000);
                store.add_index(&children);
            }),
            arguments: copy,
        },
    ]
}

/// Runs the command.
pub(super) async fn measure(command: CommandCase) -> Result<Measured, BoxError> {
    let server = Server::start(command.case.respond).await?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("images.txt"), format!("{}/a/b:1\n", server.host()))?;
    let mut child = Command::new(container_image()?)
        .args((command.arguments)(&server.host(), folder.path()))
        .env_clear()
        .env("HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let (mut stderr, mut peak) = (child.stderr.take(), 0);
    let status_file = format!("/proc/{}/status", child.id().unwrap_or_default());
    let end = tokio::time::Instant::now() + LIMIT;
    let outcome = loop {
        peak = peak_of(&status_file).unwrap_or_default().max(peak);
        if let Some(status) = child.try_wait()? {
            let mut text = String::new();
            if let Some(stderr) = stderr.as_mut() {
                stderr.read_to_string(&mut text).await?;
            }
            break match status.code() {
                Some(code) => Ok(format!("exit code {code}: {}", text.lines().last().unwrap_or_default())),
                None => Err(format!("{status}")),
            };
        }
        if peak >= STOPPED_AT {
            break Ok(stopped());
        }
        if tokio::time::Instant::now() > end {
            break Err(format!("the command still runs after {} s", LIMIT.as_secs()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    Ok(Measured { name: command.case.name, peak, outcome })
}

/// Returns the peak memory of a running process in bytes.
fn peak_of(status_file: &str) -> Option<u64> {
    let status = std::fs::read_to_string(status_file).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn endless_tags(request: &Request<'_>, _: &str) -> Option<Vec<Part>> {
    let body = vec![Part::text(r#"{"name":"a/b","tags":["#), Part::endless(r#""1.0.0","#)];
    request.target.contains("/tags/list").then(|| response(request.method, "200 OK", "", body))
}

/// Pages of 100,000 tags, each with a link to the next.
fn pages_of_tags(request: &Request<'_>, _: &str) -> Option<Vec<Part>> {
    let (path, query) = request.target.split_once('?').unwrap_or((request.target, "last=0"));
    let page: usize = query.rsplit('=').next().and_then(|page| page.parse().ok()).unwrap_or_default();
    let tags: Vec<_> = (0..100_000).map(|number| format!(r#""1.{page}.{number}""#)).collect();
    let headers = format!("Link: <{path}?last={}>; rel=\"next\"\r\n", page + 1);
    let body = vec![Part::text(format!(r#"{{"name":"a/b","tags":[{}]}}"#, tags.join(",")))];
    path.contains("/tags/list").then(|| response(request.method, "200 OK", &headers, body))
}
