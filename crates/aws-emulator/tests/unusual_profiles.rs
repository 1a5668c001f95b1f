//! Behaviour of registries with rare quirks, through the proxy.

#![expect(clippy::unwrap_used, reason = "a test may end in a panic")]

mod common;
mod registry_fixture;

use aws_emulator::Profile;
use common::{body, header, refused};
use registry_fixture::{Case, check_words};

#[tokio::test]
async fn oracle_has_an_empty_scope_and_wants_the_repository_in_the_token_request() {
    let case = Case::new(Profile::oracle("fra"), "ns/app", "ns/private").await;
    let challenge = header(&case.get("ns/app/manifests/1", "").await, "www-authenticate");
    assert!(challenge.ends_with(r#",service="fra.ocir.io",scope="""#), "{challenge}");
    let token = case.token("ns/app", None).await;
    assert_eq!(case.get("ns/app/manifests/1", &token).await.status(), 200);
    let useless = case.fixture.get("https://fra.ocir.io/20180419/docker/token?scope=", "").await;
    let useless = format!("Bearer {}", body(useless).await["token"].as_str().unwrap());
    assert_eq!(case.get("ns/app/manifests/1", &useless).await.status(), 401);
}

#[tokio::test]
async fn a_token_service_that_moved_redirects_with_the_query() {
    let case = Case::new(Profile::moved_token_service("moved.example"), "a/app", "a/private").await;
    let sent = case.ask_token("a/app", None).await;
    assert_eq!(
        (sent.status().as_u16(), header(&sent, "location")),
        (302, "/c/token?scope=repository:a/app:pull".into())
    );
    let location = format!("https://moved.example{}", header(&sent, "location"));
    let given = body(case.fixture.get(&location, "").await).await;
    assert_eq!(given["expires_in"], "300");
    let token = format!("Bearer {}", given["token"].as_str().unwrap());
    assert_eq!(case.get("a/app/manifests/1", &token).await.status(), 200);
}

#[tokio::test]
async fn a_token_can_be_in_one_field_beside_an_empty_one() {
    let case = Case::new(Profile::empty_token_field("odd.example"), "a/app", "a/private").await;
    let given = body(case.ask_token("a/app", None).await).await;
    assert_eq!((given["token"].as_str(), given["expires_in"].as_i64()), (Some(""), Some(-1)));
    let token = format!("Bearer {}", given["access_token"].as_str().unwrap());
    assert_eq!(case.get("a/app/manifests/1", &token).await.status(), 200);
}

#[tokio::test]
async fn mapped_scopes_grant_nothing_under_the_name_in_the_reference() {
    let case = Case::new(Profile::mapped_scopes("mapped.example"), "a/app", "a/private").await;
    let challenge = header(&case.get("a/app/manifests/1", "").await, "www-authenticate");
    assert!(challenge.ends_with(r#",scope="repository:mapped/a/app:pull""#), "{challenge}");
    check_words(refused(case.ask_token("a/app", None).await).await, (403, "DENIED", "requested access"));
    let token = case.token("mapped/a/app", None).await;
    assert_eq!(case.get("a/app/manifests/1", &token).await.status(), 200);
    assert_eq!(case.get("a/private/manifests/1", &token).await.status(), 401);
}

#[tokio::test]
async fn a_hidden_repository_has_no_challenge_but_the_root_has() {
    let case = Case::new(Profile::hidden_repositories("hidden.example"), "a/app", "a/private").await;
    assert_eq!(case.get("a/app/manifests/1", "").await.status(), 200, "what is public needs no token");
    let hidden = case.get("a/private/manifests/1", "").await;
    assert_eq!(header(&hidden, "www-authenticate"), "");
    check_words(refused(hidden).await, (404, "NAME_UNKNOWN", "repository name not known"));
    assert!(header(&case.get("", "").await, "www-authenticate").contains("realm"));
    let token = case.token("a/private", Some("right")).await;
    assert_eq!(case.get("a/private/manifests/1", &token).await.status(), 200);
}
