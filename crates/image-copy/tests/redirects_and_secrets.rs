//! Redirects, and removal of secrets from errors.

mod support;

use base64::Engine as _;
use support::loopback_copy::{
    CREDENTIALS, authorization, basic_header, challenge, client, copy, copy_between, json, registry_with_host,
};
use support::loopback_registry::{LoopbackRegistry, ReceivedRequest, Response};

#[tokio::test]
async fn follows_redirects_of_uploads() {
    for (method, part, status) in [
        ("POST", "/blobs/uploads/", 307),
        ("POST", "/blobs/uploads/", 308),
        ("PUT", "/blobs/uploads/", 307),
        ("PUT", "/blobs/uploads/", 308),
        ("PUT", "/manifests/", 307),
        ("PUT", "/manifests/", 308),
    ] {
        let source = LoopbackRegistry::start();
        let image = source.image("a/b", &[&[7; 100_000], b"two"], &["1"]);
        let to = LoopbackRegistry::with_handler(move |request| {
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
async fn does_not_send_the_userinfo_of_a_redirect() {
    let other = LoopbackRegistry::start();
    other.image("a/b", &[b"one"], &["1"]);
    let other_host = other.host.clone();
    let source = LoopbackRegistry::with_handler(move |request| {
        let location = format!("http://me:secret@{other_host}{}", request.target);
        (request.target != "/v2/").then(|| (307, vec![("Location", location)], Vec::new()))
    });
    let to = LoopbackRegistry::start();
    copy_between(None, &source, &to).await.unwrap();
    assert!(other.take_authorizations().iter().all(Option::is_none));
}

#[tokio::test]
async fn rejects_endless_redirects() {
    for (method, part) in [("POST", "/blobs/uploads/"), ("PUT", "/blobs/uploads/"), ("PUT", "/manifests/")] {
        let source = LoopbackRegistry::start();
        source.image("a/b", &[b"one"], &["1"]);
        let to = LoopbackRegistry::with_handler(move |request| {
            let target = request.target.clone();
            request.is(method, part).then(|| (307, vec![("Location", target)], Vec::new()))
        });
        let failure = copy_between(None, &source, &to).await;
        assert!(failure.unwrap_err().to_string().contains("too many redirects"), "{method} {part}");
    }
}

#[tokio::test]
async fn rejects_a_redirect_to_a_long_url() {
    let source = LoopbackRegistry::with_handler(|request| {
        let location = format!("{}?{}", request.target, "a=0123456&".repeat(10_000));
        request.target.contains("/blobs/").then(|| (307, vec![("Location", location)], Vec::new()))
    });
    source.image("a/b", &[b"one"], &["1"]);
    let failure = copy_between(None, &source, &LoopbackRegistry::start()).await;
    assert!(failure.unwrap_err().to_string().contains("not a valid URL"));
}

#[tokio::test]
async fn sends_no_credentials_to_an_upload_location_at_another_host() {
    let other = LoopbackRegistry::start();
    let other_host = other.host.clone();
    let source = LoopbackRegistry::start();
    source.image("a/b", &[b"one"], &["1"]);
    let to = LoopbackRegistry::with_handler(move |request| {
        if request.is("POST", "/blobs/uploads/") && authorization(request) == basic_header() {
            let location = format!("http://{other_host}/v2/x/y/blobs/uploads/one");
            return Some((202, vec![("Location", location)], Vec::new()));
        }
        let text = r#"Basic realm="registry""#;
        (authorization(request) != basic_header() && request.target != "/v2/")
            .then(|| challenge(text))
            .flatten()
    });
    copy_between(CREDENTIALS, &source, &to).await.unwrap();
    assert!(other.take_authorizations().iter().all(Option::is_none));
}

#[tokio::test]
async fn removes_secrets_from_error_responses() {
    type Handler = fn(&ReceivedRequest, &str) -> Option<Response>;
    let echo = |request: &ReceivedRequest| {
        let decoded = authorization(request)
            .strip_prefix("Basic ")
            .map(|text| String::from_utf8(base64::prelude::BASE64_STANDARD.decode(text).unwrap()).unwrap());
        let message = format!("no: {} {}", authorization(request), decoded.unwrap_or_default());
        let body = serde_json::json!({"errors": [{"code": message, "message": message, "detail": message}]});
        Some((403, vec![("docker-ratelimit-source", message)], body.to_string().into_bytes()))
    };
    let basic_echo: Handler = |request, _| match authorization(request) {
        "" => challenge(r#"Basic realm="registry""#),
        _ => None,
    };
    let token_echo: Handler = |request, host| {
        if request.target.starts_with("/grant") {
            return json(r#"{"token":"planted-token"}"#);
        }
        let text = format!(r#"Bearer realm="http://{host}/grant",service="s""#);
        authorization(request).is_empty().then(|| challenge(&text)).flatten()
    };
    let service_echo: Handler = |request, host| {
        let text = format!(r#"Bearer realm="http://{host}/deny",service="s""#);
        (!request.target.starts_with("/deny")).then(|| challenge(&text)).flatten()
    };
    for (name, handler) in [("basic", basic_echo), ("token", token_echo), ("token service", service_echo)] {
        let (registry, _) =
            registry_with_host(move |request, host| handler(request, host).or_else(|| echo(request)));
        let other = LoopbackRegistry::start();
        other.image("a/b", &[b"one"], &["1"]);
        let (echo_image, other_image) = (format!("{}/a/b:1", registry.host), format!("{}/a/b:1", other.host));
        for (source, destination) in [(&echo_image, &other_image), (&other_image, &echo_image)] {
            let failure = copy(&client(CREDENTIALS), source, destination).await.unwrap_err();
            for text in [failure.to_string(), format!("{failure:?}")] {
                let encoded = basic_header().replace("Basic ", "");
                for secret in ["planted", encoded.as_str()] {
                    assert!(!text.contains(secret), "{name}: {text}");
                }
            }
            assert!(failure.to_string().contains("***"), "{name}: {failure}");
        }
    }
}

#[tokio::test]
async fn removes_secrets_from_manifest_errors() {
    for field in ["mediaType", "config", "layers"] {
        let source = LoopbackRegistry::with_handler(move |request| {
            if authorization(request) != basic_header() {
                return challenge(r#"Basic realm="registry""#);
            }
            let document =
                format!(r#"{{"schemaVersion":2,"{field}":"planted-password {}é"}}"#, basic_header());
            request.target.contains("/manifests/").then(|| (200, Vec::new(), document.into_bytes()))
        });
        let failure = copy_between(CREDENTIALS, &source, &LoopbackRegistry::start()).await.unwrap_err();
        let text = format!("{failure} {failure:?}");
        assert!(!text.contains("planted") && !text.contains(&basic_header()[6..]), "{field}: {text}");
    }
}
