//! Every kind of fault at every kind of request. A single fault is retried. A permanent fault is reported in
//! one line, and the old tag stays unchanged.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{Effect, Fault, Image, ImageBuilder};
use image_copy::copy::Problem;
use support::World;
use tokio::sync::Semaphore;
use tokio::time::Instant;

const OPERATIONS: [&str; 9] = [
    "token",
    "manifest.head",
    "manifest.get",
    "blob.get",
    "blob.content",
    "blob.head",
    "upload.start",
    "upload.put",
    "manifest.put",
];

fn effects() -> Vec<(&'static str, Effect)> {
    let status = |code, headers: &[(&str, &str)], body: &str| Effect::Status {
        code,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect::<BTreeMap<_, _>>(),
        body: body.into(),
    };
    vec![
        ("reset within the body", Effect::Reset { after_bytes: 9, on: None }),
        ("body cut short", Effect::Truncate { after_bytes: 9, on: None }),
        ("one byte corrupted", Effect::Corrupt { at_byte: 9, on: None }),
        ("502", status(502, &[], "<html>Bad Gateway</html>")),
        ("503", status(503, &[], "")),
        ("429 with Retry-After", status(429, &[("retry-after", "1")], "Too Many Requests")),
        ("token expired", Effect::ExpireToken),
        ("stall", Effect::Stall { after_bytes: 9, for_ms: None, on: None }),
    ]
}

/// Limits concurrent cases, so that they do not exceed their timeouts on a small machine.
fn concurrency_limit() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(6))
}

fn images() -> (Image, Image) {
    let recipe = |seed| {
        ImageBuilder::new(seed).platforms(&["linux/amd64", "linux/arm64"]).layers(&[50_000, 3000]).index()
    };
    (recipe(1), recipe(2))
}

/// Starts a world with the old image in ECR and the new one upstream, both under `3.13`.
async fn world(old: &Image, new: &Image) -> World {
    let mut world = World::start().await;
    world.put_hub_image("3.13", old);
    world.copy("python:3.13", Some("3.13"), "all").await.expect("a copy without faults");
    world.put_hub_image("3.13", new);
    world.deadline = Some(Instant::now() + Duration::from_secs(20));
    world
}

/// Replaces an expired token at the blob host by an expired signature, because it uses no tokens.
fn effect_at(operation: &str, effect: Effect) -> Effect {
    match effect {
        Effect::ExpireToken if operation == "blob.content" => Effect::ExpireSignature,
        other => other,
    }
}

/// Returns true if the permanent fault makes a copy fail. An expired token is replaced by a new one. A fault
/// in a body has no effect on a response without a body.
fn causes_failure(operation: &str, fault: &str) -> bool {
    let in_the_body =
        matches!(fault, "reset within the body" | "body cut short" | "one byte corrupted" | "stall");
    let without_body = matches!(operation, "manifest.head" | "blob.head" | "blob.get" | "upload.start");
    fault != "token expired" && !(in_the_body && without_body)
}

#[tokio::test]
async fn retries_a_single_fault_of_any_kind() {
    let (old, new) = images();
    let (mut cases, limit) = (tokio::task::JoinSet::new(), concurrency_limit());
    for operation in OPERATIONS {
        for (name, effect) in effects() {
            let (old, new, limit) = (old.clone(), new.clone(), limit.clone());
            cases.spawn(async move {
                let _permit = limit.acquire().await.unwrap();
                let world = world(&old, &new).await;
                if operation == "token" {
                    // Otherwise the token of the first copy would be used.
                    world.emulator.docker_hub().expire_tokens();
                }
                let effect = effect_at(operation, effect);
                world.emulator.faults().add(Fault::on(operation, effect).once());
                let result = world.copy("python:3.13", Some("3.13"), "all").await;
                match result {
                    Ok(_) => world.check_stored("3.13", &new),
                    // The registry rejects an invalid manifest permanently.
                    Err(failure) if (name, operation) == ("one byte corrupted", "manifest.put") => {
                        assert_eq!(failure.problem(), Problem::Rejected, "{failure}");
                        assert_eq!(world.ecr.resolve("3.13").as_deref(), Some(old.digest()));
                    }
                    Err(failure) => panic!("{name} at {operation}: {failure}"),
                }
            });
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

#[tokio::test]
async fn reports_a_permanent_fault_and_keeps_the_tag() {
    let (old, new) = images();
    let (mut cases, limit) = (tokio::task::JoinSet::new(), concurrency_limit());
    for operation in OPERATIONS {
        for (name, effect) in effects() {
            if !causes_failure(operation, name) {
                continue;
            }
            let (old, new, limit) = (old.clone(), new.clone(), limit.clone());
            cases.spawn(async move {
                let _permit = limit.acquire().await.unwrap();
                let mut world = world(&old, &new).await;
                world.deadline = Some(Instant::now() + Duration::from_secs(3));
                if operation == "token" {
                    world.emulator.docker_hub().expire_tokens();
                }
                world.emulator.faults().add(Fault::on(operation, effect));
                let started = Instant::now();
                let result = world.copy("python:3.13", Some("3.13"), "all").await;
                assert!(started.elapsed() < Duration::from_secs(6), "{name} at {operation} took too long");
                assert_eq!(world.ecr.resolve("3.13").as_deref(), Some(old.digest()), "{name} at {operation}");
                match result {
                    Ok(_) => panic!("{name} at {operation}: success"),
                    Err(failure) => {
                        let line = failure.summary();
                        assert!(!line.contains('\n') && line.len() < 500, "{line}");
                        (operation, name, failure.problem(), line)
                    }
                }
            });
        }
    }
    let mut table = Vec::new();
    while let Some(case) = cases.join_next().await {
        table.push(case.unwrap());
    }
    table.sort_unstable();
    for (operation, name, problem, line) in table {
        println!("{operation:14} {name:22} {problem:?}: {line}");
        assert!(
            matches!(
                problem,
                Problem::Interrupted
                    | Problem::ServerError
                    | Problem::Throttled
                    | Problem::Corrupt
                    | Problem::Rejected
                    | Problem::InvalidResponse
                    | Problem::Deadline
            ),
            "{line}"
        );
    }
}
