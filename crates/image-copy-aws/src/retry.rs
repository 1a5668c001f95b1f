//! One call to a service's API: retries, and the error in the engine's words.
//!
//! ECR's rates hold for a whole account and Region, shared with everybody who pushes there, so
//! throttling is answered with patience and jitter until the deadline: no local pacing could know
//! what the others do.

use std::error::Error as StdError;
use std::fmt::Debug;
use std::io;
use std::time::Duration;

use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ProvideErrorMetadata, SdkError};
use image_copy::http::{self, ErrorKind};
use image_copy::registry::{CredentialsSent, Error, ErrorResponse};
use image_copy::text::SanitizedText;
use tokio::time::Instant;

/// How long a call waits and how often it is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Bound of the first pause, doubled with each further one. The pause is drawn between zero and
    /// the bound, so that functions that were throttled together do not come back together.
    pub first_pause: Duration,
    /// The bound stops growing here.
    pub longest_pause: Duration,
    /// Attempts when there was no answer or a server error.
    pub max_attempts: u32,
    /// Maximum time that a call loses to a service that sends nothing, over all attempts.
    pub max_silence: Duration,
    /// How long throttling is waited out when there is no deadline.
    pub default_timeout: Duration,
}

impl Default for RetryPolicy {
    /// PutImage allows 10 a second: a hundred functions that push at once are served within 10 s,
    /// which pauses of up to 5 s spread well.
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(250),
            longest_pause: Duration::from_secs(5),
            max_attempts: 4,
            // Two attempts that last `ATTEMPT_TIMEOUT`.
            max_silence: Duration::from_secs(60),
            default_timeout: Duration::from_secs(120),
        }
    }
}

/// Calls to a service, ECR unless another is named, in one Region, which end by a deadline.
#[derive(Clone)]
pub(crate) struct RetryingClient<C = aws_sdk_ecr::Client> {
    pub(crate) sdk: C,
    host: String,
    deadline: Option<Instant>,
    retry_policy: RetryPolicy,
}

impl<C> RetryingClient<C> {
    /// Calls by way of a client; `host` is where it calls, for the errors.
    pub(crate) fn new(sdk: C, host: String, deadline: Option<Instant>, retry_policy: RetryPolicy) -> Self {
        Self { sdk, host, deadline, retry_policy }
    }

    /// Sends a call until it is answered. `action` is its name as in a permission.
    pub(crate) async fn send<T, E, F>(&self, action: &str, request: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + StdError + Debug + 'static,
    {
        let started = Instant::now();
        let end = self.deadline.unwrap_or(started + self.retry_policy.default_timeout);
        let mut attempts: u32 = 0;
        let mut silence = Duration::ZERO;
        let mut answered = None;
        loop {
            attempts = attempts.saturating_add(1);
            let called = Instant::now();
            // A call that hangs at the deadline would take the time in which to say so.
            // On the heap: the SDK's futures are large, and threads have small stacks.
            let answer = tokio::time::timeout_at(end, Box::pin(request())).await;
            let error = match answer {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                // The service is not silent if it refused the attempt before this one.
                Err(_) => {
                    return Err(match answered {
                        Some(error) => self.error(action, error, attempts - 1, started),
                        None => self.no_answer(silent(called.elapsed()), attempts, started),
                    });
                }
            };
            let timed_out = matches!(error, SdkError::TimeoutError(_)).then(|| called.elapsed());
            silence = silence.saturating_add(timed_out.unwrap_or_default());
            let pause = self.pause(attempts).saturating_add(requested_pause(&error));
            let again = match classify(&error) {
                ErrorClass::Throttled => true,
                ErrorClass::Transient => {
                    attempts < self.retry_policy.max_attempts && silence < self.retry_policy.max_silence
                }
                ErrorClass::Permanent => false,
            };
            // A response can ask for more time than an Instant can express.
            if !again || Instant::now().checked_add(pause).is_none_or(|resumed| resumed >= end) {
                return Err(match timed_out {
                    Some(time) => self.no_answer(silent(time), attempts, started),
                    None => self.error(action, error, attempts, started),
                });
            }
            tracing::debug!(action, attempts, error = error.code().unwrap_or("no answer"), "trying again");
            answered = error.raw_response().is_some().then_some(error);
            tokio::time::sleep(pause).await;
        }
    }

    /// A pause drawn anew for each attempt.
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
        let kind = match &error {
            SdkError::ServiceError(answer) => {
                let Some(code) = answer.err().code() else {
                    if is_unreadable(answer.raw()) {
                        return Error::Protocol("the answer of AWS could not be read");
                    }
                    // Something in front of the service answered, by a status alone.
                    let status = answer.raw().status().as_u16();
                    return refusal(action, status, attempts, started).into();
                };
                return Error::Service {
                    service: action.into(),
                    code: code.into(),
                    message: words(answer.err().message()),
                    attempts,
                    elapsed: started.elapsed(),
                };
            }
            SdkError::ConstructionFailure(_) => {
                let message = root_cause(&error);
                return Error::Service {
                    service: action.into(),
                    code: "NotSent".into(),
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
        // Without credentials the SDK sends nothing, and calls that a dispatch failure.
        if let ErrorKind::Connect(text) = &kind
            && text.contains("credentials")
        {
            return Error::Credentials(
                format!("AWS credentials for {action} could not be had: {text}").into(),
            );
        }
        self.no_answer(kind, attempts, started)
    }

    fn no_answer(&self, kind: ErrorKind, attempts: u32, started: Instant) -> Error {
        let elapsed = started.elapsed();
        Error::Http(http::Error { kind, host: self.host.as_str().into(), attempts, elapsed })
    }
}

fn refusal(action: &str, status: u16, attempts: u32, started: Instant) -> ErrorResponse {
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

/// What was cut or damaged on its way comes as an error without a code and the status of a success.
fn is_unreadable(answer: &HttpResponse) -> bool {
    answer.status().is_success()
}

fn silent(time: Duration) -> ErrorKind {
    ErrorKind::Silent { time, proxy: None }
}

/// Returns the pause that the response requests. ECR sends no such header; a proxy or load balancer can.
fn requested_pause<E>(error: &SdkError<E, HttpResponse>) -> Duration {
    let headers = error.raw_response().map(HttpResponse::headers);
    headers.map_or(Duration::ZERO, |headers| {
        parse_retry_after(headers.get("x-amz-retry-after"), headers.get("retry-after"))
    })
}

/// Reads `x-amz-retry-after` in milliseconds, or else `Retry-After` in seconds. Dates and other text ask
/// for nothing. More than a `Duration` can express becomes its maximum.
fn parse_retry_after(milliseconds: Option<&str>, seconds: Option<&str>) -> Duration {
    let number = |text: Option<&str>| text?.trim().parse::<f64>().ok().filter(|number| *number >= 0.0);
    let seconds = number(milliseconds).map(|number| number / 1000.0).or_else(|| number(seconds));
    Duration::try_from_secs_f64(seconds.unwrap_or_default()).unwrap_or(Duration::MAX)
}

/// What an error means for another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorClass {
    /// Others are calling too: wait, as long as there is time.
    Throttled,
    /// It may work the next time.
    Transient,
    /// It will not.
    Permanent,
}

fn classify<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> ErrorClass {
    match error {
        SdkError::ServiceError(answer) => match answer.err().code() {
            Some(code) if classify_code(code) != ErrorClass::Permanent => classify_code(code),
            _ if answer.raw().status().as_u16() == 429 => ErrorClass::Throttled,
            _ if answer.raw().status().is_server_error() => ErrorClass::Transient,
            None if is_unreadable(answer.raw()) => ErrorClass::Transient,
            // LimitExceededException is a quota here: no pause makes room for another image.
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
        | "ServiceUnavailable"
        | "RequestTimeout" => ErrorClass::Transient,
        _ => ErrorClass::Permanent,
    }
}

/// Returns true if the same call can succeed later, because the service was busy or not reached.
pub(crate) fn is_transient(error: &Error) -> bool {
    match error {
        Error::Http(error) => !matches!(error.kind, ErrorKind::Tls(_)),
        Error::ErrorResponse(refusal) => refusal.status == 429 || refusal.status >= 500,
        Error::Service { code, .. } => classify_code(code) != ErrorClass::Permanent,
        // A response that was cut.
        Error::Protocol(_) => true,
        _ => false,
    }
}

/// Tells from the chain of causes why there was no connection. The SDK's HTTP client hides its
/// types, so the operating system's and the TLS library's own words decide.
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
    words(Some(&current.to_string()))
}

/// Returns the words of a service, for use between double quotes.
pub(crate) fn words(message: Option<&str>) -> SanitizedText {
    /// Maximum length in characters. AWS names the caller, the action and the resource, with their ARNs.
    const MAX_CHARS: usize = 600;
    SanitizedText::quotable(message.unwrap_or_default(), MAX_CHARS)
}

#[cfg(test)]
mod tests;
