//! Secrets Manager: `GetSecretValue`, of every account and Region
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).

mod version;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::service::{Operation, Request, Response, Service};

use super::denials::access_denied;
use super::{Api, ApiError, Caller, Denials, Deny, JsonVersion, hosts};
use version::{CURRENT, Content, Version, describe, select};

static API: Api = Api {
    service: "secretsmanager",
    log_service: "secrets",
    target_prefix: "secretsmanager.",
    hosts: &["secretsmanager", "secretsmanager-fips"],
    dual_stack_hosts: &["secretsmanager", "secretsmanager-fips"],
    json: JsonVersion::V1_1,
};

/// All secrets by ARN.
pub struct Secrets {
    /// Account of the caller.
    account: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    secrets: BTreeMap<String, Secret>,
    denials: Denials,
}

#[derive(Default)]
struct Secret {
    versions: Vec<Version>,
    deleted: bool,
    shared: bool,
    key: KmsKey,
}

/// KMS key of a secret or parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KmsKey {
    /// `aws/secretsmanager` or `aws/ssm`, which other accounts cannot use.
    #[default]
    AwsManaged,
    /// A customer managed key whose policy permits the caller to decrypt.
    CustomerManaged,
    /// A customer managed key that the caller cannot use.
    AccessDenied,
    /// A disabled key.
    Disabled,
}

impl Secrets {
    pub(crate) fn new(account: &str) -> Self {
        Self { account: account.to_owned(), state: Mutex::default() }
    }

    /// Stores a new current version, and returns its ID. The current version becomes the previous one.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a secret with its six random characters.
    pub fn put(&self, arn: &str, value: &str) -> String {
        self.store(arn, Content::Text(value.to_owned()), CURRENT)
    }

    /// Stores a version with a staging label such as `AWSPENDING`, and returns its ID.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a secret with its six random characters.
    pub fn put_staged(&self, arn: &str, stage: &str, value: &str) -> String {
        self.store(arn, Content::Text(value.to_owned()), stage)
    }

    /// Stores a new current version with binary content, and returns its ID.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a secret with its six random characters.
    pub fn put_binary(&self, arn: &str, value: &[u8]) -> String {
        self.store(arn, Content::Binary(value.to_vec()), CURRENT)
    }

    /// Schedules a secret for deletion.
    pub fn delete(&self, arn: &str) {
        self.change(arn, |secret| secret.deleted = true);
    }

    /// Adds a resource policy that permits the caller to read a secret of another account.
    pub fn share(&self, arn: &str) {
        self.change(arn, |secret| secret.shared = true);
    }

    /// Sets the KMS key of a secret.
    pub fn set_key(&self, arn: &str, key: KmsKey) {
        self.change(arn, |secret| secret.key = key);
    }

    /// Denies `secretsmanager:GetSecretValue` on ARNs that match a pattern with `*`.
    pub fn deny(&self, resource: &str) {
        self.lock().denials.add("secretsmanager:GetSecretValue", resource);
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    fn store(&self, arn: &str, content: Content, stage: &str) -> String {
        assert!(is_full_arn(arn), "{arn} is not the ARN of a secret with six characters at its end");
        let version = Version::new(stage, content);
        let id = version.id.clone();
        let mut state = self.lock();
        let secret = state.secrets.entry(arn.to_owned()).or_default();
        if stage == CURRENT {
            secret.versions.iter_mut().for_each(Version::demote);
        }
        for version in &mut secret.versions {
            version.stages.retain(|label| label != stage);
        }
        secret.versions.push(version);
        id
    }

    fn change(&self, arn: &str, change: impl FnOnce(&mut Secret)) {
        change(self.lock().secrets.get_mut(arn).unwrap_or_else(|| panic!("secret {arn} does not exist")));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, region: &str, caller: &Caller, input: &Value) -> Result<Value, ApiError> {
        let state = self.lock();
        let id = input["SecretId"].as_str().filter(|id| !id.is_empty()).ok_or_else(|| {
            let message = "1 validation error detected: Value null at 'secretId' failed to satisfy \
                           constraint: Member must not be null";
            ApiError::new("ValidationException", message)
        })?;
        let found = state.secrets.iter().find(|(arn, _)| self.is_named(arn, id, region));
        // IAM checks a request for a missing secret too. Its resource is then the requested ID.
        let resource = found.map_or(id, |(arn, _)| arn);
        state.denials.check(caller, "secretsmanager:GetSecretValue", resource)?;
        let missing = "Secrets Manager can't find the specified secret.";
        let (arn, secret) = found.ok_or_else(|| ApiError::new("ResourceNotFoundException", missing))?;
        self.check_access(arn, secret, caller)?;
        let version = select(&secret.versions, input["VersionId"].as_str(), input["VersionStage"].as_str())?;
        Ok(describe(arn, version))
    }

    /// Returns true if `id` refers to a secret in this Region: its ARN with or without the six random
    /// characters, or its name in the caller's account.
    fn is_named(&self, arn: &str, id: &str, region: &str) -> bool {
        let here = format!("arn:{}:secretsmanager:{region}:", hosts::partition(region));
        let Some(rest) = arn.strip_prefix(&here) else { return false };
        let partial = &arn[..arn.len() - 7];
        let own = rest.strip_prefix(&format!("{}:secret:", self.account));
        id == arn || id == partial || own.is_some_and(|name| name[..name.len() - 7] == *id)
    }

    /// Checks resource policy, deletion and KMS key.
    fn check_access(&self, arn: &str, secret: &Secret, caller: &Caller) -> Result<(), ApiError> {
        let foreign = arn.split(':').nth(4) != Some(self.account.as_str());
        if foreign && !secret.shared {
            return Err(access_denied(caller, "secretsmanager:GetSecretValue", arn, "resource-based"));
        }
        if secret.deleted {
            let message =
                "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(ApiError::new("InvalidRequestException", message));
        }
        match secret.key {
            KmsKey::AwsManaged if foreign => {
                let message = "You can't access a secret from a different AWS account if you encrypt the \
                               secret with the default KMS service key.";
                Err(ApiError::new("InvalidRequestException", message))
            }
            KmsKey::AwsManaged | KmsKey::CustomerManaged => Ok(()),
            KmsKey::AccessDenied => {
                Err(ApiError::new("AccessDeniedException", "Access to KMS is not allowed"))
            }
            KmsKey::Disabled => {
                let message =
                    "Secrets Manager can't decrypt the protected secret text using the provided KMS key.";
                Err(ApiError::new("DecryptionFailure", message))
            }
        }
    }
}

/// Returns true if an ARN is the ARN of a secret with its six random characters.
fn is_full_arn(arn: &str) -> bool {
    let parts: Vec<_> = arn.splitn(7, ':').collect();
    let ["arn", partition, "secretsmanager", region, account, "secret", name] = parts[..] else {
        return false;
    };
    let end = name.rsplit_once('-').map_or("", |(_, end)| end);
    partition == hosts::partition(region)
        && account.len() == 12
        && name.len() > 7
        && end.len() == 6
        && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Deny for Secrets {
    fn denies(&self, action: &str, resource: &str) -> bool {
        self.lock().denials.contains(action, resource)
    }
}

impl Service for Secrets {
    fn serves(&self, host: &str) -> bool {
        API.region(host).is_some()
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, headers: &HeaderMap) -> Operation {
        API.operation(headers)
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        let execute = |region: &str, caller: &Caller, action: &str, input: &Value| match action {
            "GetSecretValue" => self.get(region, caller, input),
            _ => Err(API.unknown(action)),
        };
        Box::pin(API.respond(&self.account, request, execute))
    }
}
