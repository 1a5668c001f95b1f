//! Sends the response to CloudFormation's pre-signed S3 URL.

use std::time::Duration;

use reqwest::header::CONTENT_LENGTH;
use reqwest::{Certificate, Client, StatusCode, Url, redirect};
use tokio::time::Instant;

use crate::input::envelope::ResponseUrl;

/// Maximum time to connect. The bucket is in the same Region.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time of an attempt. A response has a few thousand bytes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const MAX_PAUSE: Duration = Duration::from_secs(3);

/// A response that could not be sent. The text does not contain the URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sending the response to {host} failed: {problem} (attempts: {attempts})")]
pub(crate) struct DeliveryError {
    host: String,
    problem: String,
    attempts: u32,
}

/// Sends responses. It has its own client, because a copy needs other timeouts and connections.
#[derive(Clone)]
pub(crate) struct ResponseSender {
    client: Client,
}

impl ResponseSender {
    /// Creates the client. `certificates` are trusted in addition to those of the system, because a proxy can
    /// terminate TLS to the bucket.
    pub(crate) fn new(certificates: &[u8]) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .tls_certs_merge(Certificate::from_pem_bundle(certificates)?)
            .user_agent(crate::USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ATTEMPT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .referer(false)
            // Lambda freezes the function, and connections die meanwhile.
            .pool_max_idle_per_host(0)
            .build()?;
        Ok(Self { client })
    }

    /// Sends a document, and retries transient errors until `deadline`.
    pub(crate) async fn deliver(
        &self,
        url: &ResponseUrl,
        body: Vec<u8>,
        deadline: Instant,
    ) -> Result<(), DeliveryError> {
        let url = url.expose();
        let host = url.host_str().unwrap_or_default().to_owned();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let attempt = tokio::time::timeout_at(deadline, self.attempt(url, body.clone())).await;
            let (problem, is_retryable) = match attempt {
                Ok(Attempt::Delivered) => return Ok(()),
                Ok(Attempt::Failed { problem, is_retryable }) => (problem, is_retryable),
                Err(_) => ("time ran out".to_owned(), false),
            };
            let bound = FIRST_PAUSE.saturating_mul(1 << attempts.min(8)).min(MAX_PAUSE);
            let pause = bound.mul_f64(0.5 + 0.5 * fastrand::f64());
            if !is_retryable || Instant::now() + pause >= deadline {
                return Err(DeliveryError { host, problem, attempts });
            }
            tracing::warn!(host, problem, attempts, "retrying to send the response");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, url: &Url, body: Vec<u8>) -> Attempt {
        // No Content-Type: the signature of older URLs covers its absence.
        let request = self.client.put(url.clone()).header(CONTENT_LENGTH, body.len()).body(body);
        match request.send().await {
            Ok(response) if response.status().is_success() => Attempt::Delivered,
            Ok(response) => {
                let status = response.status();
                let is_retryable = status.is_server_error()
                    || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
                Attempt::Failed { problem: format!("HTTP {}", status.as_u16()), is_retryable }
            }
            Err(error) => {
                let is_retryable = !error.is_builder();
                Attempt::Failed { problem: root_cause(&error.without_url()), is_retryable }
            }
        }
    }
}

enum Attempt {
    Delivered,
    Failed { problem: String, is_retryable: bool },
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut current = error;
    while let Some(cause) = current.source() {
        current = cause;
    }
    current.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::sync::Mutex;

    use super::*;
    use crate::input::tests::update;

    /// A bucket that responds with these status lines, one per connection; status 0 hangs up.
    async fn start_bucket(statuses: Vec<u16>) -> (String, Arc<Mutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/key?X-Amz-Signature=secret", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for status in statuses {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut request, mut buffer) = (String::new(), [0; 8192]);
                while !request.ends_with("the response") {
                    let read = stream.read(&mut buffer).await.unwrap();
                    request.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
                }
                seen.lock().await.push(request);
                if status > 0 {
                    let response = format!(
                        "HTTP/1.1 {status} X\r\nlocation: http://elsewhere.example/\r\ncontent-length: 0\r\n\r\n"
                    );
                    stream.write_all(response.as_bytes()).await.unwrap();
                }
            }
        });
        (url, requests)
    }

    async fn deliver(statuses: Vec<u16>) -> (Result<(), DeliveryError>, Vec<String>) {
        let (url, requests) = start_bucket(statuses).await;
        let deadline = Instant::now() + Duration::from_secs(5);
        let sender = ResponseSender::new(&[]).unwrap();
        let result =
            sender.deliver(&update(&url).envelope.response_url, b"the response".to_vec(), deadline).await;
        let requests = requests.lock().await.clone();
        (result, requests)
    }

    #[tokio::test]
    async fn sends_a_request_that_matches_the_presigned_url() {
        let (result, requests) = deliver(vec![200]).await;
        result.unwrap();
        let head = requests[0].split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        assert!(head.starts_with("put /key?x-amz-signature=secret http/1.1"), "{head}");
        assert!(head.contains("\r\ncontent-length: 12"), "{head}");
        assert!(!head.contains("content-type") && !head.contains("transfer-encoding"), "{head}");
    }

    #[tokio::test]
    async fn retries_after_errors_of_the_bucket() {
        let (result, requests) = deliver(vec![503, 0, 500, 200]).await;
        result.unwrap();
        assert_eq!(requests.len(), 4);
    }

    #[tokio::test]
    async fn fails_at_once_after_a_denial_or_redirect_without_printing_the_url() {
        for status in [403, 400, 307] {
            let (result, requests) = deliver(vec![status, 200]).await;
            let error = result.unwrap_err();
            assert_eq!(requests.len(), 1);
            assert!(error.to_string().contains(&format!("HTTP {status} (attempts: 1)")), "{error}");
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn fails_at_the_deadline() {
        let url = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            format!("http://{}/?secret", listener.local_addr().unwrap())
        };
        let deadline = Instant::now() + Duration::from_millis(400);
        let event = update(&url);
        let sender = ResponseSender::new(&[]).unwrap();
        let error = sender.deliver(&event.envelope.response_url, Vec::new(), deadline).await.unwrap_err();
        assert!(deadline.elapsed() < Duration::from_secs(2));
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}
