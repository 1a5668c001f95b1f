//! The registry that OCI clients use.

use std::time::Instant;

use http::Method;
use serde_json::json;

use crate::api::Caller;
use crate::body::{empty, full, read};
use crate::distribution::{Route, error_response, tag_page};
use crate::fault::Effect;
use crate::service::{BoxedResponse, Request, Response, response};
use crate::upstream::{
    RangeSupport, accepts, basic_credentials, blob_response, is_signed, manifest_response,
    reject_credentials, sign,
};

use super::error::ApiError;
use super::images::{self, NewImage};
use super::store::{RepositoryKey, State};
use super::validation::MANIFEST_LIMIT;
use super::{Ecr, hosts, pull_through, referrers, uploads};

/// Secret of the signatures of download URLs.
const SIGNING_SECRET: u64 = 0x00c0_ffee;

/// Returns the IAM actions that a request needs
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>).
pub(super) fn actions(route: &Route, method: &Method) -> &'static [&'static str] {
    match route.operation(method) {
        "blob.head" => &["BatchCheckLayerAvailability"],
        "blob.get" => &["GetDownloadUrlForLayer"],
        "manifest.head" | "manifest.get" | "referrers" => &["BatchGetImage"],
        "manifest.put" => &["PutImage"],
        "manifest.delete" => &["BatchDeleteImage"],
        "upload.start" => &["InitiateLayerUpload"],
        "upload.patch" => &["UploadLayerPart"],
        "upload.put" => &["UploadLayerPart", "CompleteLayerUpload"],
        "tags.list" => &["ListImages"],
        _ => &[],
    }
}

/// Handles a request to an account's registry.
pub(super) async fn serve(ecr: &Ecr, account: &str, region: &str, request: Request) -> Response {
    let route = Route::parse(request.path());
    if let Err(error) = authenticate(&mut ecr.lock(), region, &request) {
        return *error;
    }
    let Some(repository) = route.repository() else {
        return match route {
            Route::Ping => response(200, &[("docker-distribution-api-version", "registry/2.0")], empty()),
            _ => unsupported(&request),
        };
    };
    let key = RepositoryKey::new(account, region, repository);
    let caller = Caller::of(&request.headers, &ecr.account, region);
    for action in actions(&route, &request.method) {
        if let Err(error) = ecr.lock().authorize(&caller, &key, action, &key.arn()) {
            return error.registry_response(request.method == Method::HEAD);
        }
    }
    match (&route, request.method.as_str()) {
        (Route::Uploads { .. }, "POST") => uploads::start(&mut ecr.lock(), &caller, &key, &request),
        (Route::Upload { session, .. }, "PATCH") => uploads::patch(ecr, &key, session, request).await,
        (Route::Upload { session, .. }, "PUT") => uploads::put(ecr, &key, session, request).await,
        (Route::Upload { session, .. }, "DELETE") => uploads::cancel(&mut ecr.lock(), &key, session),
        (Route::Manifest { reference, .. }, "PUT") => put(ecr, &key, reference, request).await,
        _ => {
            if let (Route::Manifest { reference, .. }, "GET" | "HEAD") = (&route, request.method.as_str())
                && let Err(error) = pull_through::copy_from_upstream(ecr, &caller, &key, reference).await
            {
                return error.registry_response(request.method == Method::HEAD);
            }
            let result = serve_without_body(&mut ecr.lock(), &key, &route, &request);
            result.unwrap_or_else(|error| error.registry_response(request.method == Method::HEAD))
        }
    }
}

/// Handles the requests without a body.
fn serve_without_body(
    state: &mut State,
    key: &RepositoryKey,
    route: &Route,
    request: &Request,
) -> Result<Response, ApiError> {
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    match route {
        Route::Manifest { reference, .. } if reads => manifest(state, key, reference, request),
        Route::Manifest { reference, .. } if request.method == Method::DELETE => {
            delete(state, key, reference)
        }
        Route::Blob { digest, .. } if reads => blob(state, key, digest, request),
        Route::Tags { .. } if reads => tags(state, key, request),
        Route::Referrers { digest, .. } if reads => referrers::serve(state, key, digest, request),
        _ => Ok(unsupported(request)),
    }
}

fn unsupported(request: &Request) -> Response {
    let message = format!("aws-emulator: {} {} is not implemented", request.method, request.path());
    error_response(405, "UNSUPPORTED", &message)
}

/// Checks the authorization token of a request.
fn authenticate(state: &mut State, region: &str, request: &Request) -> Result<(), BoxedResponse> {
    let is_head = request.method == Method::HEAD;
    let known = basic_credentials(request)
        .filter(|(user, _)| user == "AWS")
        .and_then(|(_, password)| state.tokens.get_mut(&password))
        .filter(|token| token.region == region);
    let Some(token) = known else {
        let realm = format!("Basic realm=\"https://{}/\",service=\"ecr.amazonaws.com\"", request.host);
        return Err(response(401, &[("www-authenticate", &realm)], full("Not Authorized\n")).into());
    };
    if matches!(request.effect, Some(Effect::ExpireToken)) {
        token.expires_at = Instant::now();
    }
    if token.expires_at <= Instant::now() {
        let message = "Your authorization token has expired. Reauthenticate and try again.";
        let error =
            if is_head { response(403, &[], empty()) } else { error_response(403, "DENIED", message) };
        return Err(error.into());
    }
    Ok(())
}

fn manifest(
    state: &mut State,
    key: &RepositoryKey,
    reference: &str,
    request: &Request,
) -> Result<Response, ApiError> {
    let Some(image) = state.repository(key)?.image(reference) else {
        return Err(ApiError::new("ImageNotFoundException", "Requested image not found"));
    };
    if !reference.contains(':') && !accepts(&request.headers, &image.manifest.media_type) {
        let message = "aws-emulator: conversion to a media type in Accept is not implemented";
        return Ok(error_response(406, "UNSUPPORTED", message));
    }
    Ok(manifest_response(&image.manifest, &request.method))
}

async fn put(ecr: &Ecr, key: &RepositoryKey, reference: &str, request: Request) -> Response {
    let media_type = request.header("content-type").map(ToOwned::to_owned);
    let Ok(bytes) = read(request.body, MANIFEST_LIMIT).await else {
        return ApiError::invalid_manifest("Member must have length less than or equal to 4194304")
            .registry_response(false);
    };
    let (tag, digest) =
        if reference.contains(':') { (None, Some(reference)) } else { (Some(reference), None) };
    let image = NewImage { bytes: &bytes, media_type: media_type.as_deref(), tag, digest };
    match images::push(&mut ecr.lock(), key, &image) {
        Ok(outcome) => {
            let digest = &outcome.manifest().digest;
            let location = format!("https://{}/v2/{}/manifests/{digest}", request.host, key.repository);
            response(201, &[("location", &location), ("docker-content-digest", digest)], empty())
        }
        Err(error) => error.registry_response(false),
    }
}

fn delete(state: &mut State, key: &RepositoryKey, reference: &str) -> Result<Response, ApiError> {
    let name = if reference.contains(':') { "imageDigest" } else { "imageTag" };
    let (_, failures) = images::delete(state.repository(key)?, &[json!({name: reference})])?;
    let Some(failure) = failures.first() else {
        return Ok(response(202, &[], empty()));
    };
    let reason = failure["failureReason"].as_str().unwrap_or_default();
    match failure["failureCode"].as_str() {
        Some("ImageNotFound") => Err(ApiError::new("ImageNotFoundException", reason)),
        _ => Ok(error_response(400, "DENIED", reason)),
    }
}

fn blob(
    state: &mut State,
    key: &RepositoryKey,
    digest: &str,
    request: &Request,
) -> Result<Response, ApiError> {
    let repository = state.repository(key)?;
    let unknown = error_response(404, "BLOB_UNKNOWN", "blob unknown to registry");
    let Some(layer) = repository.layers.get(digest) else {
        return Ok(unknown);
    };
    if request.method == Method::HEAD {
        let size = layer.size.to_string();
        let headers = [("content-length", size.as_str()), ("docker-content-digest", digest)];
        return Ok(response(200, &headers, empty()));
    }
    if !repository.refers_to(digest) {
        // LayerInaccessibleException: a layer can be downloaded only if an image refers to it.
        return Ok(unknown);
    }
    let location = download_url(key, digest);
    Ok(response(307, &[("location", &location)], empty()))
}

/// Returns a signed download URL of a layer.
pub(super) fn download_url(key: &RepositoryKey, digest: &str) -> String {
    let path = format!("/{}/{}/{digest}", key.account, key.repository);
    format!("https://{}{}", hosts::layer_host(&key.region), sign(&path, SIGNING_SECRET))
}

/// Handles a request to the bucket with layers.
pub(super) fn serve_layer(ecr: &Ecr, region: &str, request: &Request) -> Response {
    if let Some(error) = reject_credentials(request) {
        return error;
    }
    let xml = |code: &str, message: &str| {
        full(format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
    };
    if !is_signed(request, SIGNING_SECRET) {
        return response(
            403,
            &[("content-type", "application/xml")],
            xml("AccessDenied", "Request has expired"),
        );
    }
    let parts = request.path().trim_start_matches('/').split_once('/');
    let named = parts.and_then(|(account, rest)| {
        let (repository, digest) = rest.rsplit_once('/')?;
        Some((RepositoryKey::new(account, region, repository), digest))
    });
    let state = ecr.lock();
    let layer = named.and_then(|(key, digest)| state.repositories.get(&key)?.layers.get(digest));
    match layer.map(|layer| &layer.blob) {
        Some(Some(blob)) => blob_response(blob, request, RangeSupport::Honoured),
        Some(None) => {
            let message = "aws-emulator: the content of this blob was too large to keep";
            response(501, &[("content-type", "application/xml")], xml("NotImplemented", message))
        }
        None => response(404, &[("content-type", "application/xml")], xml("NoSuchKey", "no such key")),
    }
}

fn tags(state: &mut State, key: &RepositoryKey, request: &Request) -> Result<Response, ApiError> {
    let count = request.query("n").map(|count| count.parse::<usize>().unwrap_or(usize::MAX));
    if count.is_some_and(|count| count > 1000) {
        let message = "Invalid parameter at 'maxResults' failed to satisfy constraint: \
                       'Member must have value less than or equal to 1000'";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let tags = state.repository(key)?.tags.keys().cloned().collect();
    Ok(tag_page(tags, &key.repository, count, request.query("last")))
}
