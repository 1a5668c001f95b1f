//! Behaviour of single registries, through the proxy.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;
mod registry_fixture;

use aws_emulator::{Authorization, Effect, Fault, ImageBuilder, Profile};
use common::{ACCEPT, Fixture, basic, body, header, registry_error};
use registry_fixture::{RegistryFixture, assert_error};
use reqwest::Method;

#[tokio::test]
async fn docker_hub_rejects_wrong_credentials_and_locks_the_user() {
    let fixture = Fixture::start().await;
    let hub = fixture.emulator.docker_hub();
    hub.put_image("acme/app", "1", &ImageBuilder::new(1).single());
    hub.add_user("ann", "right");
    let url = "https://auth.docker.io/token?service=registry.docker.io&scope=repository:acme/app:pull";
    for _ in 0..5 {
        assert_eq!(fixture.get(url, &basic("ann", "wrong")).await.status(), 401);
    }
    let locked = registry_error(fixture.get(url, &basic("ann", "right")).await).await;
    assert_error(locked, (429, "TOOMANYREQUESTS", "too many failed login attempts"));
    assert_eq!(fixture.get(url, "").await.status(), 200, "anonymous callers are not locked");
    hub.unlock_users();
    assert_eq!(fixture.get(url, &basic("ann", "right")).await.status(), 200);
}

#[tokio::test]
async fn docker_hardened_images_need_credentials() {
    let setup = RegistryFixture::new(Profile::docker_hardened(), "python", "mirror").await;
    let anonymous = setup.token("python", None).await;
    let error = setup.get("python/manifests/1", &anonymous).await;
    assert!(header(&error, "www-authenticate").contains("insufficient_scope"));
    let token = setup.token("python", Some("right")).await;
    assert_eq!(setup.get("python/manifests/1", &token).await.status(), 200);
    setup.registry.expire_tokens();
    let expired = setup.get("python/manifests/1", &token).await;
    assert_eq!((expired.status().as_u16(), header(&expired, "www-authenticate").as_str()), (401, ""));
}

#[tokio::test]
async fn private_images_cause_the_errors_of_each_registry() {
    let denied = "requested access to the resource is denied";
    for (profile, path, to_anonymous, to_wrong_credentials) in [
        (Profile::ghcr(), "acme/", (403, "DENIED", denied), (403, "DENIED", "denied")),
        (
            Profile::gitlab(),
            "acme/",
            (403, "DENIED", "access forbidden"),
            (403, "DENIED", "access forbidden"),
        ),
        (
            Profile::acr("acme"),
            "",
            (401, "UNAUTHORIZED", "authentication required, visit"),
            (401, "UNAUTHORIZED", "authentication required, visit"),
        ),
    ] {
        let host = profile.registry_host.clone();
        let private = format!("{path}private");
        let setup = RegistryFixture::new(profile, &format!("{path}app"), &private).await;
        assert_error(registry_error(setup.request_token(&private, None).await).await, to_anonymous);
        assert_error(
            registry_error(setup.request_token(&private, Some("wrong")).await).await,
            to_wrong_credentials,
        );
        let token = setup.token(&private, Some("right")).await;
        let got = setup.get(&format!("{private}/manifests/1"), &token).await;
        assert_eq!(got.bytes().await.unwrap(), setup.image.root().bytes, "{host}");
    }
}

#[tokio::test]
async fn quay_rejects_a_scope_with_an_unknown_action() {
    let setup = RegistryFixture::new(Profile::quay(), "acme/app", "acme/private").await;
    let url = "https://quay.io/v2/auth?service=quay.io&scope=repository:acme/app:pull,delete";
    assert_eq!(setup.fixture.get(url, "").await.status(), 400);
    let given = body(setup.request_token("acme/app", None).await).await;
    assert_eq!(given.as_object().unwrap().keys().collect::<Vec<_>>(), ["token"], "no lifetime");
    let token = setup.token("acme/private", None).await;
    let error = registry_error(setup.get("acme/private/manifests/1", &token).await).await;
    assert_error(error, (401, "UNAUTHORIZED", "access to the requested resource is not authorized"));
}

#[tokio::test]
async fn microsoft_has_no_authentication_and_its_storage_rejects_credentials() {
    let setup = RegistryFixture::new(Profile::mcr(), "dotnet/sdk", "other").await;
    let got = setup.get("dotnet/sdk/manifests/1", "").await;
    assert_eq!(got.bytes().await.unwrap(), setup.image.root().bytes);
    let blob = setup.get(&format!("dotnet/sdk/blobs/{}", setup.image.blobs[0].digest()), "").await;
    let location = header(&blob, "location");
    assert!(location.starts_with("https://westeurope.data.mcr.microsoft.com/"), "{location}");
    let error = setup.fixture.get(&location, &basic("a", "b")).await;
    let text = error.text().await.unwrap();
    assert!(text.contains("Authentication information is not given in the correct format"), "{text}");
}

#[tokio::test]
async fn gitlab_resolves_a_fallback_tag_as_a_digest() {
    let setup = RegistryFixture::new(Profile::gitlab(), "acme/app", "acme/private").await;
    let challenge = header(&setup.get("acme/app/manifests/1", "").await, "www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"https://gitlab.com/jwt/auth\""), "{challenge}");
    let token = setup.token("acme/app", None).await;
    let tag = setup.image.digest().replace(':', "-");
    let got = setup.get(&format!("acme/app/manifests/{tag}"), &token).await;
    assert_eq!(header(&got, "docker-content-digest"), setup.image.digest());
    assert_eq!(
        setup.get(&format!("acme/app/referrers/{}", setup.image.digest()), &token).await.status(),
        404
    );
    let member = setup.token("acme/nothing", Some("right")).await;
    assert_eq!(setup.get("acme/nothing/manifests/1", &member).await.status(), 401);
}

#[tokio::test]
async fn harbor_has_wrong_lengths_and_one_media_type_per_accept() {
    let setup =
        RegistryFixture::new(Profile::harbor("harbor.example"), "library/app", "library/private").await;
    let token = setup.token("library/app", None).await;
    let url = setup.url("library/app/manifests/1");
    let request_with_accepts = |method| {
        let request = setup.fixture.client.request(method, &url).header("authorization", &token);
        ACCEPT.split(',').fold(request, |request, kind| request.header("accept", kind.trim()))
    };
    let head_response = request_with_accepts(Method::HEAD).send().await.unwrap();
    assert_ne!(header(&head_response, "content-length"), setup.image.root().bytes.len().to_string());
    let got = request_with_accepts(Method::GET).send().await.unwrap();
    assert_eq!(header(&got, "docker-content-digest"), setup.image.digest());
    let joined = setup.get("library/app/manifests/1", &token).await;
    assert_ne!(header(&joined, "docker-content-digest"), setup.image.digest());
    let missing = registry_error(setup.get("library/app/manifests/9", &token).await).await;
    assert_error(missing, (404, "NOT_FOUND", "artifact library/app:9 not found"));
}

#[tokio::test]
async fn artifactory_accepts_basic_and_bearer_and_rejects_head_with_403() {
    let setup =
        RegistryFixture::new(Profile::artifactory("acme.jfrog.io"), "docker-local/app", "docker-local/own")
            .await;
    let head_response = setup.head("docker-local/app/manifests/1", "").await;
    let challenges: Vec<_> = head_response.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 2, "{challenges:?}");
    let bearer = challenges.iter().find(|value| value.to_str().unwrap().starts_with("Bearer")).unwrap();
    assert_eq!(*bearer, "Bearer realm=\"https://acme.jfrog.io/v2/token\",service=\"acme.jfrog.io:443\"");
    assert_eq!(setup.get("docker-local/own/manifests/1", &basic("ann", "right")).await.status(), 200);
    let wrong = setup.get("docker-local/own/manifests/1", &basic("ann", "wrong")).await;
    assert_eq!(body(wrong).await["errors"][0]["message"], "Bad credentials");
    let post = setup.fixture.request(Method::POST, "https://acme.jfrog.io/v2/token", "");
    assert_eq!(post.body("grant_type=password").send().await.unwrap().status(), 401);
    let token = setup.token("docker-local/app", None).await;
    assert_eq!(setup.head("docker-local/app/manifests/9", &token).await.status(), 403);
    assert_eq!(setup.get("docker-local/app/manifests/9", &token).await.status(), 404);
    let manifest = format!("docker-local/app/blobs/{}", setup.image.digest());
    assert_eq!(setup.head(&manifest, &token).await.status(), 200);
    assert_eq!(setup.get(&manifest, &token).await.status(), 404);
}

#[tokio::test]
async fn chainguard_shows_two_tags_to_anonymous_callers() {
    let setup = RegistryFixture::new(Profile::chainguard(), "acme/app", "acme/private").await;
    setup.registry.tag("acme/app", "latest", setup.image.digest());
    let anonymous = setup.token("acme/app", None).await;
    for (reference, status) in [("latest", 200), ("1", 404), (setup.image.digest(), 200)] {
        let rest = format!("acme/app/manifests/{reference}");
        assert_eq!(setup.get(&rest, &anonymous).await.status(), status, "{reference}");
    }
    let own = setup.token("acme/app", Some("right")).await;
    assert_eq!(setup.get("acme/app/manifests/1", &own).await.status(), 200);
    let other = setup.get("acme/private/manifests/1", &own).await;
    assert_eq!(header(&other, "www-authenticate"), "");
    assert_error(registry_error(other).await, (403, "DENIED", "requested access"));
}

#[tokio::test]
async fn distribution_needs_basic_authentication() {
    let setup = RegistryFixture::new(Profile::distribution("registry.example"), "app", "private").await;
    for authorization in [String::new(), basic("ann", "wrong"), "Bearer x".to_owned()] {
        let error = setup.get("app/manifests/1", &authorization).await;
        assert_eq!(header(&error, "www-authenticate"), "Basic realm=\"Registry Realm\"");
        assert_error(registry_error(error).await, (401, "UNAUTHORIZED", "authentication required"));
    }
    let blob = format!("app/blobs/{}", setup.image.blobs[0].digest());
    let got = setup.get(&blob, &basic("ann", "right")).await;
    assert_eq!(got.bytes().await.unwrap(), setup.image.blobs[0].to_bytes(), "no redirect for blobs");
}

#[tokio::test]
async fn the_proxy_serves_a_registry_in_plain_http() {
    let setup = RegistryFixture::new(Profile::without_auth("plain.example"), "app", "other").await;
    let got = setup.fixture.get("http://plain.example:5000/v2/app/manifests/1", "").await;
    assert_eq!(got.bytes().await.unwrap(), setup.image.root().bytes);
}

#[tokio::test]
async fn a_hostile_host_records_requests() {
    let fixture = Fixture::start().await;
    let attacker = aws_emulator::HostileHost::new(&["attacker.example"], "Basic realm=\"x\"");
    fixture.emulator.add(attacker.clone());
    fixture.emulator.docker_hub().put_image("acme/app", "1", &ImageBuilder::new(1).single());
    let location = "https://attacker.example/v2/".to_owned();
    fixture.emulator.faults().add(Fault::on("ping", Effect::Redirect { location }));
    let redirect_response = fixture.get("https://registry-1.docker.io/v2/", "").await;
    let response = fixture.get(&header(&redirect_response, "location"), &basic("ann", "secret")).await;
    assert_eq!(header(&response, "www-authenticate"), "Basic realm=\"x\"");
    assert_eq!(attacker.authorizations(), [basic("ann", "secret")]);
    assert!(attacker.everything().starts_with("GET /v2/\n"));
    let entry = fixture.emulator.log().entries().pop().unwrap();
    assert_eq!((entry.service.as_str(), entry.authorization), ("attacker", Authorization::Basic));
}
