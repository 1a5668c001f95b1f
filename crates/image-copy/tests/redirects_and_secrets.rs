//! Registries that redirect, and registries that repeat secrets.

mod support;

use base64::Engine as _;
use support::loopback_copy::{LOGIN, basic, challenge, client, copy, copy_between, json, sent, with_host};
use support::loopback_registry::{Loopback, Received, Response};

#[tokio::test]
async fn redirects_of_uploads_are_followed() {
    for (method, part, status) in [
        ("POST", "/blobs/uploads/", 307),
        ("POST", "/blobs/uploads/", 308),
        ("PUT", "/blobs/uploads/", 307),
        ("PUT", "/blobs/uploads/", 308),
        ("PUT", "/manifests/", 307),
        ("PUT", "/manifests/", 308),
    ] {
        let source = Loopback::start();
        let image = source.image("a/b", &[&[7; 100_000], b"two"], &["1"]);
        let to = Loopback::with(move |request| {
            let is_first = request.is(method, part) && !request.target.contains("moved=1");
            let separator = if request.target.contains('?') { "&" } else { "?" };
            let target = format!("{}{separator}moved=1", request.target);
            is_first.then(|| (status, vec![("Location", target)], Vec::new()))
        });
        copy_between(None, &source, &to).await.unwrap();
        assert_eq!(to.manifest("x/y", "1").unwrap(), image.bytes, "{method} {part} {status}");
    }
}

#[tokio::test]
async fn a_user_name_in_a_redirect_is_not_sent() {
    let other = Loopback::start();
    other.image("a/b", &[b"one"], &["1"]);
    let elsewhere = other.host.clone();
    let source = Loopback::with(move |request| {
        let location = format!("http://me:secret@{elsewhere}{}", request.target);
        (request.target != "/v2/").then(|| (307, vec![("Location", location)], Vec::new()))
    });
    let to = Loopback::start();
    copy_between(None, &source, &to).await.unwrap();
    assert!(other.take_authorizations().iter().all(Option::is_none));
}

#[tokio::test]
async fn a_redirect_without_end_fails() {
    for (method, part) in [("POST", "/blobs/uploads/"), ("PUT", "/blobs/uploads/"), ("PUT", "/manifests/")] {
        let source = Loopback::start();
        source.image("a/b", &[b"one"], &["1"]);
        let to = Loopback::with(move |request| {
            let target = request.target.clone();
            request.is(method, part).then(|| (307, vec![("Location", target)], Vec::new()))
        });
        let failure = copy_between(None, &source, &to).await;
        assert!(failure.unwrap_err().to_string().contains("too many redirects"), "{method} {part}");
    }
}

#[tokio::test]
async fn a_redirect_to_an_endless_address_fails() {
    let source = Loopback::with(|request| {
        let location = format!("{}?{}", request.target, "a=0123456&".repeat(10_000));
        request.target.contains("/blobs/").then(|| (307, vec![("Location", location)], Vec::new()))
    });
    source.image("a/b", &[b"one"], &["1"]);
    let failure = copy_between(None, &source, &Loopback::start()).await;
    assert!(failure.unwrap_err().to_string().contains("not a valid URL"));
}

#[tokio::test]
async fn an_upload_elsewhere_gets_no_credentials() {
    let other = Loopback::start();
    let elsewhere = other.host.clone();
    let source = Loopback::start();
    source.image("a/b", &[b"one"], &["1"]);
    let to = Loopback::with(move |request| {
        if request.is("POST", "/blobs/uploads/") && sent(request) == basic() {
            let location = format!("http://{elsewhere}/v2/x/y/blobs/uploads/one");
            return Some((202, vec![("Location", location)], Vec::new()));
        }
        let text = r#"Basic realm="registry""#;
        (sent(request) != basic() && request.target != "/v2/").then(|| challenge(text)).flatten()
    });
    copy_between(LOGIN, &source, &to).await.unwrap();
    assert!(other.take_authorizations().iter().all(Option::is_none));
}

#[tokio::test]
async fn what_was_sent_as_a_secret_is_in_no_error() {
    type Refuse = fn(&Received, &str) -> Option<Response>;
    let echo = |request: &Received| {
        let decoded = sent(request)
            .strip_prefix("Basic ")
            .map(|text| String::from_utf8(base64::prelude::BASE64_STANDARD.decode(text).unwrap()).unwrap());
        let message = format!("no: {} {}", sent(request), decoded.unwrap_or_default());
        let body = serde_json::json!({"errors": [{"code": message, "message": message, "detail": message}]});
        Some((403, vec![("docker-ratelimit-source", message)], body.to_string().into_bytes()))
    };
    let basic_echo: Refuse = |request, _| match sent(request) {
        "" => challenge(r#"Basic realm="registry""#),
        _ => None,
    };
    let token_echo: Refuse = |request, host| {
        if request.target.starts_with("/grant") {
            return json(r#"{"token":"planted-token"}"#);
        }
        let text = format!(r#"Bearer realm="http://{host}/grant",service="s""#);
        sent(request).is_empty().then(|| challenge(&text)).flatten()
    };
    let service_echo: Refuse = |request, host| {
        let text = format!(r#"Bearer realm="http://{host}/deny",service="s""#);
        (!request.target.starts_with("/deny")).then(|| challenge(&text)).flatten()
    };
    for (name, first) in [("basic", basic_echo), ("token", token_echo), ("token service", service_echo)] {
        let (registry, _) = with_host(move |request, host| first(request, host).or_else(|| echo(request)));
        let other = Loopback::start();
        other.image("a/b", &[b"one"], &["1"]);
        let (here, there) = (format!("{}/a/b:1", registry.host), format!("{}/a/b:1", other.host));
        for (source, destination) in [(&here, &there), (&there, &here)] {
            let failure = copy(&client(LOGIN), source, destination).await.unwrap_err();
            for text in [failure.to_string(), format!("{failure:?}")] {
                let encoded = basic().replace("Basic ", "");
                for secret in ["planted", encoded.as_str()] {
                    assert!(!text.contains(secret), "{name}: {text}");
                }
            }
            assert!(failure.to_string().contains("***"), "{name}: {failure}");
        }
    }
}

#[tokio::test]
async fn what_was_sent_as_a_secret_is_in_no_error_about_a_manifest() {
    for field in ["mediaType", "config", "layers"] {
        let source = Loopback::with(move |request| {
            if sent(request) != basic() {
                return challenge(r#"Basic realm="registry""#);
            }
            let document = format!(r#"{{"schemaVersion":2,"{field}":"planted-password {}é"}}"#, basic());
            request.target.contains("/manifests/").then(|| (200, Vec::new(), document.into_bytes()))
        });
        let failure = copy_between(LOGIN, &source, &Loopback::start()).await.unwrap_err();
        let text = format!("{failure} {failure:?}");
        assert!(!text.contains("planted") && !text.contains(&basic()[6..]), "{field}: {text}");
    }
}
