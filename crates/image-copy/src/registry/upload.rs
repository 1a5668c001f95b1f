//! Uploads: one session and one request with the whole blob
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>).
//!
//! Uploads are not chunked. ECR returns a wrong `Range` after the second chunk and does not rewind a session
//! (<https://github.com/aws/containers-roadmap/issues/2831>). After a failure, the blob is uploaded again in
//! a new session.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Url};
use tokio::time::Instant;

use super::redirects::{location, redirect_target};
use super::requests::{RegistryResponse, SMALL_BODY_BYTES};
use super::secrets::Secrets;
use super::{Error, ErrorResponse, Repository};
use crate::http::{self, Backoff, RetryBudget, UploadMonitor};
use crate::oci::{self, Descriptor, Digest};

/// Time limit of the request that cancels a session, including its token. It is short, because cancelling is
/// optional.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Result of the request that starts an upload.
#[derive(Debug)]
pub(crate) enum UploadStart {
    /// The registry mounted the blob from another repository. No upload is needed.
    Mounted,
    /// The registry opened an upload session. The caller sends the blob or cancels the session.
    Session(UploadSession),
}

/// An upload session, for one attempt.
pub(crate) struct UploadSession {
    /// A secret, because it can authorize writes to the session.
    url: Url,
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

/// Error of an upload.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The registry redirected the request. The blob must be sent to the new URL from its first byte.
    Redirected(UploadSession),
    Source(Error),
    Destination(Error),
}

/// Stream of the chunks of a blob, with verification: the last chunk is returned only if size and digest are
/// right.
pub(crate) trait BlobStream: Send + 'static {
    /// Returns the next chunk, or `None` after the last one.
    fn next_chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;
}

impl Repository {
    /// Mounts the blob from the repository `mount`, or opens an upload session. If the registry rejects the
    /// mount with any status, an upload session follows: Harbor returns 401, others 403 to 405
    /// (<https://github.com/google/go-containerregistry/issues/1609>).
    ///
    /// # Errors
    /// The registry's error response to the request for an upload session.
    pub(crate) async fn start_upload(
        &self,
        digest: &Digest,
        mount: Option<&oci::Repository>,
    ) -> Result<UploadStart, Error> {
        let url = self.url("blobs/uploads/").await?;
        if let Some(from) = mount
            && let Some(started) = self.mount(url.clone(), digest, from).await?
        {
            return Ok(started);
        }
        opened_session(self.send(Self::request(Method::POST, url, SMALL_BODY_BYTES)).await?)
            .map(UploadStart::Session)
    }

    /// Requests a mount. Returns `None` if the registry rejects it. A registry that does not support mounts
    /// opens an upload session.
    async fn mount(
        &self,
        mut url: Url,
        digest: &Digest,
        from: &oci::Repository,
    ) -> Result<Option<UploadStart>, Error> {
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.path());
        let mut request = Self::request(Method::POST, url, SMALL_BODY_BYTES);
        request.is_final = |_| true;
        // One attempt is enough, because the upload session has a budget of its own.
        let once = Backoff { max_attempts: 1, ..self.http_options().backoff };
        let budget = RetryBudget::new(once, self.deadline, self.usage.pending.clone());
        let response = self.with_mount_source(from).with_budget(&budget).send(request).await;
        if matches!(&response, Ok(response) if response.status() == 201) {
            return Ok(Some(UploadStart::Mounted));
        }
        match response.and_then(opened_session) {
            Ok(upload) => Ok(Some(UploadStart::Session(upload))),
            Err(error @ Error::Credentials(_)) => Err(error),
            // The time limit for silent hosts includes the mount and the upload.
            Err(Error::Http(error))
                if error.is_silent_host() && !self.retry_budget().wait_after_error(&error).await =>
            {
                Err(error.into())
            }
            Err(error) => {
                tracing::info!(%digest, from = from.path(), %error, "mount rejected, uploading the blob");
                Ok(None)
            }
        }
    }

    /// Sends a whole blob. Calls `on_sent` with the size of each chunk, in bytes.
    pub(crate) async fn send_blob(
        &self,
        upload: &UploadSession,
        blob: &Descriptor,
        reader: impl BlobStream,
        on_sent: Arc<dyn Fn(u64) + Send + Sync>,
    ) -> Result<(), UploadError> {
        let url = with_digest(upload.url.clone(), &blob.digest);
        let authorization = self.authorization(&url).await.map_err(UploadError::Destination)?;
        let mut request = Self::request(Method::PUT, url.clone(), SMALL_BODY_BYTES);
        request.network = self.network();
        authorization.apply(&mut request.headers);
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        let client = self.http();
        let monitor = client.monitor_upload(&url, blob.size);
        let source_error: Arc<Mutex<Option<Error>>> = Arc::default();
        let body = request_body(reader, monitor.clone(), source_error.clone(), on_sent);
        let result = client.send_upload(&request, body, blob.size, &monitor).await;
        if let Some(error) = source_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(UploadError::Source(error));
        }
        let mut secrets = Secrets::default();
        authorization.add_secrets_to(&mut secrets);
        secrets.add_query(&url);
        let to_error = |error: http::Error| UploadError::Destination(secrets.remove_from_error(error.into()));
        let mut response = result.map_err(to_error)?;
        if response.status.is_success() {
            return Ok(());
        }
        if let Some(url) = redirect_target(&response, &request).map_err(UploadError::Destination)? {
            return Err(UploadError::Redirected(UploadSession { url }));
        }
        secrets.remove_from_response(&mut response);
        let description = secrets.remove_from(&format!("PUT {}", url.path()));
        let error_response = ErrorResponse::new(&response, description, authorization.credentials_sent());
        let renewed = self
            .is_authorization_renewed(&url, &response, &authorization)
            .await
            .map_err(UploadError::Destination)?;
        Err(UploadError::Destination(if renewed {
            Error::AuthorizationExpired(Box::new(error_response))
        } else {
            error_response.into()
        }))
    }

    /// Sends a small blob that is in memory. Succeeds also if the registry has the blob.
    ///
    /// # Errors
    /// If the registry rejects the blob or is unreachable.
    pub async fn put_blob(&self, bytes: &'static [u8]) -> Result<(), Error> {
        let digest = Digest::of(bytes);
        let UploadStart::Session(upload) = self.start_upload(&digest, None).await? else { return Ok(()) };
        let url = with_digest(upload.url, &digest);
        let request = Self::request(Method::PUT, url, SMALL_BODY_BYTES);
        let request = Self::with_body(request, "application/octet-stream", bytes.into())?;
        self.send(request).await?.into_success().map(drop)
    }

    /// Cancels a session. Errors are ignored, because sessions expire. Some registries require a permission
    /// that the token does not have.
    pub(crate) async fn cancel_upload(&self, upload: UploadSession) {
        let cancellation = async {
            let authorization = self.authorization(&upload.url).await?;
            let mut request = Self::request(Method::DELETE, upload.url, SMALL_BODY_BYTES);
            request.network = self.network();
            authorization.apply(&mut request.headers);
            Ok::<_, Error>(self.client.connections.http.send(&request, Some(Instant::now())).await?)
        };
        if !matches!(tokio::time::timeout(CANCEL_TIMEOUT, cancellation).await, Ok(Ok(_))) {
            tracing::debug!("an upload session was not cancelled and will expire");
        }
    }
}

/// Returns the URL of the request that completes a session. The URL of a redirect can already contain the
/// digest.
fn with_digest(mut url: Url, digest: &Digest) -> Url {
    if !url.query_pairs().any(|(name, _)| name == "digest") {
        url.query_pairs_mut().append_pair("digest", digest.as_str());
    }
    url
}

/// Returns the upload session in a response.
fn opened_session(response: RegistryResponse) -> Result<UploadSession, Error> {
    let url = response.url.clone();
    let response = response.into_success()?;
    let url = location(&response.headers, &url);
    let url = url.ok_or(Error::Protocol("the upload location is missing or not a valid URL"))?;
    Ok(UploadSession { url })
}

/// Converts a stream into a request body. An error of the stream interrupts the upload, so that the registry
/// gets no complete blob. The error is stored for the caller, because the HTTP client would only report an
/// interrupted connection.
fn request_body(
    reader: impl BlobStream,
    monitor: Arc<UploadMonitor>,
    error: Arc<Mutex<Option<Error>>>,
    on_sent: Arc<dyn Fn(u64) + Send + Sync>,
) -> Body {
    let chunks = stream::try_unfold(reader, move |mut reader| {
        let (monitor, error, on_sent) = (monitor.clone(), error.clone(), on_sent.clone());
        async move {
            monitor.waiting_for_source();
            match reader.next_chunk().await {
                Ok(Some(chunk)) => {
                    monitor.source_delivered(chunk.len() as u64);
                    on_sent(chunk.len() as u64);
                    Ok(Some((chunk, reader)))
                }
                Ok(None) => {
                    monitor.source_delivered(0);
                    Ok(None)
                }
                Err(cause) => {
                    monitor.source_delivered(0);
                    *error.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
                    Err(std::io::Error::other("the source ended early"))
                }
            }
        }
    });
    Body::wrap_stream(chunks)
}
