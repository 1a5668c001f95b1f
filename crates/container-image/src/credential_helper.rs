//! Credential helpers: programs named `docker-credential-<name>` that store credentials
//! (<https://github.com/docker/docker-credential-helpers>).

use std::time::Duration;

use image_copy::registry::Credentials;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use tokio::process::Command;

use crate::child_process::{TIMEOUT, run, set_process_group};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperResponse {
    username: String,
    secret: SecretString,
}

/// Returns the credentials that `docker-credential-<name>` has stored under `key`.
pub(crate) async fn get(name: &str, key: &str) -> Result<Option<Credentials>, String> {
    let program = format!("docker-credential-{name}");
    // With a separator, the name would be a path to any program.
    if name.contains(['/', '\\']) {
        return Err(format!("the credential helper name \"{name}\" contains a path separator"));
    }
    run_helper(&program, key, TIMEOUT).await
}

async fn run_helper(program: &str, key: &str, limit: Duration) -> Result<Option<Credentials>, String> {
    let failed =
        |reason: &str| format!("credential helper {program} returned no credentials for {key}: {reason}");
    let mut command = Command::new(program);
    command.arg("get");
    set_process_group(&mut command);
    let output = run(command, key, limit).await.map_err(|reason| failed(&reason.to_string()))?;
    let text = output.stdout.expose_secret();
    if !output.success {
        // The protocol defines only this message.
        let is_not_found = text.to_ascii_lowercase().contains("credentials not found");
        return if is_not_found { Ok(None) } else { Err(failed(&output.failure_reason().await)) };
    }
    let response: HelperResponse = serde_json::from_str(text).map_err(|_| failed("its output is invalid"))?;
    match (response.username.as_str(), response.secret.expose_secret()) {
        ("", "") => Ok(None),
        _ => Ok(Some(Credentials { username: response.username, password: response.secret })),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::child_process::NOT_INSTALLED;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    /// The system does not run a script that is open for writing. A fork in another test inherits the open
    /// file for a moment.
    static START_LOCK: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    async fn with_helper(script: &str, limit: Duration) -> Result<Option<(String, String)>, String> {
        let _guard = START_LOCK.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("docker-credential-test");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let found = run_helper(program.to_str().unwrap(), "registry.example", limit).await?;
        Ok(found.map(|found| (found.username, found.password.expose_secret().to_owned())))
    }

    #[tokio::test]
    async fn reads_the_credentials_for_the_registry() {
        let script = r#"read key; [ "$1" = get ] && printf '{"ServerURL":"%s","Username":"me","Secret":"of %s"}' "$key" "$key""#;
        let found = with_helper(script, TIMEOUT).await.unwrap().unwrap();
        assert_eq!(found, ("me".into(), "of registry.example".into()));
    }

    #[tokio::test]
    async fn returns_no_credentials_for_an_unknown_registry() {
        let script = "echo credentials not found in native keychain; exit 1";
        assert_eq!(with_helper(script, TIMEOUT).await, Ok(None));
    }

    #[tokio::test]
    async fn names_a_failed_helper_and_never_quotes_its_output() {
        for (script, expected) in [
            ("echo secret; exit 3", "it failed"),
            (
                "echo secret; printf '\nno \"access\" to the keychain\nmore\n' >&2; exit 1",
                "it failed with \"no 'access' to the keychain\"",
            ),
            ("sleep 3 >&- & echo refused >&2; exit 1", "it failed with \"refused\""),
            ("echo secret", "its output is invalid"),
        ] {
            let error = with_helper(script, TIMEOUT).await.unwrap_err();
            assert!(error.contains("docker-credential-test") && error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let _guard = START_LOCK.lock().await;
        let error = get("nonexistent-helper", "a").await.unwrap_err();
        assert!(
            error.contains("docker-credential-nonexistent-helper") && error.contains(NOT_INSTALLED),
            "{error}"
        );
    }

    #[tokio::test]
    async fn kills_a_helper_with_endless_output() {
        for script in ["exec yes", "trap '' PIPE; yes; while :; do sleep 1; done"] {
            let error = with_helper(script, TIMEOUT).await.unwrap_err();
            assert!(error.contains("its output is invalid"), "{error}");
        }
    }

    /// Waits until the process has ended. A zombie has ended.
    async fn wait_for_end(pid: &str) {
        let state = || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !(state().is_empty() || state().contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn kills_the_children_of_a_helper_that_hangs_fails_or_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        for (end, is_dropped) in [("wait", false), ("exit 1", false), ("exec yes", false), ("wait", true)] {
            let script =
                format!("sleep 1000 >&- 2>&- & echo $! > {0}.new; mv {0}.new {0}; {end}", file.display());
            let run = with_helper(&script, Duration::from_millis(500));
            if is_dropped {
                let started = async {
                    while !file.exists() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! { _ = run => panic!("the helper hangs"), () = started => {} }
            } else {
                run.await.unwrap_err();
            }
            let pid = fs::read_to_string(&file).unwrap();
            wait_for_end(pid.trim()).await;
            fs::remove_file(&file).unwrap();
        }
    }

    #[tokio::test]
    async fn a_helper_times_out() {
        let error = with_helper("exec sleep 60", Duration::from_millis(200)).await.unwrap_err();
        assert!(error.contains("it did not end within"), "{error}");
    }
}
