//! Challenges, tokens and credentials of registries that differ from the specification.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use image_copy::copy::Problem;
use support::loopback_copy::{
    LOGIN, basic, challenge, client, copy, copy_between, json, parameter, sent, with_host,
};
use support::loopback_registry::{Loopback, refused};

#[tokio::test]
async fn the_scope_of_the_challenge_is_used_if_ours_is_refused() {
    // A token for our scope is refused by the registry, or by the token service.
    for refuses_early in [false, true] {
        for stated in ["repository:mapped/a/b:pull", "registry:catalog:*"] {
            let (source, _) = with_host(move |request, host| {
                if request.target.starts_with("/token") {
                    return match parameter(request, "scope") == stated {
                        true => json(r#"{"token":"good"}"#),
                        false if refuses_early => refused(403, "DENIED"),
                        false => json(r#"{"token":"useless"}"#),
                    };
                }
                let text = format!(r#"Bearer realm="http://{host}/token",service="s",scope="{stated}""#);
                (sent(request) != "Bearer good").then(|| challenge(&text)).flatten()
            });
            let to = Loopback::start();
            let image = source.image("a/b", &[b"one", b"two"], &["1"]);
            copy_between(None, &source, &to).await.unwrap();
            assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes);
            let tokens = source.take_log().iter().filter(|line| line.contains("/token")).count();
            assert!(tokens <= 2, "{tokens} tokens: the scope that works is remembered");
        }
    }
}

#[tokio::test]
async fn a_challenge_with_status_403_counts() {
    let source = Loopback::with(|request| {
        let refusal = (403, vec![("WWW-Authenticate", r#"Basic realm="registry""#.to_owned())], Vec::new());
        (sent(request) != basic()).then_some(refusal)
    });
    let to = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(LOGIN, &source, &to).await.unwrap();
}

#[tokio::test]
async fn a_later_challenge_with_more_scopes_counts() {
    // The token service returns the same token for the same scopes.
    let (source, _) = with_host(|request, host| {
        if request.target.starts_with("/token") {
            let scopes = parameter(request, "scope").replace(' ', "+");
            return json(&format!(r#"{{"token":"{scopes}"}}"#));
        }
        let needed = match request.target.contains("/blobs/") {
            true => "repository:a/b:pull extra:x:read",
            false => "repository:a/b:pull",
        };
        let text =
            format!(r#"Bearer realm="http://{host}/token",scope="{needed}",error="insufficient_scope""#);
        (sent(request) != format!("Bearer {}", needed.replace(' ', "+"))).then(|| challenge(&text)).flatten()
    });
    let to = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(None, &source, &to).await.unwrap();
}

#[tokio::test]
async fn an_empty_scope_in_the_challenge_is_none() {
    let (source, _) = with_host(|request, host| {
        if request.target.starts_with("/token") {
            let is_right = parameter(request, "scope") == "repository:a/b:pull";
            return json(if is_right { r#"{"token":"good"}"# } else { r#"{"token":"useless"}"# });
        }
        let text = format!(r#"Bearer realm="http://{host}/token",service="s",scope="""#);
        (sent(request) != "Bearer good").then(|| challenge(&text)).flatten()
    });
    let to = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(None, &source, &to).await.unwrap();
}

#[tokio::test]
async fn a_refusal_without_a_challenge_makes_known_credentials_count() {
    for status in [401, 403, 404] {
        let source = Loopback::with(move |request| {
            if sent(request) == basic() {
                return None;
            }
            match request.target.as_str() {
                "/v2/" => challenge(r#"Basic realm="registry""#),
                _ => refused(status, "NAME_UNKNOWN"),
            }
        });
        let to = Loopback::start();
        source.image("a/b", &[b"one"], &["1"]);
        let (from, there) = (format!("{}/a/b:1", source.host), format!("{}/x/y:1", to.host));
        copy(&client(LOGIN), &from, &there).await.unwrap();
        source.take_log();
        let failure = copy(&client(None), &from, &there).await.unwrap_err();
        assert!(failure.to_string().contains("NAME_UNKNOWN"), "{failure}");
    }
}

#[tokio::test]
async fn a_challenge_that_could_not_be_requested_is_requested_again() {
    let busy = Arc::new(AtomicBool::new(true));
    let is_busy = busy.clone();
    let source = Loopback::with(move |request| {
        if sent(request) == basic() {
            return None;
        }
        match request.target.as_str() {
            "/v2/" if is_busy.load(Ordering::Relaxed) => refused(503, "UNAVAILABLE"),
            "/v2/" => challenge(r#"Basic realm="registry""#),
            _ => refused(404, "NAME_UNKNOWN"),
        }
    });
    let to = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    let client = client(LOGIN);
    let (from, there) = (format!("{}/a/b:1", source.host), format!("{}/x/y:1", to.host));
    copy(&client, &from, &there).await.unwrap_err();
    busy.store(false, Ordering::Relaxed);
    copy(&client, &from, &there).await.unwrap();
}

#[tokio::test]
async fn a_missing_image_costs_one_request_for_a_challenge() {
    let source = Loopback::start();
    let roots = Arc::new(AtomicUsize::new(0));
    let counted = roots.clone();
    let registry = Loopback::with(move |request| {
        counted.fetch_add(usize::from(request.target == "/v2/"), Ordering::Relaxed);
        (request.target != "/v2/").then(|| refused(404, "NAME_UNKNOWN")).flatten()
    });
    let client = client(LOGIN);
    for _ in 0..3 {
        copy(&client, &format!("{}/a/b:1", registry.host), &format!("{}/x/y:1", source.host))
            .await
            .unwrap_err();
    }
    // The first of them found out that the registry does not use TLS.
    assert!(roots.load(Ordering::Relaxed) <= 2, "{roots:?}");
}

#[tokio::test]
async fn a_wrong_password_is_sent_to_a_destination_once() {
    let to = Loopback::with(|request| {
        (request.target != "/v2/").then(|| challenge(r#"Basic realm="registry""#)).flatten()
    });
    let source = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    let destination = format!("{}/x/y:1", to.host);
    let failure = copy(&client(LOGIN), &format!("{}/a/b:1", source.host), &destination).await;
    assert_eq!(failure.unwrap_err().problem(), Problem::CredentialsRejected);
    assert_eq!(to.take_authorizations().iter().flatten().count(), 1);
}

#[tokio::test]
async fn a_token_service_that_moved_within_its_origin_is_followed() {
    for status in [301, 302, 307, 308] {
        let (source, _) = with_host(move |request, host| {
            if request.target.starts_with("/old/token") {
                let target = request.target.replace("/old/", "/new/");
                return Some((status, vec![("Location", target)], Vec::new()));
            }
            if request.target.starts_with("/new/token") {
                let good = sent(request) == basic() && parameter(request, "service") == "s";
                return if good {
                    json(r#"{"token":"","access_token":"good","expires_in":"-1"}"#)
                } else {
                    refused(401, "X")
                };
            }
            let text = format!(r#"Bearer realm="http://{host}/old/token",service="s""#);
            (sent(request) != "Bearer good").then(|| challenge(&text)).flatten()
        });
        let to = Loopback::start();
        source.image("a/b", &[b"one"], &["1"]);
        copy_between(LOGIN, &source, &to).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_service_that_redirects_elsewhere_gets_no_credentials() {
    let attacker = Loopback::with(|_| json(r#"{"token":"good"}"#));
    let elsewhere = format!("http://{}/token", attacker.host);
    let (source, _) = with_host(move |request, host| {
        if request.target.starts_with("/token") {
            return Some((307, vec![("Location", elsewhere.clone())], Vec::new()));
        }
        challenge(&format!(r#"Bearer realm="http://{host}/token",service="s""#))
    });
    let to = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    copy_between(LOGIN, &source, &to).await.unwrap_err();
    assert_eq!(attacker.take_log(), [] as [&str; 0]);
}

#[tokio::test]
async fn a_mount_asks_for_pull_on_its_source_and_does_without_if_that_is_refused() {
    for grants_both in [true, false] {
        let both = "repository:prod/app:pull,push repository:team/app:pull";
        let (registry, _) = with_host(move |request, host| {
            if request.target.starts_with("/token") {
                let scope = parameter(request, "scope");
                return match scope.contains(' ') {
                    true if grants_both && scope == both => json(r#"{"token":"both"}"#),
                    true => refused(401, "UNAUTHORIZED"),
                    false => json(r#"{"token":"one"}"#),
                };
            }
            let text = format!(r#"Bearer realm="http://{host}/token",service="s""#);
            if !sent(request).starts_with("Bearer ") {
                return challenge(&text);
            }
            if request.is("HEAD", "/v2/prod/app/blobs/") {
                return refused(404, "BLOB_UNKNOWN");
            }
            if request.is("POST", "mount=") {
                return match sent(request) {
                    "Bearer both" => Some((201, Vec::new(), Vec::new())),
                    _ => challenge(&text),
                };
            }
            None
        });
        let image = registry.image("team/app", &[b"one"], &["1"]);
        let host = &registry.host;
        let (from, to) = (format!("{host}/team/app:1"), format!("{host}/prod/app:1"));
        copy(&client(LOGIN), &from, &to).await.unwrap();
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
async fn a_challenge_of_a_redirect_target_is_not_remembered_and_gets_no_credentials() {
    let (behind, _) = with_host(|request, host| {
        if request.target.starts_with("/token") {
            return json(r#"{"token":"good"}"#);
        }
        let text = format!(r#"Bearer realm="http://{host}/token",service="s",scope="repository:a/b:pull""#);
        (sent(request) != "Bearer good").then(|| challenge(&text)).flatten()
    });
    behind.image("a/b", &[b"one"], &["1"]);
    let target = behind.host.clone();
    let front = Loopback::with(move |request| {
        let location = format!("http://{target}{}", request.target);
        (request.target != "/v2/").then(|| (307, vec![("Location", location)], Vec::new()))
    });
    let to = Loopback::start();
    let client = client(LOGIN);
    copy(&client, &format!("{}/a/b:1", front.host), &format!("{}/x/y:1", to.host)).await.unwrap();
    let seen = behind.take_authorizations();
    assert!(seen.iter().flatten().all(|sent| sent == "Bearer good"), "{seen:?}");
    // Asked by its own name, it is a registry like any other.
    copy(&client, &format!("{}/a/b:1", behind.host), &format!("{}/x/z:1", to.host)).await.unwrap();
    assert!(behind.take_authorizations().contains(&Some(basic())));
}
