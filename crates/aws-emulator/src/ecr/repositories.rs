//! Actions on repositories.

use serde_json::{Value, json};

use crate::api::now;

use super::describe::page;
use super::error::ApiError;
use super::store::{Repository, RepositoryKey, State};
use super::{hosts, settings};

/// Default quota of repositories in an account and Region
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html>).
const REPOSITORY_QUOTA: usize = 100_000;

/// Handles `DescribeRepositories`.
pub(super) fn describe(state: &State, account: &str, region: &str, input: &Value) -> Result<Value, ApiError> {
    if let Some(names) = input["repositoryNames"].as_array() {
        let mut found = Vec::new();
        for name in names.iter().filter_map(Value::as_str) {
            let key = RepositoryKey::new(account, region, name);
            let repository = state.repositories.get(&key).ok_or_else(|| missing(&key))?;
            found.push(detail(&key, repository));
        }
        return Ok(json!({"repositories": found}));
    }
    let own = state.repositories.iter();
    let own = own.filter(|(key, _)| key.account == account && key.region == region);
    let all = own.map(|(key, repository)| detail(key, repository)).collect();
    Ok(page(all, input, "repositories"))
}

fn missing(key: &RepositoryKey) -> ApiError {
    let message = format!(
        "The repository with name '{}' does not exist in the registry with id '{}'",
        key.repository, key.account
    );
    ApiError::new("RepositoryNotFoundException", message)
}

/// Handles `CreateRepository`.
pub(super) fn create(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    if state.repositories.contains_key(key) {
        let message = format!(
            "The repository with name '{}' already exists in the registry with id '{}'",
            key.repository, key.account
        );
        return Err(ApiError::new("RepositoryAlreadyExistsException", message));
    }
    if !is_name(&key.repository) {
        let message = "Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular \
                       expression '(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*''";
        return Err(ApiError::new("InvalidParameterException", message));
    }
    let own = state.repositories.keys().filter(|own| own.account == key.account && own.region == key.region);
    if own.count() >= state.repository_quota.unwrap_or(REPOSITORY_QUOTA) {
        let message = "The operation did not succeed because it would have exceeded a service limit for your \
                       account.";
        return Err(ApiError::new("LimitExceededException", message));
    }
    let settings = settings::of_repository(key, input)?;
    let repository = Repository { settings, created: now(), ..Repository::default() };
    let output = json!({"repository": detail(key, &repository)});
    state.repositories.insert(key.clone(), repository);
    Ok(output)
}

/// Returns true for a valid name: 2 to 256 characters, in components of lower-case letters and digits with
/// single separators (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html>).
fn is_name(name: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (2..=256).contains(&name.len()) && name.split('/').all(|part| part.split(['.', '_', '-']).all(word))
}

/// Handles `DeleteRepository`.
pub(super) fn delete(state: &mut State, key: &RepositoryKey, input: &Value) -> Result<Value, ApiError> {
    let repository = state.repository(key)?;
    if !repository.images.is_empty() && input["force"] != true {
        let message = format!(
            "The repository with name '{}' in registry with id '{}' cannot be deleted because it \
             still contains images",
            key.repository, key.account
        );
        return Err(ApiError::new("RepositoryNotEmptyException", message));
    }
    let output = json!({"repository": detail(key, repository)});
    state.repositories.remove(key);
    Ok(output)
}

/// Handles `PutImageTagMutability`.
pub(super) fn set_mutability(
    state: &mut State,
    key: &RepositoryKey,
    input: &Value,
) -> Result<Value, ApiError> {
    let repository = state.repository(key)?;
    repository.settings.mutability = settings::mutability(input)?;
    let mut output = detail(key, repository);
    for name in [
        "repositoryArn",
        "repositoryUri",
        "createdAt",
        "encryptionConfiguration",
        "imageScanningConfiguration",
    ] {
        output.as_object_mut().map(|output| output.remove(name));
    }
    Ok(output)
}

fn detail(key: &RepositoryKey, repository: &Repository) -> Value {
    let host = hosts::registry_host(&key.account, &key.region);
    let mut detail = json!({
        "registryId": key.account,
        "repositoryName": key.repository,
        "repositoryArn": key.arn(),
        "repositoryUri": format!("{host}/{}", key.repository),
        "createdAt": repository.created,
        "imageScanningConfiguration": {"scanOnPush": repository.settings.scan_on_push},
        "encryptionConfiguration": settings::encryption_json(&repository.settings),
    });
    settings::add_mutability(&mut detail, &repository.settings.mutability);
    detail
}
