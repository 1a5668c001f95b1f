//! What a run said, and the search for secrets in it.

use std::time::Duration;

use aws_emulator::lambda::Outcome;
use aws_emulator::stack::ProviderCall;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::common::Account;
use crate::common::planted::{forms, found};

/// Values that only we can have made up, so that finding one says where it came from.
pub(crate) const BEARER: &str = "planted-bearer-token-7Hq2";
/// Given out by ECR.
pub(crate) const PASSWORD: &str = "planted-ecr-password-9Zx4";
/// In the address of a blob.
pub(crate) const SIGNATURE: &str = "planted-cdn-signature-3Kd8";
/// Of a user, in a secret. Every encoding changes it.
pub(crate) const RIGHT: &str = "planted+right/password=5Tr1";
/// The same, but wrong.
pub(crate) const WRONG: &str = "planted+wrong/password=8Lm6";
/// An identity token in a docker `config.json`.
pub(crate) const IDENTITY: &str = "planted+identity/token=2Wv9";

const PLANTED: [&str; 6] = [BEARER, PASSWORD, SIGNATURE, RIGHT, WRONG, IDENTITY];

/// Everything that the function gave to anybody who may read along.
async fn said(account: &Account, calls: &[ProviderCall]) -> String {
    // The last line comes after the answer.
    let is_last = |line: &String| line.contains("\"outcome\":");
    let complete =
        |call: &ProviderCall| account.world.function.output_of(&call.invocation_id).iter().any(is_last);
    let wait = async {
        while !calls.iter().all(complete) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        account.world.function.wait_until_idle(Duration::from_secs(10)).await
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), wait).await, Ok(true), "the end is in the log");
    let mut said = account.world.function.output();
    for invocation in account.world.function.invocations() {
        for attempt in invocation.attempts {
            said.push(match attempt.outcome {
                Outcome::Response(text) | Outcome::Error(text) | Outcome::Crash(text) => text,
                Outcome::Timeout => String::new(),
            });
        }
    }
    said.extend(calls.iter().map(|call| format!("{:?}", call.outcome)));
    said.join("\n")
}

/// Looks for all secrets of a run, and for whatever looks like one.
pub(crate) async fn check(account: &Account, calls: &[ProviderCall]) {
    let said = said(account, calls).await;
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
        if let Some(form) = found(secret, &said) {
            panic!("{form} was printed: {}", around(&said, form));
        }
    }
    // `QVdTOg` is how base64 of ECR's login begins, `verify=` stands in signed addresses of blobs.
    let lower = said.to_ascii_lowercase();
    let telling =
        ["bearer ", "basic ", "aws4-hmac-sha256", "x-amz-", "signature=", "verify=", "authorization:"];
    for text in telling {
        assert!(!lower.contains(text), "{text} was printed: {}", around(&lower, text));
    }
    assert!(!said.contains("QVdTOg"), "{}", around(&said, "QVdTOg"));
    // Tokens, passwords and signatures are long numbers here; so are digests, which say so, and the
    // version of the compiler, which stands in the place of a panic.
    for (at, run) in hex_runs(&said) {
        assert!(
            run.len() < 32 || ["sha256:", "/rustc/"].iter().any(|mark| said[..at].ends_with(mark)),
            "{run} was printed: {}",
            around(&said, run)
        );
    }
}

fn around<'a>(said: &'a str, part: &str) -> &'a str {
    said.lines().find(|line| line.contains(part)).unwrap_or_default()
}

/// Runs of hexadecimal digits, with their positions.
fn hex_runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let runs = text.split(|c: char| !c.is_ascii_hexdigit()).filter(|run| !run.is_empty());
    runs.map(|run| (run.as_ptr() as usize - text.as_ptr() as usize, run))
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for planted in PLANTED {
        let said = format!("header: Basic {}", BASE64_STANDARD.encode(format!("AWS:{planted}")));
        assert!(found(planted, &said).is_some());
        assert!(forms(planted).iter().all(|form| form.len() > 20));
    }
    assert!(found(RIGHT, "?refresh_token=planted%2Bright%2Fpassword%3D5Tr1&service=x").is_some());
    let token = "0123456789abcdef0123456789abcdef";
    let text = format!("token {token} of sha256:{token}");
    let runs: Vec<_> = hex_runs(&text).filter(|(_, run)| run.len() >= 32).collect();
    assert_eq!(runs.len(), 2);
    assert!(!text[..runs[0].0].ends_with("sha256:") && text[..runs[1].0].ends_with("sha256:"));
}
