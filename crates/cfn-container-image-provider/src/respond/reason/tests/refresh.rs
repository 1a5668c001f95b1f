//! The reasons of failed events of a refresh workflow.

use std::time::Duration;

use image_copy::list::ListError;
use image_copy_aws::{ObjectError, ObjectErrorKind, ObjectLocation};

use super::*;
use crate::failure::{ObjectAccess, RefreshFailure};

const LIST: &str = "s3://image-refresh-bucket/list.yaml";
const RUN: &str = "s3://image-refresh-bucket/runs/1/failures.json";

/// Returns the reason of each failure.
pub(super) fn lines() -> Vec<String> {
    let location = |name: &str| name.parse::<ObjectLocation>().unwrap();
    let object = |name, access, kind, cause| RefreshFailure::Object {
        location: location(name),
        access,
        error: ObjectError { kind, cause },
    };
    let (get, put) = ("s3:GetObject", "s3:PutObject");
    let no_key = || service(get, "NoSuchKey", "The specified key does not exist.");
    let denied = |action| service(action, "AccessDenied", "Access Denied");
    let kind = image_copy::http::ErrorKind::TooLarge { limit: 4 << 20 };
    let host = "s3.eu-west-1.amazonaws.com".into();
    let too_large = image_copy::http::Error { kind, host, attempts: 1, elapsed: Duration::ZERO };
    let slow_down = || service(get, "SlowDown", "Please reduce your request rate.");
    let redirect = || service(get, "PermanentRedirect", "The bucket is in another Region.");
    let failures = [
        RefreshFailure::InvalidList(errors(1)),
        RefreshFailure::InvalidList(errors(5)),
        object(LIST, ObjectAccess::ReadList, ObjectErrorKind::Missing, no_key()),
        object(RUN, ObjectAccess::ReadRun, ObjectErrorKind::Missing, no_key()),
        object(LIST, ObjectAccess::ReadList, ObjectErrorKind::AccessDenied, denied(get)),
        object(RUN, ObjectAccess::Write, ObjectErrorKind::AccessDenied, denied(put)),
        object(LIST, ObjectAccess::ReadList, ObjectErrorKind::TooLarge, too_large.into()),
        object(RUN, ObjectAccess::ReadRun, ObjectErrorKind::Throttled, slow_down()),
        object(LIST, ObjectAccess::ReadList, ObjectErrorKind::Other, redirect()),
        RefreshFailure::InvalidObject {
            location: location(RUN),
            problem: "is not the list of failures that expand writes",
        },
        RefreshFailure::NothingSelected { repository: "docker.io/library/nginx".into(), tags: 1200 },
        RefreshFailure::StateUnavailable(service(
            "dynamodb:GetItem",
            "ResourceNotFoundException",
            "Requested resource not found",
        )),
        RefreshFailure::Timeout { seconds: 885, finished: 3, count: 12 },
    ];
    let reasons = failures.into_iter().map(|failure| {
        let failure = Failure::Refresh(Box::new(failure));
        let text = reason(&failure, MoreTime::RepeatedEvent, REQUEST);
        assert_eq!(code(&failure), format!("CI-{}", code_of(&text)));
        text
    });
    reasons.collect()
}

fn errors(count: usize) -> Vec<ListError> {
    let error = |line| ListError {
        file: "list.yaml".into(),
        line,
        problem: "images[0].tagz is not a key of a list. Remove it.".into(),
    };
    (3..3 + count).map(error).collect()
}
