//! The API of ECR: awsJson 1.1, one action per request
//! (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/>).

use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::api::{Caller, now};
use crate::service::{Request, Response};

use super::error::ApiError;
use super::images::{self, NewImage, PutOutcome};
use super::store::{AuthorizationToken, RepositoryKey, State};
use super::{Ecr, describe, hosts, lifecycle, policies, referrers, repositories, scans, templates};

/// Handles a call.
pub(super) async fn serve(ecr: &Ecr, request: Request) -> Response {
    let execute =
        |region: &str, caller: &Caller, action: &str, input: &Value| call(ecr, caller, region, action, input);
    hosts::API.respond(&ecr.account, request, execute).await
}

/// Executes an action.
pub(super) fn call(
    ecr: &Ecr,
    caller: &Caller,
    region: &str,
    action: &str,
    input: &Value,
) -> Result<Value, ApiError> {
    let account = input["registryId"].as_str().unwrap_or(&ecr.account);
    let name = input["repositoryName"].as_str().unwrap_or_default();
    let key = match input["resourceArn"].as_str() {
        Some(arn) => policies::tagged_repository(arn)?,
        None => RepositoryKey::new(account, region, name),
    };
    let resource = match action {
        "GetAuthorizationToken"
        | "DescribeRepositoryCreationTemplates"
        | "CreateRepositoryCreationTemplate" => "*".to_owned(),
        "DescribeRepositories" => hosts::repository_arn(account, region, "*"),
        _ => key.arn(),
    };
    let mut state = ecr.lock();
    state.authorize(caller, &key, action, &resource)?;
    // AWS checks the tags of a new resource as if they were added later
    // (https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates-custom.html).
    if action == "CreateRepository" && input["tags"].as_array().is_some_and(|tags| !tags.is_empty()) {
        state.authorize(caller, &key, "TagResource", &resource)?;
    }
    match action {
        "GetAuthorizationToken" => Ok(authorization_token(ecr, &mut state, region)),
        "BatchCheckLayerAvailability" => check_layer_availability(&mut state, &key, input),
        "GetDownloadUrlForLayer" => get_download_url(&mut state, &key, input),
        "BatchGetImage" => batch_get_image(&mut state, &key, input),
        "PutImage" => put_image(&mut state, &key, input),
        "BatchDeleteImage" => {
            let ids = bounded_list(input, "imageIds", 100)?;
            let (deleted, failures) = images::delete(state.repository(&key)?, ids)?;
            Ok(json!({"imageIds": deleted, "failures": failures}))
        }
        "DescribeImages" => describe::images(&mut state, &key, input),
        "ListImages" => describe::list(&mut state, &key, input),
        "ListImageReferrers" => referrers::list_image_referrers(&mut state, &key, input),
        "DescribeRepositories" => repositories::describe(&state, account, region, input),
        "CreateRepository" => repositories::create(&mut state, &key, input),
        "DeleteRepository" => repositories::delete(&mut state, &key, input),
        "PutImageTagMutability" => repositories::set_mutability(&mut state, &key, input),
        "PutImageScanningConfiguration" => scans::configure(&mut state, &key, input),
        "DescribeImageScanFindings" => scans::describe(&mut state, &key, input),
        "PutLifecyclePolicy" => lifecycle::put(&mut state, &key, input),
        "GetLifecyclePolicy" => lifecycle::get(&mut state, &key),
        "StartLifecyclePolicyPreview" => lifecycle::start_preview(&mut state, &key, input),
        "GetLifecyclePolicyPreview" => lifecycle::get_preview(&mut state, &key, input),
        "SetRepositoryPolicy" => policies::set(&mut state, &key, input),
        "GetRepositoryPolicy" => policies::get(&mut state, &key),
        "TagResource" => policies::tag(&mut state, &key, input),
        "ListTagsForResource" => policies::list_tags(&mut state, &key),
        "CreateRepositoryCreationTemplate" => templates::create(&mut state, account, region, input),
        "DescribeRepositoryCreationTemplates" => templates::describe(&state, account, region, input),
        _ => Err(hosts::API.unknown(action)),
    }
}

/// Returns a list of the input. It must have 1 to `limit` members.
pub(super) fn bounded_list<'a>(
    input: &'a Value,
    name: &str,
    limit: usize,
) -> Result<&'a Vec<Value>, ApiError> {
    let fits = |list: &&Vec<Value>| (1..=limit).contains(&list.len());
    input[name].as_array().filter(fits).ok_or_else(|| {
        let message = format!(
            "Invalid parameter at '{name}' failed to satisfy constraint: 'Member must have length \
             between 1 and {limit}'"
        );
        ApiError::new("InvalidParameterException", message)
    })
}

fn authorization_token(ecr: &Ecr, state: &mut State, region: &str) -> Value {
    // As long as a real token, so that a limit for shorter ones shows in a test.
    let password: String = (0..160).map(|_| format!("{:016x}", fastrand::u64(..))).collect();
    let lifetime = *ecr.token_lifetime.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let issued = AuthorizationToken { region: region.to_owned(), expires_at: Instant::now() + lifetime };
    state.tokens.insert(password.clone(), issued);
    json!({"authorizationData": [{
        "authorizationToken": BASE64_STANDARD.encode(format!("AWS:{password}")),
        "expiresAt": now() + lifetime.as_secs_f64(),
        // Always the caller's own registry (https://github.com/go-to-k/cdkd/issues/760).
        "proxyEndpoint": format!("https://{}", hosts::registry_host(&ecr.account, region)),
    }]})
}

/// Default lifetime of an authorization token.
pub(super) const TOKEN_LIFETIME: Duration = Duration::from_secs(12 * 3600);

fn check_layer_availability(
    state: &mut State,
    key: &RepositoryKey,
    input: &Value,
) -> Result<Value, ApiError> {
    let digests = bounded_list(input, "layerDigests", 100)?;
    let repository = state.repository(key)?;
    let (mut layers, mut failures) = (Vec::new(), Vec::new());
    for digest in digests.iter().filter_map(Value::as_str) {
        if !images::is_digest(digest) {
            let reason = "Invalid request parameters: layer digest should satisfy the regex \
                          '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'";
            failures.push(json!({"layerDigest": digest, "failureCode": "InvalidLayerDigest",
                                 "failureReason": reason}));
            continue;
        }
        layers.push(match repository.layers.get(digest) {
            Some(layer) => json!({"layerDigest": digest, "layerAvailability": "AVAILABLE",
                                  "layerSize": layer.size,
                                  "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}),
            None => json!({"layerDigest": digest, "layerAvailability": "UNAVAILABLE"}),
        });
    }
    Ok(json!({"layers": layers, "failures": failures}))
}

fn get_download_url(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let digest = input["layerDigest"].as_str().unwrap_or_default();
    let repository = state.repository(key)?;
    if !repository.layers.contains_key(digest) {
        let message = format!("The layer with digest '{digest}' does not exist");
        return Err(ApiError::new("LayersNotFoundException", message));
    }
    if !repository.refers_to(digest) {
        let message = format!("The layer with digest '{digest}' is not associated with an image");
        return Err(ApiError::new("LayerInaccessibleException", message));
    }
    Ok(json!({"downloadUrl": super::registry::download_url(key, digest), "layerDigest": digest}))
}

fn batch_get_image(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let ids = bounded_list(input, "imageIds", 100)?;
    let repository = state.repository(key)?;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for id in ids {
        match images::find(repository, id) {
            Err((code, reason)) => failures.push(images::failure(id, code, &reason)),
            Ok(image) => {
                let mut image_id = json!({"imageDigest": image.manifest.digest});
                if let Some(tag) = id.get("imageTag") {
                    image_id["imageTag"] = tag.clone();
                }
                found.push(json!({
                    "registryId": key.account,
                    "repositoryName": key.repository,
                    "imageId": image_id,
                    "imageManifest": String::from_utf8_lossy(&image.manifest.bytes),
                    "imageManifestMediaType": image.manifest.media_type,
                }));
            }
        }
    }
    Ok(json!({"images": found, "failures": failures}))
}

fn put_image(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let manifest = input["imageManifest"].as_str().unwrap_or_default();
    let tag = input["imageTag"].as_str();
    let image = NewImage {
        bytes: manifest.as_bytes(),
        media_type: input["imageManifestMediaType"].as_str(),
        tag,
        digest: input["imageDigest"].as_str(),
    };
    match images::push(state, key, &image)? {
        PutOutcome::Stored(stored) => {
            let mut id = json!({"imageDigest": stored.digest});
            if let Some(tag) = tag {
                id["imageTag"] = json!(tag);
            }
            Ok(json!({"image": {
                "registryId": key.account,
                "repositoryName": key.repository,
                "imageId": id,
                "imageManifest": manifest,
                "imageManifestMediaType": stored.media_type,
            }}))
        }
        PutOutcome::Unchanged(stored) => {
            let tag = tag.map(|tag| format!(" and tag '{tag}'")).unwrap_or_default();
            let message = format!(
                "Image with digest '{}'{tag} already exists in the repository with name '{}' in \
                 registry with id '{}'",
                stored.digest, key.repository, key.account
            );
            Err(ApiError::new("ImageAlreadyExistsException", message))
        }
    }
}
