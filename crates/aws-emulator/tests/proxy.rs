//! The proxy: TLS, unknown hosts, the log, and faults on bodies.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::{
    Authorization, Body, Direction, Effect, Emulator, Fault, Operation, Request, Response, Service, full,
    read, response,
};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

/// Returns the request body, or 1024 bytes of `x` if it is empty.
struct Echo;

impl Service for Echo {
    fn serves(&self, host: &str) -> bool {
        host == "echo.example.com"
    }

    fn operation(&self, _: &str, method: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("echo", format!("echo.{}", method.as_str().to_lowercase()))
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let body: Body = match read(request.body, 1 << 20).await {
                Ok(bytes) if bytes.is_empty() => full(vec![b'x'; 1024]),
                Ok(bytes) => full(bytes),
                Err(_) => return response(400, &[], full("broken")),
            };
            response(200, &[], body)
        })
    }
}

async fn start() -> (Emulator, reqwest::Client) {
    let emulator = Emulator::start().await.unwrap();
    emulator.add(Arc::new(Echo));
    let ca = reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .proxy(reqwest::Proxy::all(emulator.proxy_url()).unwrap())
        .tls_certs_only([ca])
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    (emulator, client)
}

const URL: &str = "https://echo.example.com/some/path?query=1";

#[tokio::test]
async fn serves_a_real_host_name_over_tls_and_logs_the_request() {
    let (emulator, client) = start().await;
    let mark = emulator.log().mark();
    let sent = client.put(URL).bearer_auth("hush-hush").header("user-agent", "me/1").body("hello");
    assert_eq!(sent.send().await.unwrap().text().await.unwrap(), "hello");
    let entries = emulator.log().since(mark);
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    assert_eq!((entry.host.as_str(), entry.service.as_str()), ("echo.example.com", "echo"));
    assert_eq!((entry.operation.as_str(), entry.method.as_str()), ("echo.put", "PUT"));
    assert_eq!(entry.target, "/some/path?query=1");
    assert_eq!((entry.status, entry.request_bytes, entry.response_bytes), (Some(200), 5, 5));
    assert_eq!(entry.authorization, Authorization::Bearer);
    assert_eq!(entry.user_agent.as_deref(), Some("me/1"));
    assert!(!format!("{entries:?}").contains("hush"), "the log contains the token");
}

#[tokio::test]
async fn serves_plain_http_requests() {
    let (_emulator, client) = start().await;
    let response = client.get("http://echo.example.com/").send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 1024);
}

#[tokio::test]
async fn rejects_and_logs_an_unknown_host() {
    let (emulator, client) = start().await;
    client.get("https://nobody.example.com/").send().await.unwrap_err();
    let plain = client.get("http://nobody.example.com/").send().await.unwrap();
    assert_eq!(plain.status(), 502);
    assert!(plain.text().await.unwrap().contains("nobody.example.com"));
    let entries = emulator.log().entries();
    assert_eq!(entries.len(), 2);
    assert!(entries.iter().all(|e| e.host == "nobody.example.com" && e.status == Some(502)));
}

#[tokio::test]
async fn an_exposed_service_needs_no_proxy() {
    let emulator = Emulator::start().await.unwrap();
    let address = emulator.expose(Arc::new(Echo)).await.unwrap();
    let response = reqwest::get(format!("http://{address}/")).await.unwrap();
    assert_eq!(response.bytes().await.unwrap().len(), 1024);
}

#[tokio::test]
async fn resets_or_truncates_a_response_body() {
    for effect in
        [Effect::Reset { after_bytes: 100, on: None }, Effect::Truncate { after_bytes: 100, on: None }]
    {
        let (emulator, client) = start().await;
        emulator.faults().add(Fault::on("echo.get", effect.clone()).once());
        let mut response = client.get(URL).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let mut got = 0;
        let end = loop {
            match response.chunk().await {
                Ok(Some(chunk)) => got += chunk.len(),
                end => break end,
            }
        };
        assert!(end.is_err(), "no error after {effect:?}");
        assert_eq!(got, 100, "{effect:?}");
        let again = client.get(URL).send().await.unwrap().bytes().await.unwrap();
        assert_eq!(again.len(), 1024, "the fault has only one hit");
        assert_eq!(emulator.faults().hit_count(), 1);
    }
}

#[tokio::test]
async fn resets_a_request_body() {
    let (emulator, client) = start().await;
    emulator.faults().add(Fault::on("echo.put", Effect::Reset { after_bytes: 10, on: None }));
    client.put(URL).body(vec![1; 4096]).send().await.unwrap_err();
    let entry = &emulator.log().entries()[0];
    assert_eq!(entry.status, None);
    assert!(entry.fault.as_ref().unwrap().contains("Reset"));
}

#[tokio::test]
async fn corrupts_one_byte() {
    let (emulator, client) = start().await;
    emulator.faults().add(Fault::on("echo.get", Effect::Corrupt { at_byte: 1023, on: None }));
    let bytes = client.get(URL).send().await.unwrap().bytes().await.unwrap();
    let wrong: Vec<_> = (0..1024).filter(|at| bytes[*at] != b'x').collect();
    assert_eq!(wrong, [1023]);
}

#[tokio::test]
async fn a_stall_ends_or_lasts_forever() {
    let (emulator, client) = start().await;
    let stall = |for_ms| Effect::Stall { after_bytes: 1, for_ms, on: None };
    emulator.faults().add(Fault::on("echo.get", stall(Some(50))).once());
    emulator.faults().add(Fault::on("echo.get", stall(None)).once());
    let started = std::time::Instant::now();
    let first = client.get(URL).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(first.len(), 1024);
    assert!(started.elapsed() >= Duration::from_millis(50));
    let second = client.get(URL).send().await.unwrap().bytes();
    tokio::time::timeout(Duration::from_millis(200), second).await.unwrap_err();
}

#[tokio::test]
async fn limits_the_rate_of_a_body() {
    let (emulator, client) = start().await;
    let slow = Effect::Slow { bytes_per_second: 40_000, on: None };
    emulator.faults().add(Fault::on("echo.put", slow));
    let started = std::time::Instant::now();
    let body = vec![7; 8192];
    let stream = futures_util::stream::iter(
        body.chunks(1024).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect::<Vec<_>>(),
    );
    let response = client.put(URL).body(reqwest::Body::wrap_stream(stream)).send().await.unwrap();
    assert_eq!(response.bytes().await.unwrap(), body);
    assert!(started.elapsed() >= Duration::from_millis(100), "{:?}", started.elapsed());
}

#[tokio::test]
async fn replaces_a_response_by_a_status_or_redirect() {
    let (emulator, client) = start().await;
    emulator
        .faults()
        .load(
            r#"[
            {"match": {"operation": "echo.*", "times": 1},
             "effect": "status", "code": 429, "headers": {"retry-after": "1"}, "body": "slow down"},
            {"match": {"path": "/some"}, "effect": "redirect", "location": "https://echo.example.com/other"}
        ]"#,
        )
        .unwrap();
    let response = client.get(URL).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    let redirected = client.get(URL).send().await.unwrap();
    assert_eq!(redirected.url().path(), "/other");
}

#[tokio::test]
async fn loses_a_response_after_the_request_is_processed() {
    for effect in [
        Effect::Reset { after_bytes: 0, on: Some(Direction::Response) },
        Effect::Truncate { after_bytes: 0, on: Some(Direction::Response) },
    ] {
        let (emulator, client) = start().await;
        emulator.faults().add(Fault::on("echo.put", effect).once());
        let error = client.put(URL).body("hello").send().await.unwrap_err();
        assert!(!error.is_timeout(), "{error:?}");
        let entry = &emulator.log().entries()[0];
        assert_eq!((entry.status, entry.request_bytes), (None, 5));
    }
}
