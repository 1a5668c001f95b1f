//! Behaviour of registries with rare quirks, through the proxy.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;
mod registry_fixture;

use aws_emulator::Profile;
use common::{body, header, registry_error};
use registry_fixture::{RegistryFixture, assert_error};

#[tokio::test]
async fn oracle_has_an_empty_scope_in_the_challenge() {
    let setup = RegistryFixture::new(Profile::oracle("fra"), "ns/app", "ns/private").await;
    let challenge = header(&setup.get("ns/app/manifests/1", "").await, "www-authenticate");
    assert!(challenge.ends_with(r#",service="fra.ocir.io",scope="""#), "{challenge}");
    let token = setup.token("ns/app", None).await;
    assert_eq!(setup.get("ns/app/manifests/1", &token).await.status(), 200);
    let unscoped = setup.fixture.get("https://fra.ocir.io/20180419/docker/token?scope=", "").await;
    let unscoped = format!("Bearer {}", body(unscoped).await["token"].as_str().unwrap());
    assert_eq!(setup.get("ns/app/manifests/1", &unscoped).await.status(), 401);
}

#[tokio::test]
async fn a_moved_token_service_redirects_with_the_query() {
    let setup =
        RegistryFixture::new(Profile::moved_token_service("moved.example"), "a/app", "a/private").await;
    let redirect = setup.request_token("a/app", None).await;
    assert_eq!(
        (redirect.status().as_u16(), header(&redirect, "location")),
        (302, "/c/token?scope=repository:a/app:pull".into())
    );
    let location = format!("https://moved.example{}", header(&redirect, "location"));
    let given = body(setup.fixture.get(&location, "").await).await;
    assert_eq!(given["expires_in"], "300");
    let token = format!("Bearer {}", given["token"].as_str().unwrap());
    assert_eq!(setup.get("a/app/manifests/1", &token).await.status(), 200);
}

#[tokio::test]
async fn a_token_response_can_have_an_empty_field() {
    let setup = RegistryFixture::new(Profile::empty_token_field("odd.example"), "a/app", "a/private").await;
    let given = body(setup.request_token("a/app", None).await).await;
    assert_eq!((given["token"].as_str(), given["expires_in"].as_i64()), (Some(""), Some(-1)));
    let token = format!("Bearer {}", given["access_token"].as_str().unwrap());
    assert_eq!(setup.get("a/app/manifests/1", &token).await.status(), 200);
}

#[tokio::test]
async fn mapped_scopes_reject_the_name_in_the_reference() {
    let setup = RegistryFixture::new(Profile::mapped_scopes("mapped.example"), "a/app", "a/private").await;
    let challenge = header(&setup.get("a/app/manifests/1", "").await, "www-authenticate");
    assert!(challenge.ends_with(r#",scope="repository:mapped/a/app:pull""#), "{challenge}");
    assert_error(
        registry_error(setup.request_token("a/app", None).await).await,
        (403, "DENIED", "requested access"),
    );
    let token = setup.token("mapped/a/app", None).await;
    assert_eq!(setup.get("a/app/manifests/1", &token).await.status(), 200);
    assert_eq!(setup.get("a/private/manifests/1", &token).await.status(), 401);
}

#[tokio::test]
async fn only_the_root_challenges_requests_for_hidden_repositories() {
    let setup =
        RegistryFixture::new(Profile::hidden_repositories("hidden.example"), "a/app", "a/private").await;
    assert_eq!(setup.get("a/app/manifests/1", "").await.status(), 200, "public content needs no token");
    let hidden = setup.get("a/private/manifests/1", "").await;
    assert_eq!(header(&hidden, "www-authenticate"), "");
    assert_error(registry_error(hidden).await, (404, "NAME_UNKNOWN", "repository name not known"));
    assert!(header(&setup.get("", "").await, "www-authenticate").contains("realm"));
    let token = setup.token("a/private", Some("right")).await;
    assert_eq!(setup.get("a/private/manifests/1", &token).await.status(), 200);
}
