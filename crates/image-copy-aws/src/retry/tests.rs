use std::sync::atomic::{AtomicU32, Ordering};

use aws_sdk_ecr::error::ErrorMetadata;
use aws_sdk_ecr::operation::batch_get_image::BatchGetImageError;

use super::*;

#[test]
fn parses_any_number_in_a_header_without_panic() {
    for (milliseconds, seconds, expected) in [
        (None, None, Duration::ZERO),
        (None, Some("60"), Duration::from_secs(60)),
        (Some("1500"), Some("60"), Duration::from_millis(1500)),
        // Rounded up to 2^64 as a floating-point number.
        (None, Some("18446744073709551615"), Duration::MAX),
        (None, Some("99999999999999999999"), Duration::MAX),
        (None, Some("inf"), Duration::MAX),
        (Some("1e300"), None, Duration::MAX),
        (None, Some("-1"), Duration::ZERO),
        (None, Some("NaN"), Duration::ZERO),
        (None, Some("Fri, 31 Dec 9999 23:59:59 GMT"), Duration::ZERO),
    ] {
        assert_eq!(parse_retry_after(milliseconds, seconds), expected, "{milliseconds:?} {seconds:?}");
    }
}

#[tokio::test]
async fn a_call_stopped_by_the_deadline_fails_with_the_last_error_response() {
    let retry_policy = RetryPolicy { first_pause: Duration::from_millis(1), ..RetryPolicy::default() };
    let count = AtomicU32::new(0);
    let send = async |responses: u32| {
        count.store(0, Ordering::SeqCst);
        let end = Instant::now() + Duration::from_millis(200);
        let calls = RetryingClient::new((), "api.ecr.example".into(), Some(end), retry_policy);
        let request = || async {
            if count.fetch_add(1, Ordering::SeqCst) >= responses {
                return std::future::pending().await;
            }
            let meta = ErrorMetadata::builder().code("ThrottlingException").message("slow down").build();
            let response = HttpResponse::new(400.try_into().unwrap(), "".into());
            Err::<(), _>(SdkError::service_error(BatchGetImageError::generic(meta), response))
        };
        calls.send("ecr:BatchGetImage", request).await.unwrap_err()
    };
    assert!(
        matches!(send(2).await, Error::Service { code, attempts: 2, .. } if &*code == "ThrottlingException")
    );
    assert!(matches!(send(0).await, Error::Http(http::Error { kind: ErrorKind::Silent { .. }, .. })));
}

#[test]
fn throttling_is_transient_and_a_denial_is_not() {
    let service = |code: &str| Error::Service {
        service: "ecr-public:GetAuthorizationToken".into(),
        code: code.into(),
        message: "no".into(),
        attempts: 1,
        elapsed: Duration::ZERO,
    };
    let status =
        |status| Error::from(error_response("ecr-public:GetAuthorizationToken", status, 1, Instant::now()));
    for (error, expected) in [
        (service("ThrottlingException"), true),
        (service("TooManyRequestsException"), true),
        (service("ServerException"), true),
        (service("AccessDeniedException"), false),
        (service("UnrecognizedClientException"), false),
        (status(429), true),
        (status(503), true),
        (status(403), false),
        (Error::Credentials("none".into()), false),
    ] {
        assert_eq!(is_transient(&error), expected, "{error}");
    }
}
