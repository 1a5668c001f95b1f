//! S3: errors of requests that are not signed, signed for another service, or not implemented.

#![expect(clippy::unwrap_used, reason = "a failed test panics")]

mod common;

use common::{Fixture, KEY, element, signed};
use reqwest::Method;

const URL: &str = "https://lists.s3.eu-west-1.amazonaws.com/list.yaml";

/// Sends a request, and returns the status and the error code.
async fn error(fixture: &Fixture, method: Method, url: &str, authorization: &str) -> (u16, String) {
    let request = fixture.request(method, url, authorization).header("x-amz-security-token", "t");
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    (status, element(&response.text().await.unwrap(), "Code"))
}

#[tokio::test]
async fn rejects_requests_as_s3_does() {
    let fixture = Fixture::start().await;
    fixture.emulator.objects().create_bucket("eu-west-1", "lists");
    fixture.emulator.objects().put("lists", "list.yaml", "images: []");
    let s3 = |key: &str| signed(key, "s3");
    for (authorization, status, code) in [
        (String::new(), 403, "AccessDenied"),
        ("Bearer x".into(), 400, "AuthorizationHeaderMalformed"),
        (signed(KEY, "ecr"), 400, "AuthorizationHeaderMalformed"),
        (s3(KEY).replace("eu-west-1", "us-east-1"), 400, "AuthorizationHeaderMalformed"),
        (s3("AKIAUNKNOWN"), 403, "InvalidAccessKeyId"),
        (s3(KEY), 403, "AccessDenied"),
        (
            s3(KEY).replace("SignedHeaders=host", "SignedHeaders=host;x-amz-security-token"),
            403,
            "SignatureDoesNotMatch",
        ),
    ] {
        let seen = error(&fixture, Method::GET, URL, &authorization).await;
        assert_eq!(seen, (status, code.to_owned()), "{authorization}");
    }
    assert_eq!(fixture.emulator.objects().keys("lists"), ["list.yaml"]);
}
