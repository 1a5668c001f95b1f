//! Secrets Manager: `GetSecretValue`, of every account and Region
//! (<https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html>).

mod version;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::service::{Operation, Request, Response, Service, reset_connection};

use super::denials::denied;
use super::{Api, Caller, Denials, JsonVersion, Refusal, hosts};
use version::{CURRENT, Content, Version, choose, describe};

static API: Api = Api {
    service: "secretsmanager",
    log_service: "secrets",
    target: "secretsmanager.",
    hosts: &["secretsmanager", "secretsmanager-fips"],
    dual_stack_hosts: &["secretsmanager", "secretsmanager-fips"],
    json: JsonVersion::V1_1,
};

/// All secrets, by ARN.
pub struct Secrets {
    /// The account that calls.
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

/// The KMS key that a secret is encrypted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KmsKey {
    /// `aws/secretsmanager`, which no other account can use.
    #[default]
    AwsManaged,
    /// A key of the account's own whose policy lets the caller decrypt.
    CustomerManaged,
    /// A key of the account's own that the caller may not use.
    AccessDenied,
    /// A key that is disabled or gone.
    Disabled,
}

impl Secrets {
    pub(crate) fn new(account: &str) -> Self {
        Self { account: account.to_owned(), state: Mutex::default() }
    }

    /// Stores a new current version, and gives its id. What was current becomes the previous one.
    ///
    /// # Panics
    ///
    /// When the ARN is not that of a secret, with the six characters at its end.
    pub fn put(&self, arn: &str, value: &str) -> String {
        self.store(arn, Content::Text(value.to_owned()), CURRENT)
    }

    /// Stores a version under a staging label of its own, such as `AWSPENDING`.
    ///
    /// # Panics
    ///
    /// When the ARN is not that of a secret.
    pub fn put_staged(&self, arn: &str, stage: &str, value: &str) -> String {
        self.store(arn, Content::Text(value.to_owned()), stage)
    }

    /// Stores a new current version that is no text.
    ///
    /// # Panics
    ///
    /// When the ARN is not that of a secret.
    pub fn put_binary(&self, arn: &str, value: &[u8]) -> String {
        self.store(arn, Content::Binary(value.to_vec()), CURRENT)
    }

    /// Marks a secret for deletion.
    pub fn delete(&self, arn: &str) {
        self.change(arn, |secret| secret.deleted = true);
    }

    /// Gives a secret of another account a resource policy that lets the caller read it.
    pub fn share(&self, arn: &str) {
        self.change(arn, |secret| secret.shared = true);
    }

    /// Decides which key a secret is encrypted with.
    pub fn set_key(&self, arn: &str, key: KmsKey) {
        self.change(arn, |secret| secret.key = key);
    }

    /// Denies `secretsmanager:GetSecretValue` on ARNs that match a pattern with `*`.
    pub fn deny(&self, resource: &str) {
        self.lock().denials.add("secretsmanager:GetSecretValue", resource);
    }

    /// Takes all denials back.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    fn store(&self, arn: &str, content: Content, stage: &str) -> String {
        assert!(is_whole(arn), "{arn} is not the ARN of a secret with six characters at its end");
        let version = Version::new(stage, content);
        let id = version.id.clone();
        let mut state = self.lock();
        let secret = state.secrets.entry(arn.to_owned()).or_default();
        if stage == CURRENT {
            secret.versions.iter_mut().for_each(Version::step_back);
        }
        for version in &mut secret.versions {
            version.stages.retain(|held| held != stage);
        }
        secret.versions.push(version);
        id
    }

    fn change(&self, arn: &str, change: impl FnOnce(&mut Secret)) {
        change(self.lock().secrets.get_mut(arn).unwrap_or_else(|| panic!("no secret {arn} was put")));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, region: &str, caller: &Caller, input: &Value) -> Result<Value, Refusal> {
        let state = self.lock();
        let id = input["SecretId"].as_str().filter(|id| !id.is_empty()).ok_or_else(|| {
            let message = "1 validation error detected: Value null at 'secretId' failed to satisfy \
                           constraint: Member must not be null";
            Refusal::new("ValidationException", message)
        })?;
        let found = state.secrets.iter().find(|(arn, _)| self.is_called(arn, id, region));
        // IAM is asked before the secret is looked for, by the best name there is for it.
        let resource = found.map_or(id, |(arn, _)| arn);
        state.denials.check(caller, "secretsmanager:GetSecretValue", resource)?;
        let missing = "Secrets Manager can't find the specified secret.";
        let (arn, secret) = found.ok_or_else(|| Refusal::new("ResourceNotFoundException", missing))?;
        self.admit(arn, secret, caller)?;
        let version = choose(&secret.versions, input["VersionId"].as_str(), input["VersionStage"].as_str())?;
        Ok(describe(arn, version))
    }

    /// Whether a caller in a Region means a secret: by ARN with or without its six characters, or,
    /// in the caller's account, by name.
    fn is_called(&self, arn: &str, id: &str, region: &str) -> bool {
        let here = format!("arn:{}:secretsmanager:{region}:", hosts::partition(region));
        let Some(rest) = arn.strip_prefix(&here) else { return false };
        let partial = &arn[..arn.len() - 7];
        let own = rest.strip_prefix(&format!("{}:secret:", self.account));
        id == arn || id == partial || own.is_some_and(|name| name[..name.len() - 7] == *id)
    }

    /// What resource policy and key say to this caller.
    fn admit(&self, arn: &str, secret: &Secret, caller: &Caller) -> Result<(), Refusal> {
        let foreign = arn.split(':').nth(4) != Some(self.account.as_str());
        if foreign && !secret.shared {
            return Err(denied(caller, "secretsmanager:GetSecretValue", arn, "resource-based"));
        }
        if secret.deleted {
            let message =
                "You can't perform this operation on the secret because it was marked for deletion.";
            return Err(Refusal::new("InvalidRequestException", message));
        }
        match secret.key {
            KmsKey::AwsManaged if foreign => {
                let message = "You can't access a secret from a different AWS account if you encrypt the \
                               secret with the default KMS service key.";
                Err(Refusal::new("InvalidRequestException", message))
            }
            KmsKey::AwsManaged | KmsKey::CustomerManaged => Ok(()),
            KmsKey::AccessDenied => {
                Err(Refusal::new("AccessDeniedException", "Access to KMS is not allowed"))
            }
            KmsKey::Disabled => {
                let message =
                    "Secrets Manager can't decrypt the protected secret text using the provided KMS key.";
                Err(Refusal::new("DecryptionFailure", message))
            }
        }
    }
}

/// Whether an ARN names a secret in full.
fn is_whole(arn: &str) -> bool {
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

impl Service for Secrets {
    fn serves(&self, host: &str) -> bool {
        API.region(host).is_some()
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, headers: &HeaderMap) -> Operation {
        API.operation(headers)
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let Some(region) = API.region(&request.host) else { return reset_connection() };
            let caller = Caller::of(&request.headers, &self.account, &region);
            let carry_out = |action: &str, input: &Value| match action {
                "GetSecretValue" => self.get(&region, &caller, input),
                _ => Err(API.unknown(action)),
            };
            API.answer(&region, request, carry_out).await
        })
    }
}
