//! Actions on repositories.

use serde_json::{Value, json};

use crate::api::now;

use super::describe::page;
use super::error::ApiError;
use super::hosts;
use super::store::{Mutability, Repository, RepositoryKey, State};

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
    let mutability = mutability(input)?;
    let repository = Repository { mutability, created: now(), ..Repository::default() };
    let output = json!({"repository": detail(key, &repository)});
    state.repositories.insert(key.clone(), repository);
    Ok(output)
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
    repository.mutability = mutability(input)?;
    let mut output = detail(key, repository);
    for name in ["repositoryArn", "repositoryUri", "createdAt", "encryptionConfiguration"] {
        output.as_object_mut().map(|output| output.remove(name));
    }
    Ok(output)
}

/// Parses mode and filters.
fn mutability(input: &Value) -> Result<Mutability, ApiError> {
    let filters = input["imageTagMutabilityExclusionFilters"].as_array();
    let filters = filters.map_or(&[][..], Vec::as_slice).iter();
    let filters: Vec<_> =
        filters.filter_map(|filter| filter["filter"].as_str()).map(ToOwned::to_owned).collect();
    let invalid = |message: &str| ApiError::new("InvalidParameterException", message);
    if filters.len() > 5 {
        return Err(invalid("At most 5 exclusion filters are allowed"));
    }
    let excludes = |mode: fn(Vec<String>) -> Mutability| {
        if filters.is_empty() {
            return Err(invalid("Exclusion filters are required for this mode"));
        }
        Ok(mode(filters.clone()))
    };
    match input["imageTagMutability"].as_str() {
        None | Some("MUTABLE") => Ok(Mutability::Mutable),
        Some("IMMUTABLE") => Ok(Mutability::Immutable),
        Some("IMMUTABLE_WITH_EXCLUSION") => excludes(Mutability::ImmutableWithExclusion),
        Some("MUTABLE_WITH_EXCLUSION") => excludes(Mutability::MutableWithExclusion),
        Some(_) => Err(invalid("Invalid parameter at 'imageTagMutability'")),
    }
}

fn detail(key: &RepositoryKey, repository: &Repository) -> Value {
    let host = hosts::registry_host(&key.account, &key.region);
    let mut detail = json!({
        "registryId": key.account,
        "repositoryName": key.repository,
        "repositoryArn": key.arn(),
        "repositoryUri": format!("{host}/{}", key.repository),
        "createdAt": repository.created,
        "imageTagMutability": repository.mutability.name(),
        "encryptionConfiguration": {"encryptionType": "AES256"},
    });
    let filters = repository.mutability.filters().iter();
    let filters: Vec<_> = filters.map(|filter| json!({"filterType": "WILDCARD", "filter": filter})).collect();
    if !filters.is_empty() {
        detail["imageTagMutabilityExclusionFilters"] = json!(filters);
    }
    detail
}
