//! Uploads: one session, one request with the whole blob
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs>).
//!
//! Never chunked: ECR reports a stale `Range` after the second chunk and refuses to rewind a
//! session (<https://github.com/aws/containers-roadmap/issues/2831>), so a session that failed is
//! given up and the blob begun anew.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Url};
use tokio::time::Instant;

use super::requests::{RegistryResponse, SMALL_BODY_BYTES, location, redirect};
use super::secrets::Secrets;
use super::{Error, ErrorResponse, Repository};
use crate::http::{self, Backoff, RetryBudget, UploadMonitor};
use crate::oci::{self, Descriptor, Digest};

/// Time limit of the request that cancels a session, with its token.
const CANCEL_TIME: Duration = Duration::from_secs(2);

/// Result of the request for an upload.
#[derive(Debug)]
pub(crate) enum UploadStart {
    /// The registry took the blob from another of its repositories, so that nothing must be sent.
    Mounted,
    /// Send the blob here, or cancel.
    Session(UploadSession),
}

/// An upload session. It is used up by one attempt.
pub(crate) struct UploadSession {
    /// Whoever knows it can write to the session.
    url: Url,
}

impl fmt::Debug for UploadSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

/// Failure of an upload.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The registry redirected the request. The blob must be sent there from its first byte.
    Redirected(UploadSession),
    Source(Error),
    Destination(Error),
}

/// Gives a blob piece by piece, and checks it: the last piece comes only when all of it is right.
pub(crate) trait BlobStream: Send + 'static {
    /// The next piece, or `None` after the last.
    fn next_chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, Error>> + Send;
}

impl Repository {
    /// Mounts the blob from the repository `mount`, or opens an upload session. If the registry refuses
    /// the mount in any way, an ordinary upload decides: Harbor answers 401, others 403 to 405
    /// (<https://github.com/google/go-containerregistry/issues/1609>).
    ///
    /// # Errors
    /// The registry's answer to the request for an upload session.
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

    /// Asks for a mount. Returns `None` if the registry refuses it. A registry that only declines it opens
    /// an upload session.
    async fn mount(
        &self,
        mut url: Url,
        digest: &Digest,
        from: &oci::Repository,
    ) -> Result<Option<UploadStart>, Error> {
        url.query_pairs_mut().append_pair("mount", digest.as_str()).append_pair("from", from.path());
        let mut request = Self::request(Method::POST, url, SMALL_BODY_BYTES);
        request.is_final = |_| true;
        // A single attempt, because the upload that follows a refusal has attempts of its own.
        let once = Backoff { max_attempts: 1, ..self.http_options().backoff };
        let budget = RetryBudget::new(once, self.deadline, self.usage.pending.clone());
        let response = self.with_mount_source(from).with_budget(&budget).send(request).await;
        if matches!(&response, Ok(response) if response.status() == 201) {
            return Ok(Some(UploadStart::Mounted));
        }
        match response.and_then(opened_session) {
            Ok(upload) => Ok(Some(UploadStart::Session(upload))),
            Err(error @ Error::Credentials(_)) => Err(error),
            // The upload does not wait for the same silent host as long again.
            Err(Error::Http(error))
                if error.is_silent_host() && !self.retry_budget().wait_after_error(&error).await =>
            {
                Err(error.into())
            }
            Err(error) => {
                tracing::info!(%digest, from = from.path(), %error, "a refused mount is replaced by an upload");
                Ok(None)
            }
        }
    }

    /// Sends a whole blob. Calls `passed` with the size of each piece, in bytes.
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
        let failed = |error: http::Error| UploadError::Destination(secrets.remove_from_error(error.into()));
        let mut response = result.map_err(failed)?;
        if response.status.is_success() {
            return Ok(());
        }
        if let Some(url) = redirect(&response, &request).map_err(UploadError::Destination)? {
            return Err(UploadError::Redirected(UploadSession { url }));
        }
        secrets.remove_from_response(&mut response);
        let described = secrets.remove_from(&format!("PUT {}", url.path()));
        let error_response = ErrorResponse::new(&response, described, authorization.credentials_sent());
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

    /// Sends a small blob that is in memory. Bytes that the registry has already do no harm.
    ///
    /// # Errors
    /// If the registry refuses it or cannot be reached.
    pub async fn put_blob(&self, bytes: &'static [u8]) -> Result<(), Error> {
        let digest = Digest::of(bytes);
        let UploadStart::Session(upload) = self.start_upload(&digest, None).await? else { return Ok(()) };
        let url = with_digest(upload.url, &digest);
        let request = Self::request(Method::PUT, url, SMALL_BODY_BYTES);
        let request = Self::with_body(request, "application/octet-stream", bytes.into())?;
        self.send(request).await?.into_success().map(drop)
    }

    /// Cancels a session. Failures are ignored: some registries require a permission that the token does not
    /// have, and all end sessions by themselves.
    pub(crate) async fn cancel_upload(&self, upload: UploadSession) {
        let cancelling = async {
            let authorization = self.authorization(&upload.url).await?;
            let mut request = Self::request(Method::DELETE, upload.url, SMALL_BODY_BYTES);
            request.network = self.network();
            authorization.apply(&mut request.headers);
            Ok::<_, Error>(self.client.connections.http.send(&request, Some(Instant::now())).await?)
        };
        if !matches!(tokio::time::timeout(CANCEL_TIME, cancelling).await, Ok(Ok(_))) {
            tracing::debug!("an upload session was left to expire");
        }
    }
}

/// Returns the address of the request that closes a session. A redirect of that request can name the digest
/// already.
fn with_digest(mut url: Url, digest: &Digest) -> Url {
    if !url.query_pairs().any(|(name, _)| name == "digest") {
        url.query_pairs_mut().append_pair("digest", digest.as_str());
    }
    url
}

/// Returns the upload session that a registry opened.
fn opened_session(response: RegistryResponse) -> Result<UploadSession, Error> {
    let url = response.url.clone();
    let response = response.into_success()?;
    let url = location(&response.headers, &url);
    let url = url.ok_or(Error::Protocol("the upload location is missing or not a valid URL"))?;
    Ok(UploadSession { url })
}

/// The reader as a request body. An error ends the body early, so that the registry never sees a
/// whole blob, and is kept for the caller: the HTTP client would report a broken connection.
fn request_body(
    reader: impl BlobStream,
    monitor: Arc<UploadMonitor>,
    error: Arc<Mutex<Option<Error>>>,
    on_sent: Arc<dyn Fn(u64) + Send + Sync>,
) -> Body {
    let pieces = stream::try_unfold(reader, move |mut reader| {
        let (monitor, error, on_sent) = (monitor.clone(), error.clone(), on_sent.clone());
        async move {
            monitor.waiting_for_source();
            match reader.next_chunk().await {
                Ok(Some(piece)) => {
                    monitor.source_delivered(piece.len() as u64);
                    on_sent(piece.len() as u64);
                    Ok(Some((piece, reader)))
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
    Body::wrap_stream(pieces)
}
