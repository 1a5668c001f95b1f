//! Credential helpers: programs named `docker-credential-<name>` that keep logins elsewhere
//! (<https://github.com/docker/docker-credential-helpers>).

use std::io::ErrorKind;
use std::process::Stdio;
use std::time::Duration;

use image_copy::registry::Login;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Helpers of clouds fetch tokens over the network, in slow languages; one that waits longer waits
/// for somebody who is not there.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A login is a few hundred bytes, with a signed token a few thousand.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// Bytes within which a complaint has its first line.
const LONGEST_COMPLAINT: usize = 4096;

/// Longest quote from a complaint, in characters.
const LONGEST_QUOTE: usize = 160;

/// For what is already in the pipe when the helper has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Words by which the advice on a program that is not there is found.
pub(crate) const NOT_INSTALLED: &str = "is not installed";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: SecretString,
}

/// Asks `docker-credential-<name>` for the login stored under `key`.
pub(crate) async fn login(name: &str, key: &str) -> Result<Option<Login>, String> {
    let program = format!("docker-credential-{name}");
    // A name is one word; with a separator it would be a path that no configuration should hold.
    if name.contains(['/', '\\']) {
        return Err(format!("the credential helper \"{name}\" is not a name"));
    }
    ask(&program, key, LONGEST_WAIT).await
}

async fn ask(program: &str, key: &str, wait: Duration) -> Result<Option<Login>, String> {
    let failed = |why: &str| format!("the credential helper {program} has no login for {key}: {why}");
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => failed(&format!("that program {NOT_INSTALLED}")),
            _ => failed(&format!("it cannot be started ({error})")),
        })?;
    let complaint = child.stderr.take().map(first_line);
    let (done, answer) = match timeout(wait, converse(child, key)).await {
        Ok(spoken) => spoken.map_err(|error| failed(&format!("it broke off ({error})")))?,
        Err(_) => return Err(failed(&format!("it gave no answer in {} s", wait.as_secs()))),
    };
    let text = answer.expose_secret();
    if !done {
        // The one message that the protocol gives a meaning to.
        let is_unknown = text.to_ascii_lowercase().contains("credentials not found");
        return if is_unknown { Ok(None) } else { Err(failed(&words_of_failure(complaint).await)) };
    }
    let answer: Answer = serde_json::from_str(text).map_err(|_| failed("its answer cannot be read"))?;
    match (answer.username.as_str(), answer.secret.expose_secret()) {
        ("", "") => Ok(None),
        _ => Ok(Some(Login { username: answer.username, password: answer.secret })),
    }
}

/// Why a helper failed, in its own words. What it writes to stdout may be a login and is kept back.
async fn words_of_failure(complaint: Option<oneshot::Receiver<String>>) -> String {
    let line = match complaint {
        Some(line) => timeout(LAST_WORDS, line).await.ok().and_then(Result::ok).unwrap_or_default(),
        None => String::new(),
    };
    if line.is_empty() {
        "it failed; run it by hand to see why".into()
    } else {
        format!("it failed and says \"{line}\"")
    }
}

/// The first line with words in it. All of it is read, so that the helper is never kept from
/// writing; by a task of its own, since what the helper left running may hold the pipe open.
fn first_line(mut errors: ChildStderr) -> oneshot::Receiver<String> {
    let (said, line) = oneshot::channel();
    tokio::spawn(async move {
        let mut start = Vec::new();
        while start.len() < LONGEST_COMPLAINT && !has_whole_line(&start) {
            if !matches!(errors.read_buf(&mut start).await, Ok(1..)) {
                break;
            }
        }
        // Nobody listens once the helper was successful.
        let _ = said.send(in_one_line(&start));
        let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
    });
    line
}

fn has_whole_line(start: &[u8]) -> bool {
    start.trim_ascii_start().contains(&b'\n')
}

fn in_one_line(start: &[u8]) -> String {
    let text = String::from_utf8_lossy(start);
    let line = text.trim_start().lines().next().unwrap_or_default();
    let clean: String = line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    clean.replace('"', "'").chars().take(LONGEST_QUOTE).collect()
}

/// Writes the key and reads to the end. Tells whether the helper was successful.
async fn converse(mut child: Child, key: &str) -> std::io::Result<(bool, SecretString)> {
    if let Some(mut input) = child.stdin.take() {
        // A helper may answer without reading; then the pipe is closed, and that is no fault.
        let _ = input.write_all(key.as_bytes()).await;
    }
    let mut answer = String::new();
    if let Some(output) = child.stdout.take() {
        output.take(LONGEST_ANSWER).read_to_string(&mut answer).await?;
    }
    Ok((child.wait().await?.success(), answer.into()))
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// A program is started by a fork, which holds a script that another test is writing open for a
    /// moment, and then the system refuses to run that script.
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    async fn with_helper(script: &str, wait: Duration) -> Result<Option<(String, String)>, String> {
        let _turn = ONE_AT_A_TIME.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker-credential-test");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let found = ask(program.to_str().unwrap(), "registry.example", wait).await?;
        Ok(found.map(|login| (login.username, login.password.expose_secret().to_owned())))
    }

    #[tokio::test]
    async fn asks_for_the_registry_and_reads_the_login() {
        let script = r#"read key; [ "$1" = get ] && printf '{"ServerURL":"%s","Username":"me","Secret":"of %s"}' "$key" "$key""#;
        let found = with_helper(script, LONGEST_WAIT).await.unwrap().unwrap();
        assert_eq!(found, ("me".into(), "of registry.example".into()));
    }

    #[tokio::test]
    async fn a_registry_that_the_helper_does_not_know_has_no_login() {
        let script = "echo credentials not found in native keychain; exit 1";
        assert_eq!(with_helper(script, LONGEST_WAIT).await, Ok(None));
    }

    #[tokio::test]
    async fn a_helper_that_fails_is_named_and_its_words_are_kept_back() {
        for (script, expected) in [
            ("echo secret; exit 3", "it failed"),
            (
                "echo secret; printf '\nno \"access\" to the keychain\nmore\n' >&2; exit 1",
                "it failed and says \"no 'access' to the keychain\"",
            ),
            ("sleep 3 >&- & echo refused >&2; exit 1", "it failed and says \"refused\""),
            ("echo secret", "its answer cannot be read"),
        ] {
            let error = with_helper(script, LONGEST_WAIT).await.unwrap_err();
            assert!(error.contains("docker-credential-test") && error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let _turn = ONE_AT_A_TIME.lock().await;
        let error = login("nonexistent-helper", "a").await.unwrap_err();
        assert!(
            error.contains("docker-credential-nonexistent-helper") && error.contains(NOT_INSTALLED),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_given_up() {
        let error = with_helper("exec sleep 60", Duration::from_millis(200)).await.unwrap_err();
        assert!(error.contains("gave no answer"), "{error}");
    }
}
