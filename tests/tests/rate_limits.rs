//! Registries that have had enough: what is waited out, and what is not.

#![expect(clippy::unwrap_used, reason = "what cannot be set up ends the test")]

mod engine;

use aws_emulator::{Effect, Emulator, Fault, ImageBuilder, Profile};
use engine::{Engine, Logins};

/// Copies an image of a registry that refuses its manifests so many times, and tells what came of it.
async fn copy(host: &str, refusal: Effect, times: usize) -> (String, usize) {
    let emulator = Emulator::start().await.unwrap();
    emulator.ecr().remove_rate_limits();
    let registry = match host {
        "docker.io" => emulator.docker_hub().clone(),
        "public.ecr.aws" => emulator.ecr_public().clone(),
        _ => emulator.add_upstream(Profile::ghcr()),
    };
    registry.put_image("acme/app", "1", &ImageBuilder::new(1).layers(&[1000]).single());
    let api_host = registry.profile().registry_host.clone();
    emulator.faults().add(Fault::on("manifest.get", refusal).host(&api_host).times(times));
    let engine = Engine::new(&emulator, "team/app", Logins::default(), &[]);
    let mark = emulator.log().mark();
    let digest = registry.resolve("acme/app", "1").unwrap();
    let told = match engine.copy(&format!("{host}/acme/app:1")).await {
        Ok(_) => "copied".to_owned(),
        // "sha256:" and twelve digits.
        Err(error) => error.to_string().replace(&digest[..19], "DIGEST"),
    };
    let asked = emulator.log().matching(mark, "manifest.get");
    (told, asked.iter().filter(|entry| entry.host == api_host).count())
}

#[tokio::test]
async fn a_second_is_waited_for_and_a_month_is_not() {
    let of = |host: &str, words: &str| {
        format!("source {host}/acme/app:1 (manifest DIGEST) cannot be read: registry says 429 {words}")
    };
    let volume = of("public.ecr.aws", "TOOMANYREQUESTS \"Data limit exceeded\".");
    let minute = of(
        "docker.io",
        "\"Too Many Requests\" (it asks to wait 1 min); this is not the limit on pulls, but the one on requests of any kind in a minute.",
    );
    for (host, refusal, times, expected, asked) in [
        ("public.ecr.aws", Effect::ecr_public_rate(), 2, "copied", 3),
        ("public.ecr.aws", Effect::ecr_public_volume(), 9, volume.as_str(), 1),
        ("docker.io", Effect::docker_hub_abuse(1), 1, "copied", 2),
        ("docker.io", Effect::docker_hub_abuse(60), 9, minute.as_str(), 1),
        ("ghcr.io", Effect::ghcr_rate(), 2, "copied", 3),
    ] {
        assert_eq!(copy(host, refusal.clone(), times).await, (expected.to_owned(), asked), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_used_up_pull_limit_is_told_at_once_with_whose_it_is() {
    let emulator = Emulator::start().await.unwrap();
    let hub = emulator.docker_hub();
    hub.put_image("acme/app", "1", &ImageBuilder::new(1).single());
    hub.set_remaining_pulls(None, 0);
    let engine = Engine::new(&emulator, "team/app", Logins::default(), &[]);
    let pinned = format!("docker.io/acme/app@{}", hub.resolve("acme/app", "1").unwrap());
    // What HEAD tells of a tag spares the GET; of a digest, nothing is known before.
    for (source, asked) in [("docker.io/acme/app:1", 0), (pinned.as_str(), 1)] {
        let mark = emulator.log().mark();
        let error = engine.copy(source).await.unwrap_err().to_string();
        assert!(error.contains("0 of 100 left for 203.0.113.7 in each 6 h"), "{error}");
        let refused = emulator.log().matching(mark, "manifest.get");
        let refused = refused.iter().filter(|entry| entry.status == Some(429)).count();
        assert_eq!(refused, asked, "whoever is refused asks no more");
    }
}
