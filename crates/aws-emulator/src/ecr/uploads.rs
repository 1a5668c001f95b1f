//! Upload sessions as users of ECR report them: PATCH returns 201
//! (<https://github.com/regclient/regclient/issues/81>), and a session cannot be rewound
//! (<https://github.com/apple/containerization/issues/790>).

use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use crate::api::Caller;
use crate::blob::{Blob, format_digest};
use crate::body::{Body, BoxError, empty};
use crate::distribution::error_response;
use crate::fault::Effect;
use crate::service::{BoxedResponse, Request, Response, reset_connection, response};

use super::Ecr;
use super::images::is_digest;
use super::store::{Layer, RepositoryKey, State};
use super::templates;

/// Minimum size of all parts except the last, in bytes.
const MIN_PART_SIZE: u64 = 5 * 1024 * 1024;

/// Maximum size of a blob whose content is kept. Of larger blobs, only digest and size are kept.
const KEEP_LIMIT: u64 = 1024 * 1024;

/// An upload session.
pub(super) struct UploadSession {
    key: RepositoryKey,
    hash: Sha256,
    received: u64,
    /// Received content, unless it is too large to keep.
    kept: Option<Vec<Bytes>>,
    /// Size of the first part, which determines the `Range` header of all responses.
    first_part: Option<u64>,
    last_part: u64,
    /// A body was incomplete. Its bytes cannot be removed from the session.
    broken: bool,
}

impl UploadSession {
    fn new(key: RepositoryKey) -> Self {
        Self {
            key,
            hash: Sha256::new(),
            received: 0,
            kept: Some(Vec::new()),
            first_part: None,
            last_part: 0,
            broken: false,
        }
    }

    /// Receives a body. If it is incomplete, the session is broken.
    async fn receive(&mut self, mut body: Body) -> Result<u64, BoxError> {
        let before = self.received;
        while let Some(frame) = body.frame().await {
            let frame = frame.inspect_err(|_| self.broken = true)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            self.hash.update(&data);
            self.received += data.len() as u64;
            match &mut self.kept {
                Some(kept) if self.received <= KEEP_LIMIT => kept.push(data),
                kept => *kept = None,
            }
        }
        let part = self.received - before;
        self.first_part.get_or_insert(part);
        self.last_part = part;
        Ok(part)
    }
}

/// Opens a session, or mounts a blob if the request names one.
pub(super) fn start(state: &mut State, caller: &Caller, key: &RepositoryKey, request: &Request) -> Response {
    if !state.repositories.contains_key(key) && !templates::create_on_push(state, key) {
        // Clients get a closed connection instead of a 404 (https://github.com/moby/moby/issues/24473).
        return reset_connection();
    }
    let host = &request.host;
    if let (Some(digest), Some(from)) = (request.query("mount"), request.query("from"))
        && mount(state, caller, key, request, (&digest, &from))
    {
        let location = format!("https://{host}/v2/{}/blobs/{digest}", key.repository);
        return response(201, &[("location", &location), ("docker-content-digest", &digest)], empty());
    }
    let session = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    state.uploads.insert(session.clone(), UploadSession::new(key.clone()));
    let session_url = session_url(request, key, &session);
    let headers = [("location", session_url.as_str()), ("range", "0-0"), ("docker-upload-uuid", &session)];
    response(202, &headers, empty())
}

/// Returns the absolute URL of a session with its state.
fn session_url(request: &Request, key: &RepositoryKey, session: &str) -> String {
    format!("https://{}/v2/{}/blobs/uploads/{session}?_state=opaque", request.host, key.repository)
}

/// Mounts a blob from another repository if an image there refers to it.
fn mount(
    state: &mut State,
    caller: &Caller,
    key: &RepositoryKey,
    request: &Request,
    (digest, from): (&str, &str),
) -> bool {
    let source_key = RepositoryKey { repository: from.to_owned(), ..key.clone() };
    let is_declined = !state.blob_mounting
        || matches!(request.effect, Some(Effect::DeclineMount))
        || state.authorize(caller, &source_key, "GetDownloadUrlForLayer", &source_key.arn()).is_err();
    if is_declined {
        return false;
    }
    let source_repository =
        state.repositories.get(&source_key).filter(|source_repository| source_repository.refers_to(digest));
    let layer = source_repository.and_then(|source_repository| source_repository.layers.get(digest)).cloned();
    let target = state.repositories.get_mut(key);
    match (layer, target) {
        (Some(layer), Some(target)) => {
            target.layers.insert(digest.to_owned(), layer);
            true
        }
        _ => false,
    }
}

/// Removes a session from the store while a body is received.
fn take_session(
    mut state: MutexGuard<'_, State>,
    key: &RepositoryKey,
    session: &str,
    request: &Request,
) -> Result<UploadSession, BoxedResponse> {
    let unknown = || -> BoxedResponse {
        error_response(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry").into()
    };
    let upload = state.uploads.remove(session).filter(|upload| upload.key == *key);
    let upload = upload.ok_or_else(unknown)?;
    let first = first_byte(request);
    let sends = request.header("content-length") != Some("0");
    // Without Content-Range, a body continues at the end of the session. After an incomplete body, clients
    // start again at 0, which ECR rejects.
    let expected = if upload.broken { Some(first.unwrap_or(0)) } else { first };
    if let Some(first) = expected.filter(|first| sends && *first != upload.received) {
        let message = format!("First byte of the layer part is {first} instead of {}", upload.received);
        state.uploads.insert(session.to_owned(), upload);
        return Err(error_response(416, "BLOB_UPLOAD_INVALID", &message).into());
    }
    if upload.broken {
        return Err(unknown());
    }
    Ok(upload)
}

/// Returns the first byte in `Content-Range: first-last`.
fn first_byte(request: &Request) -> Option<u64> {
    let value = request.header("content-range")?;
    value.trim_start_matches("bytes ").split('-').next()?.parse().ok()
}

/// Receives a part. As in ECR, the status is 201 and `Range` stays at the end of the first part.
pub(super) async fn patch(ecr: &Ecr, key: &RepositoryKey, session: &str, request: Request) -> Response {
    let mut upload = match take_session(ecr.lock(), key, session, &request) {
        Ok(upload) => upload,
        Err(error) => return *error,
    };
    if upload.first_part.is_some() && upload.last_part < MIN_PART_SIZE {
        ecr.lock().uploads.insert(session.to_owned(), upload);
        let message = "Layer parts must be at least 5242880 bytes except the last";
        return error_response(400, "BLOB_UPLOAD_INVALID", message);
    }
    let session_url = session_url(&request, key, session);
    let received = upload.receive(request.body).await;
    let end = upload.first_part.unwrap_or(upload.received).saturating_sub(1);
    ecr.lock().uploads.insert(session.to_owned(), upload);
    if received.is_err() {
        return reset_connection();
    }
    let range = format!("0-{end}");
    let headers = [("location", session_url.as_str()), ("range", &range), ("docker-upload-uuid", session)];
    response(201, &headers, empty())
}

/// Receives the last part and completes the upload.
pub(super) async fn put(ecr: &Ecr, key: &RepositoryKey, session: &str, request: Request) -> Response {
    let digest = request.query("digest").unwrap_or_default();
    let host = request.host.clone();
    let mut upload = match take_session(ecr.lock(), key, session, &request) {
        Ok(upload) => upload,
        Err(error) => return *error,
    };
    if upload.received == 0 && request.header("content-range").is_some() {
        ecr.lock().uploads.insert(session.to_owned(), upload);
        let message = "A monolithic upload must not carry Content-Range";
        return error_response(400, "BLOB_UPLOAD_INVALID", message);
    }
    if upload.receive(request.body).await.is_err() {
        ecr.lock().uploads.insert(session.to_owned(), upload);
        return reset_connection();
    }
    if !is_digest(&digest) {
        let message = "Invalid parameter at 'layerDigest': only sha256 digests are supported";
        return error_response(400, "DIGEST_INVALID", message);
    }
    if upload.received == 0 {
        // EmptyUploadException. Empty blobs cannot be stored (aws/containers-roadmap#1074).
        return error_response(500, "UNKNOWN", "Cannot complete an upload with zero length");
    }
    complete(&ecr.generated_blobs, ecr.lock(), upload, &digest, &host)
}

fn complete(
    generated_blobs: &Arc<crate::blob::GeneratedBlobs>,
    mut state: MutexGuard<'_, State>,
    upload: UploadSession,
    digest: &str,
    host: &str,
) -> Response {
    let actual = format_digest(&upload.hash.finalize());
    if actual != digest && !state.accepts_wrong_digests {
        let message = "None of the provided layer digests match the calculated layer digest";
        return error_response(400, "BLOB_UPLOAD_INVALID", message);
    }
    let Some(repository) = state.repositories.get_mut(&upload.key) else {
        return reset_connection();
    };
    let kept = upload.kept.map(|pieces| Blob::bytes(pieces.concat()));
    let blob = generated_blobs.get(&actual).or(kept);
    let layer = Layer { size: upload.received, actual, blob };
    repository.layers.insert(digest.to_owned(), layer);
    let location = format!("https://{host}/v2/{}/blobs/{digest}", upload.key.repository);
    response(201, &[("location", &location), ("docker-content-digest", digest)], empty())
}

/// Cancels a session.
pub(super) fn cancel(state: &mut State, key: &RepositoryKey, session: &str) -> Response {
    match state.uploads.remove(session).filter(|upload| upload.key == *key) {
        Some(_) => response(204, &[], empty()),
        None => error_response(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"),
    }
}
