//! Credential helpers: programs named `docker-credential-<name>` that keep logins elsewhere
//! (<https://github.com/docker/docker-credential-helpers>).

use std::time::Duration;

use image_copy::registry::Credentials;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use tokio::process::Command;

use crate::program::{LONGEST_WAIT, found_family, run};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: SecretString,
}

/// Asks `docker-credential-<name>` for the login stored under `key`.
pub(crate) async fn login(name: &str, key: &str) -> Result<Option<Credentials>, String> {
    let program = format!("docker-credential-{name}");
    // A name is one word; with a separator it would be a path that no configuration should hold.
    if name.contains(['/', '\\']) {
        return Err(format!("the credential helper \"{name}\" is not a name"));
    }
    ask(&program, key, LONGEST_WAIT).await
}

async fn ask(program: &str, key: &str, wait: Duration) -> Result<Option<Credentials>, String> {
    let failed = |why: &str| format!("the credential helper {program} has no login for {key}: {why}");
    let mut command = Command::new(program);
    command.arg("get");
    found_family(&mut command);
    let ended = run(command, key, wait).await.map_err(|why| failed(&why.to_string()))?;
    let text = ended.answer.expose_secret();
    if !ended.done {
        // The one message that the protocol gives a meaning to.
        let is_unknown = text.to_ascii_lowercase().contains("credentials not found");
        return if is_unknown { Ok(None) } else { Err(failed(&ended.words_of_failure().await)) };
    }
    let answer: Answer = serde_json::from_str(text).map_err(|_| failed("its answer cannot be read"))?;
    match (answer.username.as_str(), answer.secret.expose_secret()) {
        ("", "") => Ok(None),
        _ => Ok(Some(Credentials { username: answer.username, password: answer.secret })),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::program::NOT_INSTALLED;
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
    async fn an_endless_answer_is_an_error_and_ends_the_helper() {
        for script in ["exec yes", "trap '' PIPE; yes; while :; do sleep 1; done"] {
            let error = with_helper(script, LONGEST_WAIT).await.unwrap_err();
            assert!(error.contains("its answer cannot be read"), "{error}");
        }
    }

    /// Returns once the process does not run any more, as opposed to one that nobody stopped.
    async fn wait_for_end(pid: &str) {
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !(state().is_empty() || state().contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_children_of_a_helper_that_hangs_fails_or_is_dropped_end_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        for (end, given_up) in [("wait", false), ("exit 1", false), ("exec yes", false), ("wait", true)] {
            let script =
                format!("sleep 1000 >&- 2>&- & echo $! > {0}.new; mv {0}.new {0}; {end}", file.display());
            let asked = with_helper(&script, Duration::from_millis(500));
            if given_up {
                let started = async {
                    while !file.exists() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! { _ = asked => panic!("it hangs"), () = started => {} }
            } else {
                asked.await.unwrap_err();
            }
            let pid = fs::read_to_string(&file).unwrap();
            wait_for_end(pid.trim()).await;
            fs::remove_file(&file).unwrap();
        }
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_given_up() {
        let error = with_helper("exec sleep 60", Duration::from_millis(200)).await.unwrap_err();
        assert!(error.contains("gave no answer"), "{error}");
    }
}
