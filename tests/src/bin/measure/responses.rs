//! Hostile responses: endless, or so slow that they never end.

use std::time::Duration;

use super::cases::{HostileCase, small, with_responses};
use super::server::{Part, Request, response};

/// Returns cases with endless responses, one for each part of a response.
pub(super) fn responses() -> Vec<HostileCase> {
    fn always(name: &'static str, respond: fn(&Request<'_>, &str) -> Option<Vec<Part>>) -> HostileCase {
        with_responses(name, small, respond)
    }
    vec![
        always("token: endless", |request, host| {
            let body = vec![Part::text(r#"{"token":""#), Part::endless("a")];
            with_token(request, host, body)
        }),
        always("token: 100 MiB of fields", |request, host| {
            let body = (0..1600).map(|_| Part::text(r#""a":"b","#.repeat(8192)));
            with_token(request, host, [Part::text("{")].into_iter().chain(body).collect())
        }),
        always("error: an endless body with 404", |request, _| Some(endless_error(request, "404 Not Found"))),
        always("error: an endless body with 500", |request, _| Some(endless_error(request, "500 Oh"))),
        always("error: an endless body with 401", |request, _| Some(endless_error(request, "401 No"))),
        always("headers: endless", |_, _| {
            Some(vec![Part::text("HTTP/1.1 200 OK\r\n"), Part::endless("x-header: value\r\n")])
        }),
        always("headers: one that is endless", |_, _| {
            Some(vec![Part::text("HTTP/1.1 200 OK\r\nx: "), Part::endless("a")])
        }),
        always("responses 103 without end", |_, _| {
            Some(vec![Part::endless("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")])
        }),
        always("chunks: an endless extension", |_, _| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;";
            Some(vec![Part::text(head), Part::endless("a")])
        }),
        always("chunks: endless trailers", |_, _| {
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
            Some(vec![Part::text(head), Part::endless("x: y\r\n")])
        }),
        always("redirects without end", |request, host| {
            let location = format!("Location: http://{host}{}x\r\n", request.target);
            Some(response(request.method, "307 Go", &location, vec![]))
        }),
        always("blob: endless", |request, _| {
            let blob = request.target.contains("/blobs/");
            blob.then(|| response(request.method, "200 OK", "", vec![Part::endless("x")]))
        }),
        always("blob: endless, with a length of 1 TiB", |request, _| {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1099511627776\r\n\r\n";
            request.target.contains("/blobs/").then(|| vec![Part::text(head), Part::endless("x")])
        }),
    ]
}

/// Returns cases whose responses are so slow that they never end.
pub(super) fn trickles() -> Vec<HostileCase> {
    const SECOND: Duration = Duration::from_secs(1);
    vec![
        with_responses("trickle: a token, a byte a second", small, |request, host| {
            with_token(request, host, vec![Part::Trickle(b" ", SECOND)])
        }),
        with_responses("trickle: headers, a byte a second", small, |_, _| {
            Some(vec![Part::text("HTTP/1.1 200 OK\r\nx: "), Part::Trickle(b"a", SECOND)])
        }),
        with_responses("trickle: a response 103 a second", small, |_, _| {
            Some(vec![Part::Trickle(b"HTTP/1.1 103 Early Hints\r\n\r\n", SECOND)])
        }),
        with_responses("trickle: a manifest, a byte a second", small, |request, _| {
            let manifest = request.target.contains("/manifests/") && request.method == "GET";
            manifest.then(|| response("GET", "200 OK", "", vec![Part::Trickle(b" ", SECOND)]))
        }),
        with_responses("trickle: a blob, a byte a second", small, |request, _| {
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
            let trickle = || vec![Part::text(head), Part::Trickle(b"x", SECOND)];
            request.target.contains("/blobs/").then(trickle)
        }),
    ]
}

/// Requires a token for every request. The token response has this body.
fn with_token(request: &Request<'_>, host: &str, body: Vec<Part>) -> Option<Vec<Part>> {
    if request.target.starts_with("/token") {
        return Some(response(request.method, "200 OK", "Content-Type: application/json\r\n", body));
    }
    let challenge =
        format!("WWW-Authenticate: Bearer realm=\"http://{host}/token\",scope=\"repository:a/b:pull\"\r\n");
    Some(response(request.method, "401 Unauthorized", &challenge, vec![]))
}

fn endless_error(request: &Request<'_>, status: &str) -> Vec<Part> {
    let body = vec![Part::text(r#"{"errors":[{"code":"UNKNOWN","message":""#), Part::endless("a")];
    response(request.method, status, "Content-Type: application/json\r\n", body)
}
