//! Calls of AWS APIs: their retries, and their errors as errors of the engine.
//!
//! ECR's request quotas apply to a whole account and Region, so other clients use them too. Throttled calls
//! are therefore repeated with jitter until the deadline. A local rate limit cannot know the load of other
//! clients.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::io;
use std::time::Duration;

use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use image_copy::http::{self, ErrorKind};
use image_copy::registry::{CredentialsSent, Error, ErrorResponse, NOT_SENT};
use image_copy::text::SanitizedText;
use tokio::time::Instant;

use crate::unavailable::UnavailableCredentials;

/// Number and timing of the attempts of a call.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Upper bound of the first pause. It doubles with each pause. Pauses are random below the bound, so that
    /// functions that were throttled together retry at different times.
    pub first_pause: Duration,
    /// Maximum of the upper bound.
    pub longest_pause: Duration,
    /// Attempts after missing responses and server errors.
    pub max_attempts: u32,
    /// Maximum time without any response, over all attempts.
    pub max_silence: Duration,
    /// Time limit of a throttled call that has no deadline.
    pub default_timeout: Duration,
}

impl Default for RetryPolicy {
    /// ECR allows 10 `PutImage` calls per second. Pauses of up to 5 s serve a hundred functions within 10 s.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            max_attempts: 4,
            // Two attempts of `ATTEMPT_TIMEOUT`.
            max_silence: Duration::from_secs(60),
            default_timeout: Duration::from_secs(120),
        }
    }
}

/// Client of a service in one Region, which repeats failed calls until a deadline. The default service is
/// ECR.
#[derive(Clone)]
pub(crate) struct RetryingClient<C = aws_sdk_ecr::Client> {
    pub(crate) sdk: C,
    host: String,
    deadline: Option<Instant>,
    retry_policy: RetryPolicy,
}

impl<C> RetryingClient<C> {
    /// Wraps an SDK client. `host` is its API host, for errors.
    pub(crate) fn new(sdk: C, host: String, deadline: Option<Instant>, retry_policy: RetryPolicy) -> Self {
        Self { sdk, host, deadline, retry_policy }
    }

    /// Sends a call, with retries. `action` is its name in IAM policies.
    pub(crate) async fn send<T, E, F>(&self, action: &str, request: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Debug + 'static,
    {
        let started = Instant::now();
        let end = self.deadline.unwrap_or(started + self.retry_policy.default_timeout);
        let mut attempts: u32 = 0;
        let mut silence = Duration::ZERO;
        let mut last_error = None;
        loop {
            attempts = attempts.saturating_add(1);
            let called = Instant::now();
            // The time limit leaves time for the response to CloudFormation.
            //  On the heap: the SDK's futures are large, and threads have small stacks.
            let response = tokio::time::timeout_at(end, Box::pin(request())).await;
            let error = match response {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                // If the attempt before this one had a response, its error is the cause.
                Err(_) => {
                    return Err(match last_error {
                        Some(error) => self.error(action, error, attempts - 1, started),
                        None => self.no_response(silence_error(called.elapsed()), attempts, started),
                    });
                }
            };
            let timed_out = matches!(error, SdkError::TimeoutError(_)).then(|| called.elapsed());
            silence = silence.saturating_add(timed_out.unwrap_or_default());
            let pause = self.pause(attempts).saturating_add(requested_pause(&error));
            let is_retryable = match classify(&error) {
                ErrorClass::Throttled => true,
                ErrorClass::Transient => {
                    attempts < self.retry_policy.max_attempts && silence < self.retry_policy.max_silence
                }
                ErrorClass::Permanent => false,
            };
            // A response can request a pause that does not fit into an `Instant`.
            if !is_retryable || Instant::now().checked_add(pause).is_none_or(|resumed| resumed >= end) {
                return Err(match timed_out {
                    Some(time) => self.no_response(silence_error(time), attempts, started),
                    None => self.error(action, error, attempts, started),
                });
            }
            tracing::debug!(action, attempts, error = error.code().unwrap_or("no response"), "retrying");
            last_error = error.raw_response().is_some().then_some(error);
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits before the next request for the state of an operation, longer with each request.
    pub(crate) async fn wait(&self, requests: u32) {
        tokio::time::sleep(self.pause(requests)).await;
    }

    /// Returns a random pause for an attempt.
    fn pause(&self, attempts: u32) -> Duration {
        let bound = self.retry_policy.first_pause.saturating_mul(1 << attempts.saturating_sub(1).min(16));
        bound.min(self.retry_policy.longest_pause).mul_f64(fastrand::f64())
    }

    fn error<E>(
        &self,
        action: &str,
        error: SdkError<E, HttpResponse>,
        attempts: u32,
        started: Instant,
    ) -> Error
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        // Without credentials the SDK sends nothing, and reports a dispatch failure.
        if let Some(unavailable) = UnavailableCredentials::cause_of(&error) {
            return Error::Credentials(unavailable.to_string().into());
        }
        let kind = match &error {
            SdkError::ServiceError(response) => {
                let Some(code) = response.err().code() else {
                    if is_truncated(response.raw()) {
                        return Error::Protocol("the response of AWS cannot be decoded");
                    }
                    // A proxy or load balancer sent the response, which has only a status.
                    let status = response.raw().status().as_u16();
                    return error_response(action, status, attempts, started).into();
                };
                return Error::Service {
                    service: action.into(),
                    code: code.into(),
                    message: message_text(response.err().message()),
                    attempts,
                    elapsed: started.elapsed(),
                };
            }
            SdkError::ConstructionFailure(_) => {
                let message = root_cause(&error);
                return Error::Service {
                    service: action.into(),
                    code: NOT_SENT.into(),
                    message,
                    attempts,
                    elapsed: started.elapsed(),
                };
            }
            SdkError::ResponseError(_) => ErrorKind::Interrupted,
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(connector) if connector.is_timeout() => ErrorKind::ConnectTimeout,
                Some(connector) => network_kind(connector),
                None => ErrorKind::Connect(root_cause(&error)),
            },
            _ => ErrorKind::Interrupted,
        };
        self.no_response(kind, attempts, started)
    }

    fn no_response(&self, kind: ErrorKind, attempts: u32, started: Instant) -> Error {
        let elapsed = started.elapsed();
        Error::Http(http::Error { kind, host: self.host.as_str().into(), attempts, elapsed })
    }
}

fn error_response(action: &str, status: u16, attempts: u32, started: Instant) -> ErrorResponse {
    ErrorResponse {
        status,
        errors: Vec::new(),
        request: action.into(),
        credentials: CredentialsSent::Yes,
        is_not_from_registry: false,
        rate_limit: None,
        retry_after: None,
        attempts,
        elapsed: started.elapsed(),
    }
}

/// A truncated or damaged response has no error code and the status of a success.
fn is_truncated(response: &HttpResponse) -> bool {
    response.status().is_success()
}

fn silence_error(time: Duration) -> ErrorKind {
    ErrorKind::Silent { time, proxy: None }
}

/// Returns the pause that a response requests. ECR sends no such header, but a proxy or load balancer can.
fn requested_pause<E>(error: &SdkError<E, HttpResponse>) -> Duration {
    let headers = error.raw_response().map(HttpResponse::headers);
    headers.map_or(Duration::ZERO, |headers| {
        parse_retry_after(headers.get("x-amz-retry-after"), headers.get("retry-after"))
    })
}

/// Parses `x-amz-retry-after` in milliseconds, or else `Retry-After` in seconds. Dates and other text count
/// as zero. Values above the maximum of a `Duration` become its maximum.
fn parse_retry_after(milliseconds: Option<&str>, seconds: Option<&str>) -> Duration {
    let number = |text: Option<&str>| text?.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let seconds = number(milliseconds).map(|number| number / 1000.0).or_else(|| number(seconds));
    Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or(Duration::MAX)
}

/// Class of an error, which decides about another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorClass {
    /// The quota is used up. Repeated until the deadline.
    Throttled,
    /// Repeated a limited number of times.
    Transient,
    /// Not repeated.
    Permanent,
}

fn classify<E>(error: &SdkError<E, HttpResponse>) -> ErrorClass
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    match error {
        // The sources of credentials repeat their own calls.
        SdkError::DispatchFailure(_) if UnavailableCredentials::cause_of(error).is_some() => {
            ErrorClass::Permanent
        }
        SdkError::ServiceError(response) => match response.err().code() {
            Some(code) if classify_code(code) != ErrorClass::Permanent => classify_code(code),
            _ if response.raw().status().as_u16() == 429 => ErrorClass::Throttled,
            _ if response.raw().status().is_server_error() => ErrorClass::Transient,
            None if is_truncated(response.raw()) => ErrorClass::Transient,
            // `LimitExceededException` means a quota of images, which a pause does not change.
            _ => ErrorClass::Permanent,
        },
        SdkError::ConstructionFailure(_) => ErrorClass::Permanent,
        SdkError::DispatchFailure(failure)
            if failure
                .as_connector_error()
                .is_some_and(|cause| matches!(network_kind(cause), ErrorKind::Tls(_))) =>
        {
            ErrorClass::Permanent
        }
        _ => ErrorClass::Transient,
    }
}

fn classify_code(code: &str) -> ErrorClass {
    match code {
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottledException"
        | "ProvisionedThroughputExceededException"
        | "SlowDown" => ErrorClass::Throttled,
        "ServerException"
        | "InternalFailure"
        | "InternalServiceError"
        | "InternalServerError"
        | "InternalError"
        | "ServiceUnavailable"
        | "RequestTimeout" => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    }
}

/// Returns true if the same call can succeed later, because the service was busy or not reached.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Http(error) => !matches!(error.kind, ErrorKind::Tls(_)),
        Error::ErrorResponse(response) => response.status == 429 || response.status >= 500,
        Error::Service { code, .. } => classify_code(code) != ErrorClass::Permanent,
        // A truncated response.
        Error::Protocol(_) => true,
        _ => false,
    }
}

/// Returns true if the error code means a used-up quota.
pub(crate) fn is_throttling(code: &str) -> bool {
    classify_code(code) == ErrorClass::Throttled
}

/// Finds the cause of a failed connection in the chain of sources. The SDK's HTTP client has private error
/// types, so the texts of the operating system and the TLS library decide.
fn network_kind(error: &(dyn StdError + 'static)) -> ErrorKind {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(current) = cause {
        let text = current.to_string();
        if text.contains("dns error") || text.contains("failed to lookup address") {
            return ErrorKind::Dns;
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::InvalidData => ErrorKind::Tls(root_cause(io)),
                io::ErrorKind::TimedOut => ErrorKind::ConnectTimeout,
                io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionAborted => ErrorKind::Interrupted,
                _ => ErrorKind::Connect(root_cause(io)),
            };
        }
        cause = current.source();
    }
    ErrorKind::Connect(root_cause(error))
}

pub(crate) fn root_cause(error: &(dyn StdError + 'static)) -> SanitizedText {
    let mut current = error;
    while let Some(cause) = current.source() {
        current = cause;
    }
    let message = current.to_string();
    // The number of the error does not help users.
    message_text(message.split(" (os error").next())
}

/// Returns a service's message, for use between double quotes.
pub(crate) fn message_text(message: Option<&str>) -> SanitizedText {
    /// Maximum length in characters. AWS names the caller, the action and the resource, with their ARNs.
    const MAX_CHARS: usize = 600;
    SanitizedText::quotable(message.unwrap_or_default(), MAX_CHARS)
}

#[cfg(test)]
mod tests;
