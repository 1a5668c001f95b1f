//! Behaviour of single registries, through the proxy.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;
mod registry_fixture;

use aws_emulator::{Authorization, Effect, Fault, ImageBuilder, Profile};
use common::{ACCEPT, Fixture, basic, body, header, refused};
use registry_fixture::{Case, check_words};
use reqwest::Method;

#[tokio::test]
async fn docker_hub_refuses_a_wrong_login_and_then_locks_the_user_out() {
    let fixture = Fixture::start().await;
    let hub = fixture.emulator.docker_hub();
    hub.put_image("acme/app", "1", &ImageBuilder::new(1).single());
    hub.add_user("ann", "right");
    let url = "https://auth.docker.io/token?service=registry.docker.io&scope=repository:acme/app:pull";
    for _ in 0..5 {
        assert_eq!(fixture.get(url, &basic("ann", "wrong")).await.status(), 401);
    }
    let locked = refused(fixture.get(url, &basic("ann", "right")).await).await;
    check_words(locked, (429, "TOOMANYREQUESTS", "too many failed login attempts"));
    assert_eq!(fixture.get(url, "").await.status(), 200, "others are not locked out");
    hub.unlock_users();
    assert_eq!(fixture.get(url, &basic("ann", "right")).await.status(), 200);
}

#[tokio::test]
async fn docker_hardened_wants_a_login_for_everything_and_ends_tokens_without_a_word() {
    let case = Case::new(Profile::docker_hardened(), "python", "mirror").await;
    let anonymous = case.token("python", None).await;
    let refusal = case.get("python/manifests/1", &anonymous).await;
    assert!(header(&refusal, "www-authenticate").contains("insufficient_scope"));
    let token = case.token("python", Some("right")).await;
    assert_eq!(case.get("python/manifests/1", &token).await.status(), 200);
    case.registry.expire_tokens();
    let expired = case.get("python/manifests/1", &token).await;
    assert_eq!((expired.status().as_u16(), header(&expired, "www-authenticate").as_str()), (401, ""));
}

#[tokio::test]
async fn each_hides_or_refuses_private_images_in_its_own_words() {
    let denied = "requested access to the resource is denied";
    for (profile, path, to_anonymous, to_wrong_login) in [
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
        let case = Case::new(profile, &format!("{path}app"), &private).await;
        check_words(refused(case.ask_token(&private, None).await).await, to_anonymous);
        check_words(refused(case.ask_token(&private, Some("wrong")).await).await, to_wrong_login);
        let token = case.token(&private, Some("right")).await;
        let got = case.get(&format!("{private}/manifests/1"), &token).await;
        assert_eq!(got.bytes().await.unwrap(), case.image.root().bytes, "{host}");
    }
}

#[tokio::test]
async fn quay_refuses_a_scope_with_an_action_it_does_not_know() {
    let case = Case::new(Profile::quay(), "acme/app", "acme/private").await;
    let url = "https://quay.io/v2/auth?service=quay.io&scope=repository:acme/app:pull,delete";
    assert_eq!(case.fixture.get(url, "").await.status(), 400);
    let given = body(case.ask_token("acme/app", None).await).await;
    assert_eq!(given.as_object().unwrap().keys().collect::<Vec<_>>(), ["token"], "no word of how long");
    let token = case.token("acme/private", None).await;
    let refusal = refused(case.get("acme/private/manifests/1", &token).await).await;
    check_words(refusal, (401, "UNAUTHORIZED", "access to the requested resource is not authorized"));
}

#[tokio::test]
async fn microsoft_asks_nobody_and_its_storage_refuses_logins() {
    let case = Case::new(Profile::mcr(), "dotnet/sdk", "other").await;
    let got = case.get("dotnet/sdk/manifests/1", "").await;
    assert_eq!(got.bytes().await.unwrap(), case.image.root().bytes);
    let blob = case.get(&format!("dotnet/sdk/blobs/{}", case.image.blobs[0].digest()), "").await;
    let location = header(&blob, "location");
    assert!(location.starts_with("https://westeurope.data.mcr.microsoft.com/"), "{location}");
    let refusal = case.fixture.get(&location, &basic("a", "b")).await;
    let text = refusal.text().await.unwrap();
    assert!(text.contains("Authentication information is not given in the correct format"), "{text}");
}

#[tokio::test]
async fn gitlab_takes_a_tag_for_a_digest() {
    let case = Case::new(Profile::gitlab(), "acme/app", "acme/private").await;
    let challenge = header(&case.get("acme/app/manifests/1", "").await, "www-authenticate");
    assert!(challenge.starts_with("Bearer realm=\"https://gitlab.com/jwt/auth\""), "{challenge}");
    let token = case.token("acme/app", None).await;
    let tag = case.image.digest().replace(':', "-");
    let got = case.get(&format!("acme/app/manifests/{tag}"), &token).await;
    assert_eq!(header(&got, "docker-content-digest"), case.image.digest());
    assert_eq!(case.get(&format!("acme/app/referrers/{}", case.image.digest()), &token).await.status(), 404);
    let member = case.token("acme/nothing", Some("right")).await;
    assert_eq!(case.get("acme/nothing/manifests/1", &member).await.status(), 401);
}

#[tokio::test]
async fn harbor_states_other_lengths_and_reads_one_accept_per_line() {
    let case = Case::new(Profile::harbor("harbor.example"), "library/app", "library/private").await;
    let token = case.token("library/app", None).await;
    let url = case.url("library/app/manifests/1");
    let each_its_line = |method| {
        let request = case.fixture.client.request(method, &url).header("authorization", &token);
        ACCEPT.split(',').fold(request, |request, kind| request.header("accept", kind.trim()))
    };
    let asked = each_its_line(Method::HEAD).send().await.unwrap();
    assert_ne!(header(&asked, "content-length"), case.image.root().bytes.len().to_string());
    let got = each_its_line(Method::GET).send().await.unwrap();
    assert_eq!(header(&got, "docker-content-digest"), case.image.digest());
    let joined = case.get("library/app/manifests/1", &token).await;
    assert_ne!(header(&joined, "docker-content-digest"), case.image.digest());
    let missing = refused(case.get("library/app/manifests/9", &token).await).await;
    check_words(missing, (404, "NOT_FOUND", "artifact library/app:9 not found"));
}

#[tokio::test]
async fn artifactory_takes_both_kinds_of_login_and_says_too_little_to_head() {
    let case = Case::new(Profile::artifactory("acme.jfrog.io"), "docker-local/app", "docker-local/own").await;
    let asked = case.head("docker-local/app/manifests/1", "").await;
    let challenges: Vec<_> = asked.headers().get_all("www-authenticate").iter().collect();
    assert_eq!(challenges.len(), 2, "{challenges:?}");
    let bearer = challenges.iter().find(|value| value.to_str().unwrap().starts_with("Bearer")).unwrap();
    assert_eq!(*bearer, "Bearer realm=\"https://acme.jfrog.io/v2/token\",service=\"acme.jfrog.io:443\"");
    assert_eq!(case.get("docker-local/own/manifests/1", &basic("ann", "right")).await.status(), 200);
    let wrong = case.get("docker-local/own/manifests/1", &basic("ann", "wrong")).await;
    assert_eq!(body(wrong).await["errors"][0]["message"], "Bad credentials");
    let post = case.fixture.request(Method::POST, "https://acme.jfrog.io/v2/token", "");
    assert_eq!(post.body("grant_type=password").send().await.unwrap().status(), 401);
    let token = case.token("docker-local/app", None).await;
    assert_eq!(case.head("docker-local/app/manifests/9", &token).await.status(), 403);
    assert_eq!(case.get("docker-local/app/manifests/9", &token).await.status(), 404);
    let manifest = format!("docker-local/app/blobs/{}", case.image.digest());
    assert_eq!(case.head(&manifest, &token).await.status(), 200);
    assert_eq!(case.get(&manifest, &token).await.status(), 404);
}

#[tokio::test]
async fn chainguard_shows_anonymous_callers_two_tags_and_binds_tokens_to_a_repository() {
    let case = Case::new(Profile::chainguard(), "acme/app", "acme/private").await;
    case.registry.tag("acme/app", "latest", case.image.digest());
    let anonymous = case.token("acme/app", None).await;
    for (reference, status) in [("latest", 200), ("1", 404), (case.image.digest(), 200)] {
        let rest = format!("acme/app/manifests/{reference}");
        assert_eq!(case.get(&rest, &anonymous).await.status(), status, "{reference}");
    }
    let own = case.token("acme/app", Some("right")).await;
    assert_eq!(case.get("acme/app/manifests/1", &own).await.status(), 200);
    let other = case.get("acme/private/manifests/1", &own).await;
    assert_eq!(header(&other, "www-authenticate"), "");
    check_words(refused(other).await, (403, "DENIED", "requested access"));
}

#[tokio::test]
async fn distribution_with_a_password_file_wants_it_with_every_request() {
    let case = Case::new(Profile::distribution("registry.example"), "app", "private").await;
    for authorization in [String::new(), basic("ann", "wrong"), "Bearer x".to_owned()] {
        let refusal = case.get("app/manifests/1", &authorization).await;
        assert_eq!(header(&refusal, "www-authenticate"), "Basic realm=\"Registry Realm\"");
        check_words(refused(refusal).await, (401, "UNAUTHORIZED", "authentication required"));
    }
    let blob = format!("app/blobs/{}", case.image.blobs[0].digest());
    let got = case.get(&blob, &basic("ann", "right")).await;
    assert_eq!(got.bytes().await.unwrap(), case.image.blobs[0].to_bytes(), "it sends blobs itself");
}

#[tokio::test]
async fn an_open_registry_speaks_plain_http_through_the_proxy() {
    let case = Case::new(Profile::without_auth("plain.example"), "app", "other").await;
    let got = case.fixture.get("http://plain.example:5000/v2/app/manifests/1", "").await;
    assert_eq!(got.bytes().await.unwrap(), case.image.root().bytes);
}

#[tokio::test]
async fn an_attacker_keeps_what_it_is_given() {
    let fixture = Fixture::start().await;
    let attacker = aws_emulator::HostileHost::new(&["attacker.example"], "Basic realm=\"x\"");
    fixture.emulator.add(attacker.clone());
    fixture.emulator.docker_hub().put_image("acme/app", "1", &ImageBuilder::new(1).single());
    let location = "https://attacker.example/v2/".to_owned();
    fixture.emulator.faults().add(Fault::on("ping", Effect::Redirect { location }));
    let sent = fixture.get("https://registry-1.docker.io/v2/", "").await;
    let answer = fixture.get(&header(&sent, "location"), &basic("ann", "secret")).await;
    assert_eq!(header(&answer, "www-authenticate"), "Basic realm=\"x\"");
    assert_eq!(attacker.authorizations(), [basic("ann", "secret")]);
    assert!(attacker.everything().starts_with("GET /v2/\n"));
    let entry = fixture.emulator.log().entries().pop().unwrap();
    assert_eq!((entry.service.as_str(), entry.authorization), ("attacker", Authorization::Basic));
}
