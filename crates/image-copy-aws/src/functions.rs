//! Asynchronous invocations of Lambda functions.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::ProvideErrorMetadata as _;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use image_copy::text::SanitizedText;
use tokio::time::Instant;

use crate::AwsClients;
use crate::retry::{message_text, root_cause};

/// A missing route, as in a VPC without an endpoint for Lambda, must show while there is time to respond.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Lambda's functions in the Region of the configuration.
#[derive(Clone)]
pub struct Functions {
    client: aws_sdk_lambda::Client,
}

/// An invocation that Lambda did not accept. Its text is one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The role does not allow `lambda:InvokeFunction`.
    #[error("{code}")]
    AccessDenied {
        /// Error code of Lambda.
        code: SanitizedText,
    },
    /// There was no response, or another error.
    #[error("{0}")]
    Failed(SanitizedText),
}

impl AwsClients {
    /// Returns a client for Lambda functions, with the same credentials and endpoints.
    #[must_use]
    pub fn functions(&self) -> Functions {
        let config = aws_sdk_lambda::config::Builder::from(self.config())
            // A payload is small, and a second delivery does no harm, so the SDK's own retries are enough.
            .retry_config(RetryConfig::standard())
            .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
            .build();
        Functions { client: aws_sdk_lambda::Client::from_conf(config) }
    }
}

impl Functions {
    /// Queues `payload` for the function with the ARN `arn`.
    ///
    /// The SDK sends the trace header by which Lambda counts how often functions invoke themselves in a
    /// chain.
    ///
    /// # Errors
    /// If Lambda has not accepted the payload by `deadline`.
    pub async fn invoke(&self, arn: &str, payload: Vec<u8>, deadline: Instant) -> Result<(), InvokeError> {
        let call = self.client.invoke().function_name(arn).invocation_type(InvocationType::Event);
        match tokio::time::timeout_at(deadline, call.payload(Blob::new(payload)).send()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(match error.code() {
                Some(code) if code.starts_with("AccessDenied") => {
                    InvokeError::AccessDenied { code: code.into() }
                }
                Some(code) => {
                    InvokeError::Failed(format!("{code} \"{}\"", message_text(error.message())).into())
                }
                None => InvokeError::Failed(root_cause(&error)),
            }),
            Err(_) => Err(InvokeError::Failed("no response in time".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_smithy_http_client::test_util::infallible_client_fn;

    use super::*;
    use crate::testing::{clients_at, clients_over};

    const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:provider:live";

    fn in_20_seconds() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    async fn invoke(status: u16, code: &'static str) -> (Result<(), InvokeError>, String) {
        let seen = Arc::new(Mutex::new(String::new()));
        let request = seen.clone();
        let http = infallible_client_fn(move |call| {
            let kind = call.headers()["x-amz-invocation-type"].to_str().unwrap().to_owned();
            let body = String::from_utf8_lossy(call.body().bytes().unwrap()).into_owned();
            *request.lock().unwrap() = format!("{} {} {kind} {body}", call.method(), call.uri());
            let response = http::Response::builder().status(status).header("x-amzn-errortype", code);
            response.body(r#"{"Message": "it is\nso"}"#).unwrap()
        });
        let result = clients_over(http).functions().invoke(ARN, b"{}".to_vec(), in_20_seconds()).await;
        let seen = seen.lock().unwrap().clone();
        (result, seen)
    }

    #[tokio::test]
    async fn invokes_without_waiting_for_a_result() {
        let (result, request) = invoke(202, "").await;
        assert_eq!(result, Ok(()));
        assert_eq!(
            request,
            "POST https://lambda.us-east-1.amazonaws.com/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Aprovider%3Alive/invocations Event {}"
        );
    }

    #[tokio::test]
    async fn distinguishes_a_missing_permission_from_other_errors() {
        let (result, _) = invoke(403, "AccessDeniedException").await;
        assert_eq!(result, Err(InvokeError::AccessDenied { code: "AccessDeniedException".into() }));
        let (result, _) = invoke(404, "ResourceNotFoundException").await;
        assert_eq!(result, Err(InvokeError::Failed("ResourceNotFoundException \"it is so\"".into())));
    }

    #[tokio::test]
    async fn fails_at_the_deadline() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let functions = clients_at(&format!("http://{}", silent.local_addr().unwrap())).functions();
        let deadline = Instant::now() + Duration::from_millis(100);
        let result = functions.invoke(ARN, Vec::new(), deadline).await;
        assert_eq!(result, Err(InvokeError::Failed("no response in time".into())));
        let refused = clients_at("http://127.0.0.1:1").functions();
        let error = refused.invoke(ARN, Vec::new(), in_20_seconds()).await.unwrap_err().to_string();
        assert!(error.contains("refused") && !error.contains('\n'), "{error}");
    }
}
