//! Objects of a scripted server. The server checks each signature with its own code.

use std::sync::{Arc, Mutex};

use aws_lc_rs::{digest, hmac};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::testing::{FAST_RETRIES, clients_at, config};

const KEY: &str = "runs/a b/ü+../items.json";

/// One request as it was received.
struct Received {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Received {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
    }

    async fn read(stream: &mut TcpStream) -> Self {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let mut lines = head.lines();
                let line = lines.next().unwrap().to_owned();
                let headers = lines.map(|line| {
                    let (name, value) = line.split_once(": ").unwrap();
                    (name.to_ascii_lowercase(), value.to_owned())
                });
                let mut request = Self { line, headers: headers.collect(), body: Vec::new() };
                let length = request.header("content-length").parse().unwrap_or(0);
                let start = head.len() + 4;
                if bytes.len() == start + length {
                    request.body = bytes.split_off(start);
                    return request;
                }
            }
            let read = stream.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the request ends early: {text}");
            bytes.extend_from_slice(&buffer[..read]);
        }
    }

    /// Computes the signature of the bytes that arrived
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>).
    fn check_signature(&self) {
        let authorization = self.header("authorization");
        let part = |name: &str| {
            let rest = authorization.split_once(name).unwrap().1;
            rest.split(", ").next().unwrap().to_owned()
        };
        let (signed, scope) = (part("SignedHeaders="), part("Credential=AKIDEXAMPLE/"));
        for header in ["host", "x-amz-content-sha256", "x-amz-date"] {
            assert!(signed.split(';').any(|name| name == header), "{header} is not signed: {signed}");
        }
        assert_eq!(self.header("x-amz-content-sha256"), hex(&sha256(&self.body)));
        let mut words = self.line.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let headers: String =
            signed.split(';').map(|name| format!("{name}:{}\n", self.header(name))).collect();
        let payload = self.header("x-amz-content-sha256");
        let canonical = format!("{method}\n{path}\n\n{headers}\n{signed}\n{payload}");
        let to_sign = format!(
            "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
            self.header("x-amz-date"),
            hex(&sha256(canonical.as_bytes()))
        );
        assert!(scope.ends_with("/us-east-1/s3/aws4_request"), "{scope}");
        let key = scope.split('/').fold(b"AWS4secret-key".to_vec(), |key, part| mac(&key, part));
        assert_eq!(part("Signature="), hex(&mac(&key, &to_sign)), "{canonical}");
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sends a whole response with this status, headers and body.
fn response(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn error(status: u16, code: &str) -> String {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Not \"{code}\" &amp; more</Message><Resource>/x</Resource></Error>"
    );
    response(status, "content-type: application/xml\r\n", &body)
}

/// Starts a server that sends one of these responses to each connection, and records the requests.
async fn start(responses: Vec<String>) -> (Objects, Arc<Mutex<Vec<Received>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&requests);
    tokio::spawn(async move {
        for response in responses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = Received::read(&mut stream).await;
            request.check_signature();
            recorded.lock().unwrap().push(request);
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    (clients_at(&url).objects(&[], None), requests)
}

fn location() -> ObjectLocation {
    ObjectLocation { bucket: "refresh".into(), key: KEY.into() }
}

async fn get(responses: Vec<String>) -> (Result<Bytes, ObjectError>, usize) {
    let (objects, requests) = start(responses).await;
    let result = objects.get(&location(), 10).await;
    let count = requests.lock().unwrap().len();
    (result, count)
}

#[tokio::test]
async fn reads_an_object_with_any_key() {
    let (objects, requests) = start(vec![response(200, "", "0123456789")]).await;
    assert_eq!(objects.get(&location(), 10).await.unwrap(), "0123456789");
    let requests = requests.lock().unwrap();
    assert_eq!(requests[0].line, "GET /refresh/runs/a%20b/%C3%BC%2B../items.json HTTP/1.1");
}

#[tokio::test]
async fn writes_an_object_after_a_failure_and_an_interruption() {
    let (objects, requests) =
        start(vec![error(500, "InternalError"), String::new(), response(200, "", "")]).await;
    objects.put(&location(), Bytes::from_static(b"{}"), "application/json").await.unwrap();
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 3);
    for request in &*requests {
        assert!(request.line.starts_with("PUT /refresh/"), "{}", request.line);
        assert_eq!(
            (request.header("content-type"), request.body.as_slice()),
            ("application/json", &b"{}"[..])
        );
    }
}

#[tokio::test]
async fn a_throttled_read_succeeds_later() {
    let (result, requests) = get(vec![error(503, "SlowDown"), response(200, "", "x")]).await;
    assert_eq!((result.unwrap(), requests), (Bytes::from_static(b"x"), 2));
}

#[tokio::test]
async fn an_interrupted_body_is_read_again() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_owned();
    let (result, requests) = get(vec![cut, response(200, "", "abcabcabc")]).await;
    assert_eq!((result.unwrap(), requests), (Bytes::from_static(b"abcabcabc"), 2));
}

#[tokio::test]
async fn rejects_an_object_above_the_limit() {
    let (result, requests) = get(vec![response(200, "", "0123456789a")]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, requests), (ObjectErrorKind::TooLarge, 1));
    assert!(error.to_string().ends_with("sent more than 10 bytes"), "{error}");
}

#[tokio::test]
async fn names_the_error_of_s3_and_does_not_repeat_it() {
    for (status, code, kind) in [
        (404, "NoSuchKey", ObjectErrorKind::Missing),
        (404, "NoSuchBucket", ObjectErrorKind::Missing),
        (403, "AccessDenied", ObjectErrorKind::AccessDenied),
        (403, "ExpiredToken", ObjectErrorKind::Other),
        (400, "AuthorizationHeaderMalformed", ObjectErrorKind::Other),
    ] {
        let (result, requests) = get(vec![error(status, code)]).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, requests), (kind, 1));
        assert_eq!(error.to_string(), format!("s3:GetObject returned {code} \"Not '{code}' & more\""));
    }
}

#[tokio::test]
async fn reports_a_server_that_keeps_failing() {
    for (responses, kind, text) in [
        (
            vec![error(503, "ServiceUnavailable"); 3],
            ObjectErrorKind::Unavailable,
            "returned ServiceUnavailable",
        ),
        (vec![response(502, "", "<html>Bad"); 3], ObjectErrorKind::Unavailable, "returned 502 Bad Gateway"),
    ] {
        let (result, requests) = get(responses).await;
        let error = result.unwrap_err();
        assert_eq!((error.kind, requests), (kind, 3));
        assert!(error.to_string().starts_with(&format!("s3:GetObject {text}")), "{error}");
        assert!(error.to_string().ends_with(", 3 attempts in 1 s"), "{error}");
    }
}

#[tokio::test]
async fn credentials_follow_no_redirect() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let (result, requests) = get(vec![response(307, &target, "")]).await;
    let error = result.unwrap_err();
    assert_eq!((error.kind, requests), (ObjectErrorKind::Other, 1));
    assert_eq!(error.to_string(), "s3:GetObject returned 307 Temporary Redirect");
    let connection = timeout(std::time::Duration::from_millis(50), elsewhere.accept()).await;
    assert!(connection.is_err(), "the redirect was followed");
}

#[tokio::test]
async fn invalid_names_and_missing_credentials_send_nothing() {
    let objects = clients_at("http://127.0.0.1:1").objects(&[], None);
    let invalid = ObjectLocation { bucket: "evil.example/".into(), key: "k".into() };
    let error = objects.get(&invalid, 10).await.unwrap_err();
    let expected = "s3:GetObject was not sent: the name of the bucket or the key is invalid";
    assert_eq!((error.kind, error.to_string().as_str()), (ObjectErrorKind::Other, expected));

    let mut anonymous = config().into_builder().endpoint_url("http://127.0.0.1:1");
    anonymous.set_credentials_provider(None);
    let clients = AwsClients::new(anonymous.build(), FAST_RETRIES);
    let error = clients.objects(&[], None).get(&location(), 10).await.unwrap_err();
    assert_eq!(error.to_string(), "no AWS credentials are configured");
}

#[tokio::test]
async fn ends_by_the_deadline() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let clients = clients_at(&format!("http://{}", silent.local_addr().unwrap()));
    let deadline = Instant::now() + std::time::Duration::from_millis(100);
    let error = clients.objects(&[], Some(deadline)).get(&location(), 10).await.unwrap_err();
    assert_eq!(error.kind, ObjectErrorKind::Unavailable);
    assert!(error.to_string().contains("sent nothing for"), "{error}");
}

#[test]
fn a_bucket_is_a_subdomain_unless_its_name_has_a_dot() {
    let clients = AwsClients::new(config(), FAST_RETRIES);
    let objects = clients.objects(&[], None);
    let url =
        |bucket: &str| objects.endpoint.url(&ObjectLocation { bucket: bucket.into(), key: "a b".into() });
    assert_eq!(url("refresh"), "https://refresh.s3.us-east-1.amazonaws.com/a%20b");
    assert_eq!(url("re.fresh"), "https://s3.us-east-1.amazonaws.com/re.fresh/a%20b");
    assert_eq!(objects.endpoint.host(), "s3.us-east-1.amazonaws.com");
}

/// Example `GET Bucket Lifecycle` of
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>.
#[test]
fn signs_the_example_of_the_documentation() {
    let keys = aws_credential_types::Credentials::new(
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        None,
        None,
        "test",
    );
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_369_353_600);
    let location = location();
    let request = ObjectRequest {
        method: "GET",
        location: &location,
        content_type: None,
        body: Bytes::new(),
        limit: 0,
    };
    let url = "https://examplebucket.s3.amazonaws.com/?lifecycle";
    let signed = request.signed(url, keys, "us-east-1", time).unwrap();
    assert_eq!(
        signed.headers().get("authorization").unwrap(),
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
    );
}
