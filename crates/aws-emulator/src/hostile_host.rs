//! Hosts of an attacker, which request credentials and record what they receive.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::body::{full, read};
use crate::service::{Operation, Request, Response, Service, response};

/// Responds to every request with a challenge, and records the requests.
pub struct HostileHost {
    hosts: Vec<String>,
    challenge: String,
    received: Mutex<Received>,
}

#[derive(Default)]
struct Received {
    authorizations: Vec<String>,
    everything: String,
}

impl HostileHost {
    /// Creates a service for these hosts that sends this `WWW-Authenticate` header.
    pub fn new(hosts: &[&str], challenge: &str) -> Arc<Self> {
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        Arc::new(Self { hosts, challenge: challenge.to_owned(), received: Mutex::default() })
    }

    /// Returns all `Authorization`, `Proxy-Authorization` and `Cookie` headers received.
    pub fn authorizations(&self) -> Vec<String> {
        self.lock().authorizations.clone()
    }

    /// Returns all requests received, heads and bodies.
    pub fn everything(&self) -> String {
        self.lock().everything.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) {
        let mut received = self.lock();
        let mut text = format!("{method} {uri}\n");
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{name}: {value}");
            if matches!(name.as_str(), "authorization" | "proxy-authorization" | "cookie") {
                received.authorizations.push(value);
            }
        }
        text += &String::from_utf8_lossy(body);
        received.everything += &text;
        received.everything.push('\n');
    }
}

impl Service for HostileHost {
    fn serves(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| own == host)
    }

    fn operation(&self, _: &str, method: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("attacker", format!("attacker.{}", method.as_str().to_ascii_lowercase()))
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            // If the body is incomplete, the request is recorded without it.
            let body = read(request.body, 1024 * 1024).await.unwrap_or_default();
            self.record(&request.method, &request.uri, &request.headers, &body);
            let text = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            let mut response = response(401, &[("content-type", "application/json")], full(text));
            if let Ok(challenge) = HeaderValue::try_from(self.challenge.as_str()) {
                response.headers_mut().insert("www-authenticate", challenge);
            }
            response
        })
    }
}
