//! Objects in S3: the list, the items and the report of a refresh.
//!
//! Two calls need no SDK crate for S3, which would enlarge the function by more than a megabyte.

mod location;
mod request;

use std::time::SystemTime;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_ecr::config::http::HttpResponse;
use aws_sdk_ecr::error::{ErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use bytes::{Bytes, BytesMut};
use image_copy::http;
use image_copy::registry::Error;
use tokio::time::{Instant, timeout};

use crate::AwsClients;
use crate::clients::{ATTEMPT_TIMEOUT, connector_with};
use crate::endpoints::Service;
use crate::retry::{RetryingClient, is_throttling, is_transient};
use crate::unavailable::UnavailableCredentials;
pub use location::{InvalidObjectLocation, ObjectLocation};
use request::{Endpoint, ObjectRequest};

const GET_OBJECT: &str = "s3:GetObject";
const PUT_OBJECT: &str = "s3:PutObject";

/// Maximum size of an error document in bytes. S3 sends less than 1 KiB.
const MAX_ERROR_DOCUMENT: u64 = 64 * 1024;

/// Objects in S3, in the Region of the configuration.
#[derive(Clone)]
pub struct Objects {
    client: RetryingClient<SharedHttpConnector>,
    endpoint: Endpoint,
    region: String,
    credentials: Option<SharedCredentialsProvider>,
    user_agent: String,
}

/// An object that could not be read or written. The text is one clause without the name of the object.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{cause}")]
pub struct ObjectError {
    /// Kind of the error.
    pub kind: ObjectErrorKind,
    /// Error of S3 or of the connection.
    pub cause: Error,
}

/// Kind of an [`ObjectError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectErrorKind {
    /// The object or the bucket does not exist. S3 reports a missing object only to callers with
    /// `s3:ListBucket`, and otherwise [`Self::AccessDenied`]
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>).
    Missing,
    /// A policy does not allow the call.
    AccessDenied,
    /// The object is larger than the limit.
    TooLarge,
    /// S3 was busy until the deadline.
    Throttled,
    /// S3 failed, or was not reached.
    Unavailable,
    /// Any other error, which another attempt does not change.
    Other,
}

impl AwsClients {
    /// Returns the objects of S3, whose calls end by `deadline`. `certificates` is the PEM of CA certificates
    /// that are trusted besides the system's.
    #[must_use]
    pub fn objects(&self, certificates: &[u8], deadline: Option<Instant>) -> Objects {
        let config = self.config();
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let endpoint = Endpoint::new(config, self.api_host(Service::S3, &region));
        let connector = connector_with(certificates);
        Objects {
            client: RetryingClient::new(connector, endpoint.host(), deadline, self.retry_policy()),
            endpoint,
            region,
            credentials: config.credentials_provider(),
            user_agent: config.app_name().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

impl Objects {
    /// Reads an object of at most `limit` bytes.
    ///
    /// # Errors
    /// If it is missing, larger, or could not be read by the deadline.
    pub async fn get(&self, location: &ObjectLocation, limit: u64) -> Result<Bytes, ObjectError> {
        let request =
            ObjectRequest { method: "GET", location, content_type: None, body: Bytes::new(), limit };
        self.send(GET_OBJECT, &request).await
    }

    /// Writes an object, or replaces it.
    ///
    /// # Errors
    /// If it could not be written by the deadline. S3 may still have written it.
    pub async fn put(
        &self,
        location: &ObjectLocation,
        body: Bytes,
        content_type: &str,
    ) -> Result<(), ObjectError> {
        let content_type = Some(content_type);
        let request =
            ObjectRequest { method: "PUT", location, content_type, body, limit: MAX_ERROR_DOCUMENT };
        self.send(PUT_OBJECT, &request).await.map(|_| ())
    }

    async fn send(&self, action: &str, request: &ObjectRequest<'_>) -> Result<Bytes, ObjectError> {
        let attempt = || async {
            match timeout(ATTEMPT_TIMEOUT, self.attempt(request)).await {
                Ok(response) => response,
                Err(elapsed) => Err(SdkError::timeout_error(elapsed)),
            }
        };
        match self.client.send(action, attempt).await {
            Ok(Some(body)) => Ok(body),
            Ok(None) => {
                let kind = http::ErrorKind::TooLarge { limit: request.limit };
                let host = self.endpoint.host().into();
                let cause = http::Error { kind, host, attempts: 1, elapsed: std::time::Duration::ZERO };
                Err(ObjectError { kind: ObjectErrorKind::TooLarge, cause: cause.into() })
            }
            Err(cause) => Err(ObjectError { kind: kind_of(&cause), cause }),
        }
    }

    /// Sends a request once. Returns `None` if the body of a success is larger than the limit.
    async fn attempt(
        &self,
        request: &ObjectRequest<'_>,
    ) -> Result<Option<Bytes>, SdkError<ErrorMetadata, HttpResponse>> {
        let credentials = match &self.credentials {
            Some(provider) => provider.provide_credentials().await,
            None => Err(CredentialsError::not_loaded(UnavailableCredentials::NotConfigured)),
        };
        let credentials = credentials
            .map_err(|error| SdkError::dispatch_failure(ConnectorError::other(error.into(), None)))?;
        let url = self.endpoint.url(request.location);
        let mut signed = request
            .signed(&url, credentials, &self.region, SystemTime::now())
            .map_err(SdkError::construction_failure)?;
        if !self.user_agent.is_empty() {
            signed.headers_mut().insert("user-agent", self.user_agent.clone());
        }
        let mut response = self.client.sdk.call(signed).await.map_err(SdkError::dispatch_failure)?;
        let is_success = response.status().is_success();
        let limit = if is_success { request.limit } else { MAX_ERROR_DOCUMENT };
        let body = match read(response.take_body(), limit).await {
            Ok(body) => body,
            Err(error) => return Err(SdkError::response_error(error, response)),
        };
        if is_success {
            return Ok(body);
        }
        let error = parse_error(&body.unwrap_or_default());
        Err(SdkError::service_error(error, response))
    }
}

/// Reads a body. Returns `None` if it has more than `limit` bytes.
async fn read(
    body: SdkBody,
    limit: u64,
) -> Result<Option<Bytes>, aws_smithy_types::byte_stream::error::Error> {
    let mut stream = ByteStream::new(body);
    let mut content = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        if (content.len() as u64).saturating_add(chunk.len() as u64) > limit {
            return Ok(None);
        }
        content.extend_from_slice(&chunk);
    }
    Ok(Some(content.freeze()))
}

/// Parses an error document (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>). The code is
/// missing if the body is not one, as in the response of a proxy.
fn parse_error(body: &[u8]) -> ErrorMetadata {
    let mut error = ErrorMetadata::builder();
    let Ok(text) = std::str::from_utf8(body) else { return error.build() };
    let mut document = aws_smithy_xml::decode::Document::new(text);
    let Ok(mut root) = document.root_element() else { return error.build() };
    if root.start_el().local() != "Error" {
        return error.build();
    }
    while let Some(mut tag) = root.next_tag() {
        let name = tag.start_el().local().to_owned();
        let Ok(value) = aws_smithy_xml::decode::try_data(&mut tag) else { break };
        match name.as_str() {
            "Code" => error = error.code(value),
            "Message" => error = error.message(value),
            _ => {}
        }
    }
    error.build()
}

fn kind_of(error: &Error) -> ObjectErrorKind {
    match error {
        Error::Service { code, .. } => match code.as_str() {
            "NoSuchKey" | "NoSuchBucket" => ObjectErrorKind::Missing,
            "AccessDenied" | "AllAccessDisabled" => ObjectErrorKind::AccessDenied,
            code if is_throttling(code) => ObjectErrorKind::Throttled,
            _ if is_transient(error) => ObjectErrorKind::Unavailable,
            _ => ObjectErrorKind::Other,
        },
        Error::ErrorResponse(response) if response.status == 429 => ObjectErrorKind::Throttled,
        _ if is_transient(error) => ObjectErrorKind::Unavailable,
        _ => ObjectErrorKind::Other,
    }
}

#[cfg(test)]
mod tests;
