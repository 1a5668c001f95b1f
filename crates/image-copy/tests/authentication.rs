//! Challenges, tokens and credentials of registries that deviate from the specification.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image_copy::copy::Problem;
use support::loopback_copy::{
    CREDENTIALS, authorization, basic_header, challenge, client, copy, copy_between, json, query_parameter,
    registry_with_host,
};
use support::loopback_registry::{LoopbackRegistry, error_response};

#[tokio::test]
async fn uses_the_scope_of_the_challenge_if_the_usual_one_is_rejected() {
    // The registry or the token service rejects the usual scope.
    for token_service_rejects in [false, true] {
        for stated in ["repository:mapped/a/b:pull", "registry:catalog:*"] {
            let (source, _) = registry_with_host(move |request, host| {
                if request.target.starts_with("/token") {
                    return match query_parameter(request, "scope") == stated {
                        true => json(r#"{"token":"good"}"#),
                        false if token_service_rejects => error_response(403, "DENIED"),
                        false => json(r#"{"token":"useless"}"#),
                    };
                }
                let text = format!(r#"Bearer realm="http://{host}/token",service="s",scope="{stated}""#);
                (authorization(request) != "Bearer good").then(|| challenge(&text)).flatten()
            });
            let to = LoopbackRegistry::start();
            let image = source.image("a/b", &[b"one", b"two"], &["1"]);
            copy_between(None, &source, &to).await.unwrap();
            assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes);
            let tokens = source.take_log().iter().filter(|line| line.contains("/token")).count();
            assert!(tokens <= 2, "{tokens} tokens were requested, but the accepted scope should be cached");
        }
    }
}

#[tokio::test]
async fn responds_to_a_challenge_with_status_403() {
    let source = LoopbackRegistry::with_handler(|request| {
        let response = (403, vec![("WWW-Authenticate", r#"Basic realm="registry""#.to_owned())], Vec::new());
        (authorization(request) != basic_header()).then_some(response)
    });
    let to = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(CREDENTIALS, &source, &to).await.unwrap();
}

#[tokio::test]
async fn responds_to_a_later_challenge_with_more_scopes() {
    // The token service returns the same token for the same scopes.
    let (source, _) = registry_with_host(|request, host| {
        if request.target.starts_with("/token") {
            let scopes = query_parameter(request, "scope").replace(' ', "+");
            return json(&format!(r#"{{"token":"{scopes}"}}"#));
        }
        let needed = match request.target.contains("/blobs/") {
            true => "repository:a/b:pull extra:x:read",
            false => "repository:a/b:pull",
        };
        let text =
            format!(r#"Bearer realm="http://{host}/token",scope="{needed}",error="insufficient_scope""#);
        (authorization(request) != format!("Bearer {}", needed.replace(' ', "+")))
            .then(|| challenge(&text))
            .flatten()
    });
    let to = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(None, &source, &to).await.unwrap();
}

#[tokio::test]
async fn ignores_an_empty_scope_in_a_challenge() {
    let (source, _) = registry_with_host(|request, host| {
        if request.target.starts_with("/token") {
            let is_right = query_parameter(request, "scope") == "repository:a/b:pull";
            return json(if is_right { r#"{"token":"good"}"# } else { r#"{"token":"useless"}"# });
        }
        let text = format!(r#"Bearer realm="http://{host}/token",service="s",scope="""#);
        (authorization(request) != "Bearer good").then(|| challenge(&text)).flatten()
    });
    let to = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(None, &source, &to).await.unwrap();
}

#[tokio::test]
async fn sends_credentials_after_an_error_without_a_challenge() {
    for status in [401, 403, 404] {
        let source = LoopbackRegistry::with_handler(move |request| {
            if authorization(request) == basic_header() {
                return None;
            }
            match request.target.as_str() {
                "/v2/" => challenge(r#"Basic realm="registry""#),
                _ => error_response(status, "NAME_UNKNOWN"),
            }
        });
        let to = LoopbackRegistry::start();
        source.image("a/b", &[b"one"], &["1"]);
        let (from, destination) = (format!("{}/a/b:1", source.host), format!("{}/x/y:1", to.host));
        copy(&client(CREDENTIALS), &from, &destination).await.unwrap();
        source.take_log();
        let failure = copy(&client(None), &from, &destination).await.unwrap_err();
        assert!(failure.to_string().contains("NAME_UNKNOWN"), "{failure}");
    }
}

#[tokio::test]
async fn requests_a_challenge_again_after_a_transient_error() {
    let busy = Arc::new(AtomicBool::new(true));
    let is_busy = busy.clone();
    let source = LoopbackRegistry::with_handler(move |request| {
        if authorization(request) == basic_header() {
            return None;
        }
        match request.target.as_str() {
            "/v2/" if is_busy.load(Ordering::Relaxed) => error_response(503, "UNAVAILABLE"),
            "/v2/" => challenge(r#"Basic realm="registry""#),
            _ => error_response(404, "NAME_UNKNOWN"),
        }
    });
    let to = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    let client = client(CREDENTIALS);
    let (from, destination) = (format!("{}/a/b:1", source.host), format!("{}/x/y:1", to.host));
    copy(&client, &from, &destination).await.unwrap_err();
    busy.store(false, Ordering::Relaxed);
    copy(&client, &from, &destination).await.unwrap();
}

#[tokio::test]
async fn requests_a_challenge_once_for_missing_images() {
    let source = LoopbackRegistry::start();
    let api_root_requests = Arc::new(AtomicUsize::new(0));
    let counter = api_root_requests.clone();
    let registry = LoopbackRegistry::with_handler(move |request| {
        counter.fetch_add(usize::from(request.target == "/v2/"), Ordering::Relaxed);
        (request.target != "/v2/").then(|| error_response(404, "NAME_UNKNOWN")).flatten()
    });
    let client = client(CREDENTIALS);
    for _ in 0..3 {
        copy(&client, &format!("{}/a/b:1", registry.host), &format!("{}/x/y:1", source.host))
            .await
            .unwrap_err();
    }
    // One request tests TLS, and one requests the challenge.
    assert!(api_root_requests.load(Ordering::Relaxed) <= 2, "{api_root_requests:?}");
}

#[tokio::test]
async fn sends_a_wrong_password_to_a_destination_once() {
    let to = LoopbackRegistry::with_handler(|request| {
        (request.target != "/v2/").then(|| challenge(r#"Basic realm="registry""#)).flatten()
    });
    let source = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    let destination = format!("{}/x/y:1", to.host);
    let failure = copy(&client(CREDENTIALS), &format!("{}/a/b:1", source.host), &destination).await;
    assert_eq!(failure.unwrap_err().problem(), Problem::CredentialsRejected);
    assert_eq!(to.take_authorizations().iter().flatten().count(), 1);
}

#[tokio::test]
async fn follows_a_redirect_of_a_token_service_within_its_origin() {
    for status in [301, 302, 307, 308] {
        let (source, _) = registry_with_host(move |request, host| {
            if request.target.starts_with("/old/token") {
                let target = request.target.replace("/old/", "/new/");
                return Some((status, vec![("Location", target)], Vec::new()));
            }
            if request.target.starts_with("/new/token") {
                let good =
                    authorization(request) == basic_header() && query_parameter(request, "service") == "s";
                return if good {
                    json(r#"{"token":"","access_token":"good","expires_in":"-1"}"#)
                } else {
                    error_response(401, "X")
                };
            }
            let text = format!(r#"Bearer realm="http://{host}/old/token",service="s""#);
            (authorization(request) != "Bearer good").then(|| challenge(&text)).flatten()
        });
        let to = LoopbackRegistry::start();
        source.image("a/b", &[b"one"], &["1"]);
        copy_between(CREDENTIALS, &source, &to).await.unwrap();
    }
}

#[tokio::test]
async fn sends_no_credentials_if_a_token_service_redirects_to_another_origin() {
    let attacker = LoopbackRegistry::with_handler(|_| json(r#"{"token":"good"}"#));
    let attacker_url = format!("http://{}/token", attacker.host);
    let (source, _) = registry_with_host(move |request, host| {
        if request.target.starts_with("/token") {
            return Some((307, vec![("Location", attacker_url.clone())], Vec::new()));
        }
        challenge(&format!(r#"Bearer realm="http://{host}/token",service="s""#))
    });
    let to = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(CREDENTIALS, &source, &to).await.unwrap_err();
    assert_eq!(attacker.take_log(), [] as [&str; 0]);
}

#[tokio::test]
async fn requests_pull_access_to_the_mount_source_and_uploads_if_it_is_denied() {
    for grants_both in [true, false] {
        let both = "repository:prod/app:pull,push repository:team/app:pull";
        let (registry, _) = registry_with_host(move |request, host| {
            if request.target.starts_with("/token") {
                let scope = query_parameter(request, "scope");
                return match scope.contains(' ') {
                    true if grants_both && scope == both => json(r#"{"token":"both"}"#),
                    true => error_response(401, "UNAUTHORIZED"),
                    false => json(r#"{"token":"one"}"#),
                };
            }
            let text = format!(r#"Bearer realm="http://{host}/token",service="s""#);
            if !authorization(request).starts_with("Bearer ") {
                return challenge(&text);
            }
            if request.is("HEAD", "/v2/prod/app/blobs/") {
                return error_response(404, "BLOB_UNKNOWN");
            }
            if request.is("POST", "mount=") {
                return match authorization(request) {
                    "Bearer both" => Some((201, Vec::new(), Vec::new())),
                    _ => challenge(&text),
                };
            }
            None
        });
        let image = registry.image("team/app", &[b"one"], &["1"]);
        let host = &registry.host;
        let (from, to) = (format!("{host}/team/app:1"), format!("{host}/prod/app:1"));
        copy(&client(CREDENTIALS), &from, &to).await.unwrap();
        assert_eq!(registry.manifest("prod/app", "1").unwrap(), image.bytes);
        let uploads = registry
            .take_log()
            .iter()
            .filter(|line| line.starts_with("PUT") && line.contains("/uploads/"))
            .count();
        assert_eq!(uploads == 0, grants_both, "{uploads} blobs were sent");
    }
}

#[tokio::test]
async fn does_not_cache_the_challenge_of_a_redirect_target_or_send_credentials_to_it() {
    let (redirect_target, _) = registry_with_host(|request, host| {
        if request.target.starts_with("/token") {
            return json(r#"{"token":"good"}"#);
        }
        let text = format!(r#"Bearer realm="http://{host}/token",service="s",scope="repository:a/b:pull""#);
        (authorization(request) != "Bearer good").then(|| challenge(&text)).flatten()
    });
    redirect_target.image("a/b", &[b"one"], &["1"]);
    let target = redirect_target.host.clone();
    let registry = LoopbackRegistry::with_handler(move |request| {
        let location = format!("http://{target}{}", request.target);
        (request.target != "/v2/").then(|| (307, vec![("Location", location)], Vec::new()))
    });
    let to = LoopbackRegistry::start();
    let client = client(CREDENTIALS);
    copy(&client, &format!("{}/a/b:1", registry.host), &format!("{}/x/y:1", to.host)).await.unwrap();
    let authorizations = redirect_target.take_authorizations();
    assert!(authorizations.iter().flatten().all(|sent| sent == "Bearer good"), "{authorizations:?}");
    // If a reference names this registry, it gets the credentials.
    copy(&client, &format!("{}/a/b:1", redirect_target.host), &format!("{}/x/z:1", to.host)).await.unwrap();
    assert!(redirect_target.take_authorizations().contains(&Some(basic_header())));
}
