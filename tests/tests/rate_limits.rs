//! Rate limits of registries: short ones are waited for, long ones fail.

#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

mod engine;

use aws_emulator::{Effect, Emulator, Fault, ImageBuilder, Profile};
use engine::{Engine, StaticCredentials};

/// Copies an image from a registry that rejects its manifest `times` times. Returns the result and the number
/// of requests.
async fn copy(host: &str, rejection: Effect, times: usize) -> (String, usize) {
    let emulator = Emulator::start().await.unwrap();
    emulator.ecr().remove_rate_limits();
    let registry = match host {
        "docker.io" => emulator.docker_hub().clone(),
        "public.ecr.aws" => emulator.ecr_public().clone(),
        _ => emulator.add_upstream(Profile::ghcr()),
    };
    registry.put_image("acme/app", "1", &ImageBuilder::new(1).layers(&[1000]).single());
    let api_host = registry.profile().registry_host.clone();
    emulator.faults().add(Fault::on("manifest.get", rejection).host(&api_host).times(times));
    let engine = Engine::new(&emulator, "team/app", StaticCredentials::default(), &[]);
    let mark = emulator.log().mark();
    let digest = registry.resolve("acme/app", "1").unwrap();
    let result = match engine.copy(&format!("{host}/acme/app:1")).await {
        Ok(_) => "copied".to_owned(),
        // Length of "sha256:" and twelve digits.
        Err(error) => error.to_string().replace(&digest[..19], "DIGEST"),
    };
    let requests = emulator.log().matching(mark, "manifest.get");
    (result, requests.iter().filter(|entry| entry.host == api_host).count())
}

#[tokio::test]
async fn waits_for_short_limits_and_fails_for_long_ones() {
    let of = |host: &str, error: &str| {
        format!("Image {host}/acme/app:1 (manifest DIGEST) could not be read: {error}")
    };
    let volume = of("public.ecr.aws", "ECR Public returned 429 TOOMANYREQUESTS \"Data limit exceeded\".");
    let minute = of(
        "docker.io",
        "Docker Hub returned 429 \"Too Many Requests\" (retry after 1 min); this is its limit on requests, not on pulls.",
    );
    for (host, rejection, times, expected, requests) in [
        ("public.ecr.aws", Effect::ecr_public_rate(), 2, "copied", 3),
        ("public.ecr.aws", Effect::ecr_public_volume(), 9, volume.as_str(), 1),
        ("docker.io", Effect::docker_hub_abuse(1), 1, "copied", 2),
        ("docker.io", Effect::docker_hub_abuse(60), 9, minute.as_str(), 1),
        ("ghcr.io", Effect::ghcr_rate(), 2, "copied", 3),
    ] {
        assert_eq!(
            copy(host, rejection.clone(), times).await,
            (expected.to_owned(), requests),
            "{rejection:?}"
        );
    }
}

#[tokio::test]
async fn reports_an_exceeded_pull_limit_with_its_owner() {
    let emulator = Emulator::start().await.unwrap();
    let hub = emulator.docker_hub();
    hub.put_image("acme/app", "1", &ImageBuilder::new(1).single());
    hub.set_remaining_pulls(None, 0);
    let engine = Engine::new(&emulator, "team/app", StaticCredentials::default(), &[]);
    let pinned = format!("docker.io/acme/app@{}", hub.resolve("acme/app", "1").unwrap());
    // HEAD of a tag reports the limit, so that no GET is sent. A digest is read without HEAD.
    for (source, requests) in [("docker.io/acme/app:1", 0), (pinned.as_str(), 1)] {
        let mark = emulator.log().mark();
        let error = engine.copy(source).await.unwrap_err().to_string();
        assert!(error.contains("0 of 100 pulls left for 203.0.113.7 per 6 h"), "{error}");
        let rejected = emulator.log().matching(mark, "manifest.get");
        let rejected = rejected.iter().filter(|entry| entry.status == Some(429)).count();
        assert_eq!(rejected, requests, "requests after the limit was reported");
    }
}
