//! Search for secrets in the output of a test.

use std::time::Duration;

use aws_emulator::lambda::Outcome;
use aws_emulator::stack::ProviderCall;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::common::Account;
use crate::common::planted::{encodings, find_secret};

/// A planted token. Each planted value is unique, so that its origin is known.
pub(crate) const BEARER: &str = "planted-bearer-token-7Hq2";
/// A password from ECR.
pub(crate) const PASSWORD: &str = "planted-ecr-password-9Zx4";
/// A signature in the URL of a blob.
pub(crate) const SIGNATURE: &str = "planted-cdn-signature-3Kd8";
/// A password in a secret. Every encoding changes it.
pub(crate) const RIGHT: &str = "planted+right/password=5Tr1";
/// A wrong password in a secret.
pub(crate) const WRONG: &str = "planted+wrong/password=8Lm6";
/// An identity token in a docker `config.json`.
pub(crate) const IDENTITY: &str = "planted+identity/token=2Wv9";

const PLANTED: [&str; 6] = [BEARER, PASSWORD, SIGNATURE, RIGHT, WRONG, IDENTITY];

/// Returns all output of the function: logs, results of invocations and responses.
async fn output_of(account: &Account, calls: &[ProviderCall]) -> String {
    // The last line follows the response.
    let is_last = |line: &String| line.contains("\"outcome\":");
    let complete =
        |call: &ProviderCall| account.world.function.output_of(&call.invocation_id).iter().any(is_last);
    let wait = async {
        while !calls.iter().all(complete) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        account.world.function.wait_until_idle(Duration::from_secs(10)).await
    };
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(10), wait).await,
        Ok(true),
        "an invocation did not log its last line"
    );
    let mut output = account.world.function.output();
    for invocation in account.world.function.invocations() {
        for attempt in invocation.attempts {
            output.push(match attempt.outcome {
                Outcome::Response(text) | Outcome::Error(text) | Outcome::Crash(text) => text,
                Outcome::Timeout => String::new(),
            });
        }
    }
    output.extend(calls.iter().map(|call| format!("{:?}", call.outcome)));
    output.join("\n")
}

/// Checks that the output contains none of the secrets, and nothing that looks like a secret.
pub(crate) async fn check(account: &Account, calls: &[ProviderCall]) {
    let output = output_of(account, calls).await;
    let environment = account.world.emulator.environment();
    let credentials = environment.into_iter().filter(|(name, _)| {
        matches!(name.as_str(), "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" | "AWS_ACCESS_KEY_ID")
    });
    let mut secrets: Vec<String> = credentials.map(|(_, value)| value).collect();
    secrets.extend(PLANTED.map(ToOwned::to_owned));
    for call in calls {
        let url = call.event["ResponseURL"].as_str().unwrap();
        let (_, query) = url.split_once('?').unwrap();
        secrets.push(query.to_owned());
        let values = query.split('&').filter_map(|pair| pair.split_once('='));
        secrets.extend(values.filter(|(_, value)| value.len() > 16).map(|(_, value)| value.to_owned()));
    }
    for secret in &secrets {
        if let Some(form) = find_secret(secret, &output) {
            panic!("{form} was printed: {}", line_of(&output, form));
        }
    }
    // `QVdTOg` is the beginning of ECR's credentials in base64. `verify=` is part of signed blob URLs.
    let lower = output.to_ascii_lowercase();
    let suspicious =
        ["bearer ", "basic ", "aws4-hmac-sha256", "x-amz-", "signature=", "verify=", "authorization:"];
    for text in suspicious {
        assert!(!lower.contains(text), "{text} was printed: {}", line_of(&lower, text));
    }
    assert!(!output.contains("QVdTOg"), "{}", line_of(&output, "QVdTOg"));
    // Tokens, passwords and signatures are long hexadecimal numbers. So are digests, which have a prefix, and
    // the compiler's commit in the location of a panic.
    for (at, run) in hex_runs(&output) {
        assert!(
            run.len() < 32 || ["sha256:", "/rustc/"].iter().any(|mark| output[..at].ends_with(mark)),
            "{run} was printed: {}",
            line_of(&output, run)
        );
    }
}

fn line_of<'a>(output: &'a str, part: &str) -> &'a str {
    output.lines().find(|line| line.contains(part)).unwrap_or_default()
}

/// Returns all sequences of hexadecimal digits with their positions.
fn hex_runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let runs = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|run| !run.is_empty());
    runs.map(|run| (run.as_ptr() as usize - text.as_ptr() as usize, run))
}

#[test]
fn the_search_finds_all_encodings() {
    for planted in PLANTED {
        let output = format!("header: Basic {}", BASE64_STANDARD.encode(format!("AWS:{planted}")));
        assert!(find_secret(planted, &output).is_some());
        assert!(encodings(planted).iter().all(|form| form.len() > 20));
    }
    assert!(find_secret(RIGHT, "?refresh_token=planted%2Bright%2Fpassword%3D5Tr1&service=x").is_some());
    let token = "0123456789abcdef0123456789abcdef";
    let text = format!("token {token} of sha256:{token}");
    let runs: Vec<_> = hex_runs(&text).filter(|(_, run)| run.len() >= 32).collect();
    assert_eq!(runs.len(), 2);
    assert!(!text[..runs[0].0].ends_with("sha256:") && text[..runs[1].0].ends_with("sha256:"));
}
