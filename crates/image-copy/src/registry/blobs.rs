//! Blobs: checks if a blob exists, and reads blobs with resumption and verification.

use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, HeaderMap, RANGE};
use reqwest::{Method, StatusCode};

use super::secrets::Secrets;
use super::{Error, Repository};
use crate::http::{self, ErrorKind, ReceivedResponse, RetryBudget, StreamingResponse};
use crate::oci::{Descriptor, Digest, Hasher};

/// Bytes that a connection must deliver before the retry budget is reset.
const PROGRESS_BYTES: u64 = 1024 * 1024;

impl Repository {
    /// Returns true if the registry holds a blob
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#checking-if-content-exists-in-the-registry>).
    /// For destinations only: if the registry rejects the request, returns false, so that an upload follows.
    /// Artifactory returns 403 for a missing blob, and other registries do not support HEAD.
    ///
    /// # Errors
    /// If the registry is unreachable or busy, or rejects the credentials.
    pub(crate) async fn blob_exists(&self, digest: &Digest) -> Result<bool, Error> {
        let url = self.url(&format!("blobs/{digest}")).await?;
        let response = self.send(Self::request(Method::HEAD, url, 0)).await?;
        match response.into_success() {
            Ok(_) => Ok(true),
            Err(error) if error.push_can_succeed() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns a reader for a blob. It sends its first request when the first chunk is read.
    #[must_use]
    pub(crate) fn read_blob(&self, blob: &Descriptor) -> BlobReader {
        let budget = self.retry_budget();
        BlobReader {
            repository: self.with_budget(&budget),
            budget,
            interrupted_at: 0,
            blob: blob.clone(),
            body: None,
            received: 0,
            skip: 0,
            held_back: Bytes::new(),
            hasher: Some(Hasher::new(blob.digest.algorithm())),
            secrets: Secrets::default(),
        }
    }

    /// Reads a blob of at most `limit` bytes to its end.
    ///
    /// # Errors
    /// The registry's error response. Content that does not match its descriptor or exceeds `limit`.
    pub async fn get_blob(&self, blob: &Descriptor, limit: u64) -> Result<Bytes, Error> {
        if blob.size > limit {
            return Err(Error::Protocol("the config is larger than any real config"));
        }
        let mut reader = self.read_blob(blob);
        let mut whole = bytes::BytesMut::new();
        while let Some(chunk) = reader.next_chunk().await? {
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }
}

/// Reads a blob. After an interrupted connection, it continues at the first missing byte. It sends a new
/// request to the registry, because the signature in a redirect expires.
///
/// The last chunk is held back until size and digest are verified. Therefore, a caller cannot forward a
/// complete wrong blob.
pub(crate) struct BlobReader {
    repository: Repository,
    blob: Descriptor,
    /// Budget of all requests and interruptions. Progress resets it, so that the number of interruptions of a
    /// large blob is not limited.
    budget: RetryBudget,
    interrupted_at: u64,
    body: Option<StreamingResponse>,
    received: u64,
    /// Number of bytes to skip, if the server does not support ranges.
    skip: u64,
    held_back: Bytes,
    hasher: Option<Hasher>,
    /// Secrets in the request. The name of a redirect host can contain them.
    secrets: Secrets,
}

impl BlobReader {
    /// Number of received bytes.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Continues at the first missing byte, from another repository.
    pub(crate) fn continue_from(&mut self, repository: &Repository) {
        self.budget = repository.retry_budget();
        self.repository = repository.with_budget(&self.budget);
        (self.body, self.interrupted_at, self.skip) = (None, self.received, 0);
    }

    /// Returns the next chunk, or `None` after the last one.
    ///
    /// # Errors
    /// If the blob cannot be read to its end, or does not match its descriptor.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.received == self.blob.size {
                return self.finish();
            }
            if self.body.is_none() {
                match self.open().await {
                    Ok(body) => self.body = Some(body),
                    Err(Error::AuthorizationExpired(_)) if self.budget.wait_after_fault(None).await => {
                        continue;
                    }
                    // The request has used the same budget.
                    Err(error) => {
                        return Err(error.with_attempts(self.budget.attempts(), self.budget.elapsed()));
                    }
                }
            }
            let error = match self.read_chunk().await {
                Ok(chunk) => {
                    let previous = std::mem::replace(&mut self.held_back, chunk);
                    if previous.is_empty() {
                        continue;
                    }
                    return Ok(Some(previous));
                }
                Err(Error::Http(error)) => error,
                Err(error) => return Err(error),
            };
            self.body = None;
            // A slow connection makes progress without end.
            let is_slow = matches!(error.kind, ErrorKind::Slow { .. });
            if !is_slow && self.received - self.interrupted_at >= PROGRESS_BYTES {
                self.budget.reset();
            }
            self.interrupted_at = self.received;
            if !self.budget.wait_after_error(&error).await {
                let (attempts, elapsed) = (self.budget.attempts(), self.budget.elapsed());
                return Err(self
                    .secrets
                    .remove_from_error(http::Error { attempts, elapsed, ..error }.into()));
            }
            tracing::debug!(digest = %self.blob.digest, received = self.received, "resuming a blob");
        }
    }

    /// Reads the next chunk from the connection.
    async fn read_chunk(&mut self) -> Result<Bytes, Error> {
        let body = self.body.as_mut().ok_or(Error::Protocol("a body is read before it is opened"))?;
        let Some(mut chunk) = body.next_chunk().await? else {
            // A regular end before the last byte also is an interruption.
            return Err(http::interrupted_error(body.url()).into());
        };
        if self.skip > 0 {
            let skipped = self.skip.min(chunk.len() as u64);
            self.skip -= skipped;
            chunk = chunk.slice(usize::try_from(skipped).unwrap_or(chunk.len())..);
        }
        self.received = self.received.saturating_add(chunk.len() as u64);
        if self.received > self.blob.size {
            return Err(self.size_mismatch());
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&chunk);
        }
        Ok(chunk)
    }

    async fn open(&mut self) -> Result<StreamingResponse, Error> {
        let url = self.repository.url(&format!("blobs/{}", self.blob.digest)).await?;
        let mut request = Repository::request(Method::GET, url, 0);
        if self.received > 0 {
            request.headers = range_header(self.received);
        }
        let response = self.repository.send_streaming(request).await?;
        match response.received {
            ReceivedResponse::Streaming(body) => {
                self.secrets = response.secrets;
                self.skip = match body.status() {
                    StatusCode::PARTIAL_CONTENT if starts_at(body.headers(), self.received) => 0,
                    StatusCode::PARTIAL_CONTENT => {
                        return Err(Error::Protocol("the range of the blob is not the requested one"));
                    }
                    _ => self.received,
                };
                Ok(body)
            }
            // There are no more bytes: the blob is smaller than its descriptor states.
            ReceivedResponse::Complete(error) if error.status == 416 && self.received > 0 => {
                Err(self.size_mismatch())
            }
            ReceivedResponse::Complete(_) => Err(response.to_error()),
        }
    }

    fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        if let Some(hasher) = self.hasher.take() {
            let actual = hasher.finish();
            if actual != self.blob.digest {
                return Err(Error::DigestMismatch { expected: self.blob.digest.clone(), actual });
            }
        }
        let last = std::mem::take(&mut self.held_back);
        Ok((!last.is_empty()).then_some(last))
    }

    fn size_mismatch(&self) -> Error {
        Error::SizeMismatch {
            digest: self.blob.digest.clone(),
            expected: self.blob.size,
            actual: self.received,
        }
    }
}

fn range_header(from: u64) -> HeaderMap {
    HeaderMap::from_iter([(RANGE, format!("bytes={from}-").parse().expect("digits are a header"))])
}

fn starts_at(headers: &HeaderMap, offset: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.and_then(|text| text.strip_prefix("bytes ")?.split('-').next()?.trim().parse::<u64>().ok())
        == Some(offset)
}
