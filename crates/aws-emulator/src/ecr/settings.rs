//! Settings of repositories, which `CreateRepository` and creation templates share.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::api::hosts::partition;

use super::error::ApiError;
use super::store::{KmsEncryption, Mutability, RepositoryKey, Settings};

/// Maximum number of tags of a resource
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html>).
const TAG_LIMIT: usize = 50;

/// Parses the settings in the input of `CreateRepository`.
pub(super) fn of_repository(key: &RepositoryKey, input: &Value) -> Result<Settings, ApiError> {
    Ok(Settings {
        mutability: mutability(input)?,
        encryption: encryption(key, &input["encryptionConfiguration"])?,
        scan_on_push: input["imageScanningConfiguration"]["scanOnPush"] == true,
        resource_tags: resource_tags(&input["tags"])?,
        ..Settings::default()
    })
}

/// Parses mode and filters.
pub(super) fn mutability(input: &Value) -> Result<Mutability, ApiError> {
    let filters = input["imageTagMutabilityExclusionFilters"].as_array();
    let filters = filters.map_or(&[][..], Vec::as_slice).iter();
    let filters: Vec<_> =
        filters.filter_map(|filter| filter["filter"].as_str()).map(ToOwned::to_owned).collect();
    let is_filter = |filter: &String| {
        (1..=128).contains(&filter.len())
            && filter.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._*-".contains(&byte))
    };
    if !filters.iter().all(is_filter) {
        return Err(invalid("Invalid parameter at 'imageTagMutabilityExclusionFilters'"));
    }
    if filters.len() > 5 {
        return Err(invalid("At most 5 exclusion filters are allowed"));
    }
    let excludes = |mode: fn(Vec<String>) -> Mutability| {
        if filters.is_empty() {
            return Err(invalid("Exclusion filters are required for this mode"));
        }
        Ok(mode(filters.clone()))
    };
    if !filters.is_empty()
        && matches!(input["imageTagMutability"].as_str(), None | Some("MUTABLE" | "IMMUTABLE"))
    {
        return Err(invalid("Exclusion filters are not allowed for this mode"));
    }
    match input["imageTagMutability"].as_str() {
        None | Some("MUTABLE") => Ok(Mutability::Mutable),
        Some("IMMUTABLE") => Ok(Mutability::Immutable),
        Some("IMMUTABLE_WITH_EXCLUSION") => excludes(Mutability::ImmutableWithExclusion),
        Some("MUTABLE_WITH_EXCLUSION") => excludes(Mutability::MutableWithExclusion),
        Some(_) => Err(invalid("Invalid parameter at 'imageTagMutability'")),
    }
}

/// Adds mode and filters to an output.
pub(super) fn add_mutability(output: &mut Value, mutability: &Mutability) {
    output["imageTagMutability"] = json!(mutability.name());
    let filters = mutability.filters().iter();
    let filters: Vec<_> = filters.map(|filter| json!({"filterType": "WILDCARD", "filter": filter})).collect();
    if !filters.is_empty() {
        output["imageTagMutabilityExclusionFilters"] = json!(filters);
    }
}

/// Parses an encryption configuration
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_EncryptionConfiguration.html>).
pub(super) fn encryption(key: &RepositoryKey, input: &Value) -> Result<Option<KmsEncryption>, ApiError> {
    if input.is_null() {
        return Ok(None);
    }
    let named = input["kmsKey"].as_str();
    let kind = match input["encryptionType"].as_str() {
        Some("AES256") if named.is_some() => {
            return Err(invalid("KMS key cannot be specified for encryption type 'AES256'"));
        }
        Some("AES256") => return Ok(None),
        Some("KMS") => "KMS",
        // Dual-layer encryption exists in GovCloud only
        // (https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html).
        Some("KMS_DSSE") if key.region.starts_with("us-gov-") => "KMS_DSSE",
        _ => return Err(invalid("Invalid parameter at 'encryptionType'")),
    };
    let prefix = format!("arn:{}:kms:{}:", partition(&key.region), key.region);
    let name = match named {
        None => "alias/aws/ecr",
        Some(arn) if arn.starts_with("arn:") && !arn.starts_with(&prefix) => {
            // "The key must exist in the same Region as the repository."
            return Err(ApiError::new("KmsException", format!("Key '{arn}' does not exist")));
        }
        Some(name) => name,
    };
    let arn = match name {
        arn if arn.starts_with("arn:") => arn.to_owned(),
        alias if alias.starts_with("alias/") => format!("{prefix}{}:{alias}", key.account),
        id => format!("{prefix}{}:key/{id}", key.account),
    };
    Ok(Some(KmsEncryption { kind: kind.to_owned(), key: arn }))
}

/// Returns the encryption configuration of a repository.
pub(super) fn encryption_json(settings: &Settings) -> Value {
    match &settings.encryption {
        None => json!({"encryptionType": "AES256"}),
        Some(KmsEncryption { kind, key }) => json!({"encryptionType": kind, "kmsKey": key}),
    }
}

/// Parses the tags of a resource.
pub(super) fn resource_tags(input: &Value) -> Result<BTreeMap<String, String>, ApiError> {
    let list = input.as_array().map_or(&[][..], Vec::as_slice);
    if list.len() > TAG_LIMIT {
        let message = "The list of tags on the repository is over the limit. The maximum number of tags that can \
                       be applied to a repository is 50.";
        return Err(ApiError::new("TooManyTagsException", message));
    }
    let mut tags = BTreeMap::new();
    for tag in list {
        let (key, value) =
            (tag["Key"].as_str().unwrap_or_default(), tag["Value"].as_str().unwrap_or_default());
        let fits = (1..=128).contains(&key.chars().count()) && value.chars().count() <= 256;
        if !fits || key.starts_with("aws:") || tags.insert(key.to_owned(), value.to_owned()).is_some() {
            let message = format!(
                "An invalid parameter has been specified: tag '{key}'. Tag keys can have a maximum character \
                 length of 128 characters, and tag values can have a maximum length of 256 characters."
            );
            return Err(ApiError::new("InvalidTagParameterException", message));
        }
    }
    Ok(tags)
}

/// Returns tags as the API lists them.
pub(super) fn resource_tags_json(tags: &BTreeMap<String, String>) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn invalid(message: &str) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}
