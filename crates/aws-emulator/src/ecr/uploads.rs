//! Upload sessions, as users of ECR report them: PATCH is answered 201
//! (<https://github.com/regclient/regclient/issues/81>), and a session cannot be rewound
//! (<https://github.com/apple/containerization/issues/790>).

use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use http_body_util::BodyExt;
use sha2::{Digest, Sha256};

use crate::api::Caller;
use crate::blob::{Blob, written};
use crate::body::{Body, BoxError, empty};
use crate::distribution::refusal;
use crate::fault::Effect;
use crate::service::{BoxedResponse, Request, Response, reset_connection, response};

use super::Ecr;
use super::images::is_digest;
use super::store::{Key, Layer, State};

/// Parts below this size may only be the last.
const PART_MINIMUM: u64 = 5 * 1024 * 1024;

/// Content up to this size is kept; of larger blobs only digest and size are.
const KEEP_LIMIT: u64 = 1024 * 1024;

/// An upload session.
pub(super) struct Upload {
    key: Key,
    hash: Sha256,
    received: u64,
    /// What was received, until it is too much to keep.
    kept: Option<Vec<Bytes>>,
    /// Size of the first part, at which the `Range` header stays.
    first_part: Option<u64>,
    last_part: u64,
    /// A body broke off: the session has bytes that cannot be taken back.
    broken: bool,
}

impl Upload {
    fn new(key: Key) -> Self {
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

    /// Takes a body in; the session is broken when the body is.
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

/// Opens a session, or mounts a blob when that is asked for and allowed.
pub(super) fn start(state: &mut State, caller: &Caller, key: &Key, request: &Request) -> Response {
    if !state.repositories.contains_key(key) {
        // Not a clean 404: clients see the connection end (https://github.com/moby/moby/issues/24473).
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
    state.uploads.insert(session.clone(), Upload::new(key.clone()));
    let location = location(request, key, &session);
    let headers = [("location", location.as_str()), ("range", "0-0"), ("docker-upload-uuid", &session)];
    response(202, &headers, empty())
}

/// Where a session goes on: an absolute URL with a state that must come back.
fn location(request: &Request, key: &Key, session: &str) -> String {
    format!("https://{}/v2/{}/blobs/uploads/{session}?_state=opaque", request.host, key.repository)
}

/// Takes a blob over from another repository, if a committed manifest there holds it.
fn mount(
    state: &mut State,
    caller: &Caller,
    key: &Key,
    request: &Request,
    (digest, from): (&str, &str),
) -> bool {
    let source = Key { repository: from.to_owned(), ..key.clone() };
    let refused = !state.mounting
        || matches!(request.effect, Some(Effect::RefuseMount))
        || state.admit(caller, &source, "GetDownloadUrlForLayer", &source.arn()).is_err();
    if refused {
        return false;
    }
    let held = state.repositories.get(&source).filter(|held| held.refers_to(digest));
    let layer = held.and_then(|held| held.layers.get(digest)).cloned();
    let target = state.repositories.get_mut(key);
    match (layer, target) {
        (Some(layer), Some(target)) => {
            target.layers.insert(digest.to_owned(), layer);
            true
        }
        _ => false,
    }
}

/// Takes a session out of the store for as long as a body comes in.
fn borrow(
    mut state: MutexGuard<'_, State>,
    key: &Key,
    session: &str,
    request: &Request,
) -> Result<Upload, BoxedResponse> {
    let unknown =
        || -> BoxedResponse { refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry").into() };
    let upload = state.uploads.remove(session).filter(|upload| upload.key == *key);
    let upload = upload.ok_or_else(unknown)?;
    let first = first_byte(request);
    let sends = request.header("content-length") != Some("0");
    // Without Content-Range a body continues where the session stands, unless it was broken off:
    // then the client starts over, and ECR does not let it.
    let expected = if upload.broken { Some(first.unwrap_or(0)) } else { first };
    if let Some(first) = expected.filter(|first| sends && *first != upload.received) {
        let message = format!("First byte of the layer part is {first} instead of {}", upload.received);
        state.uploads.insert(session.to_owned(), upload);
        return Err(refusal(416, "BLOB_UPLOAD_INVALID", &message).into());
    }
    if upload.broken {
        return Err(unknown());
    }
    Ok(upload)
}

/// The first byte that `Content-Range: first-last` names.
fn first_byte(request: &Request) -> Option<u64> {
    let value = request.header("content-range")?;
    value.trim_start_matches("bytes ").split('-').next()?.parse().ok()
}

/// Takes a part in. The answer is 201, and `Range` stays at the first part, as ECR has it.
pub(super) async fn patch(ecr: &Ecr, key: &Key, session: &str, request: Request) -> Response {
    let mut upload = match borrow(ecr.lock(), key, session, &request) {
        Ok(upload) => upload,
        Err(refused) => return *refused,
    };
    if upload.first_part.is_some() && upload.last_part < PART_MINIMUM {
        ecr.lock().uploads.insert(session.to_owned(), upload);
        let message = "Layer parts must be at least 5242880 bytes except the last";
        return refusal(400, "BLOB_UPLOAD_INVALID", message);
    }
    let location = location(&request, key, session);
    let received = upload.receive(request.body).await;
    let end = upload.first_part.unwrap_or(upload.received).saturating_sub(1);
    ecr.lock().uploads.insert(session.to_owned(), upload);
    if received.is_err() {
        return reset_connection();
    }
    let range = format!("0-{end}");
    let headers = [("location", location.as_str()), ("range", &range), ("docker-upload-uuid", session)];
    response(201, &headers, empty())
}

/// Takes the rest in and closes the session.
pub(super) async fn put(ecr: &Ecr, key: &Key, session: &str, request: Request) -> Response {
    let digest = request.query("digest").unwrap_or_default();
    let host = request.host.clone();
    let mut upload = match borrow(ecr.lock(), key, session, &request) {
        Ok(upload) => upload,
        Err(refused) => return *refused,
    };
    if upload.received == 0 && request.header("content-range").is_some() {
        ecr.lock().uploads.insert(session.to_owned(), upload);
        let message = "A monolithic upload must not carry Content-Range";
        return refusal(400, "BLOB_UPLOAD_INVALID", message);
    }
    if upload.receive(request.body).await.is_err() {
        ecr.lock().uploads.insert(session.to_owned(), upload);
        return reset_connection();
    }
    if !is_digest(&digest) {
        let message = "Invalid parameter at 'layerDigest': only sha256 digests are supported";
        return refusal(400, "DIGEST_INVALID", message);
    }
    if upload.received == 0 {
        // EmptyUploadException; zero-byte blobs cannot be stored (aws/containers-roadmap#1074).
        return refusal(500, "UNKNOWN", "Cannot complete an upload with zero length");
    }
    close(&ecr.generated_blobs, ecr.lock(), upload, &digest, &host)
}

fn close(
    generated_blobs: &Arc<crate::blob::GeneratedBlobs>,
    mut state: MutexGuard<'_, State>,
    upload: Upload,
    digest: &str,
    host: &str,
) -> Response {
    let actual = written(&upload.hash.finalize());
    if actual != digest && !state.overlooks_wrong_digests {
        let message = "None of the provided layer digests match the calculated layer digest";
        return refusal(400, "BLOB_UPLOAD_INVALID", message);
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

/// Gives a session up.
pub(super) fn cancel(state: &mut State, key: &Key, session: &str) -> Response {
    match state.uploads.remove(session).filter(|upload| upload.key == *key) {
        Some(_) => response(204, &[], empty()),
        None => refusal(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"),
    }
}
