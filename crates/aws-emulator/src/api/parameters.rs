//! SSM's Parameter Store: `GetParameter`, of every account and Region
//! (<https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html>).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use crate::service::{Operation, Request, Response, Service};

use super::denials::access_denied;
use super::secrets::KmsKey;
use super::{Api, ApiError, Caller, Denials, Deny, JsonVersion, hosts, now};

static API: Api = Api {
    service: "ssm",
    log_service: "parameters",
    target_prefix: "AmazonSSM.",
    hosts: &["ssm", "ssm-fips"],
    dual_stack_hosts: &["ssm", "ssm-fips"],
    json: JsonVersion::V1_1,
};

/// All parameters by ARN.
pub struct Parameters {
    /// Account of the caller.
    account: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    parameters: BTreeMap<String, Parameter>,
    denials: Denials,
}

struct Parameter {
    is_secure: bool,
    /// Values by version, which starts at 1.
    values: Vec<String>,
    shared: bool,
    key: KmsKey,
    changed: f64,
}

impl Parameters {
    pub(crate) fn new(account: &str) -> Self {
        Self { account: account.to_owned(), state: Mutex::default() }
    }

    /// Stores a new version of a `SecureString`.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a parameter.
    pub fn put(&self, arn: &str, value: &str) {
        self.store(arn, value, true);
    }

    /// Stores a new version of a plain `String`.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a parameter.
    pub fn put_plain(&self, arn: &str, value: &str) {
        self.store(arn, value, false);
    }

    /// Deletes a parameter.
    pub fn delete(&self, arn: &str) {
        self.lock().parameters.remove(arn);
    }

    /// Shares a parameter of another account with the caller.
    ///
    /// # Panics
    ///
    /// Panics if the parameter does not exist.
    pub fn share(&self, arn: &str) {
        self.change(arn, |parameter| parameter.shared = true);
    }

    /// Sets the KMS key of a parameter.
    ///
    /// # Panics
    ///
    /// Panics if the parameter does not exist.
    pub fn set_key(&self, arn: &str, key: KmsKey) {
        self.change(arn, |parameter| parameter.key = key);
    }

    /// Denies `ssm:GetParameter` on ARNs that match a pattern with `*`.
    pub fn deny(&self, resource: &str) {
        self.lock().denials.add("ssm:GetParameter", resource);
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    fn store(&self, arn: &str, value: &str, is_secure: bool) {
        assert!(parameter_name(arn).is_some(), "{arn} is not the ARN of a parameter");
        let mut state = self.lock();
        let parameter = state.parameters.entry(arn.to_owned()).or_insert_with(|| Parameter {
            is_secure,
            values: Vec::new(),
            shared: false,
            key: KmsKey::AwsManaged,
            changed: 0.0,
        });
        parameter.values.push(value.to_owned());
        parameter.is_secure = is_secure;
        parameter.changed = now();
    }

    fn change(&self, arn: &str, change: impl FnOnce(&mut Parameter)) {
        change(
            self.lock().parameters.get_mut(arn).unwrap_or_else(|| panic!("parameter {arn} does not exist")),
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, region: &str, caller: &Caller, input: &Value) -> Result<Value, ApiError> {
        let requested = input["Name"].as_str().unwrap_or_default();
        let (arn, selector) = self.resolve_name(requested, region);
        let state = self.lock();
        state.denials.check(caller, "ssm:GetParameter", &arn)?;
        // The API returns this error without a message.
        let missing = || ApiError::new("ParameterNotFound", "");
        let here = format!("arn:{}:ssm:{region}:", hosts::partition(region));
        let parameter = state.parameters.get(&arn).filter(|_| arn.starts_with(&here)).ok_or_else(missing)?;
        let foreign = arn.split(':').nth(4) != Some(self.account.as_str());
        if foreign && !parameter.shared {
            return Err(access_denied(caller, "ssm:GetParameter", &arn, "resource-based"));
        }
        let newest = parameter.values.len();
        let version = selector.as_ref().map_or(Ok(newest), |selector| selector.parse::<usize>());
        let version = version.ok().filter(|version| (1..=newest).contains(version)).ok_or_else(|| {
            let selector = selector.as_deref().unwrap_or_default();
            let message = format!(
                "Systems Manager could not find version {selector} of {}. Verify the version and try again.",
                parameter_name(&arn).unwrap_or_default()
            );
            ApiError::new("ParameterVersionNotFound", message)
        })?;
        let value = readable_value(parameter, version, input["WithDecryption"] == true, foreign)?;
        let mut found = json!({
            "ARN": arn,
            "DataType": "text",
            "LastModifiedDate": parameter.changed,
            "Name": if requested.starts_with("arn:") { &arn } else { requested.split(':').next().unwrap_or(requested) },
            "Type": if parameter.is_secure { "SecureString" } else { "String" },
            "Value": value,
            "Version": version,
        });
        if let Some(selector) = selector {
            found["Selector"] = json!(format!(":{selector}"));
        }
        Ok(json!({"Parameter": found}))
    }

    /// Returns the ARN and the version that a name or ARN refers to.
    fn resolve_name(&self, requested: &str, region: &str) -> (String, Option<String>) {
        if let Some((head, name)) = requested.split_once(":parameter/") {
            let (name, selector) = split_version(name);
            return (format!("{head}:parameter/{name}"), selector);
        }
        let (name, selector) = split_version(requested);
        let name = name.strip_prefix('/').unwrap_or(name);
        let partition = hosts::partition(region);
        (format!("arn:{partition}:ssm:{region}:{}:parameter/{name}", self.account), selector)
    }
}

/// Splits the version off a name.
fn split_version(name: &str) -> (&str, Option<String>) {
    name.split_once(':').map_or((name, None), |(name, selector)| (name, Some(selector.to_owned())))
}

/// Returns the value of a version, as far as the key permits.
fn readable_value(
    parameter: &Parameter,
    version: usize,
    decrypts: bool,
    foreign: bool,
) -> Result<String, ApiError> {
    let value = &parameter.values[version - 1];
    if !parameter.is_secure {
        return Ok(value.clone());
    }
    if !decrypts {
        return Ok(BASE64_STANDARD.encode(format!("{:064x}", fastrand::u64(..))));
    }
    match parameter.key {
        KmsKey::CustomerManaged => Ok(value.clone()),
        KmsKey::AwsManaged if !foreign => Ok(value.clone()),
        KmsKey::AwsManaged | KmsKey::AccessDenied => {
            let message = "The ciphertext refers to a customer master key that does not exist, does not exist \
                           in this region, or you are not allowed to access. (Service: AWSKMS; Status Code: \
                           400; Error Code: AccessDeniedException)";
            Err(ApiError::new("AccessDeniedException", message))
        }
        KmsKey::Disabled => {
            let message = "The key is disabled. (Service: AWSKMS; Status Code: 400; Error Code: \
                           DisabledException)";
            Err(ApiError::new("InvalidKeyId", message))
        }
    }
}

/// Returns the name in a parameter's ARN.
fn parameter_name(arn: &str) -> Option<&str> {
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let ["arn", partition, "ssm", region, account, resource] = parts[..] else {
        return None;
    };
    let name = resource.strip_prefix("parameter/").filter(|name| !name.is_empty())?;
    (partition == hosts::partition(region) && account.len() == 12).then_some(name)
}

impl Deny for Parameters {
    fn denies(&self, action: &str, resource: &str) -> bool {
        self.lock().denials.contains(action, resource)
    }
}

impl Service for Parameters {
    fn serves(&self, host: &str) -> bool {
        API.region(host).is_some()
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, headers: &HeaderMap) -> Operation {
        API.operation(headers)
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        let execute = |region: &str, caller: &Caller, action: &str, input: &Value| match action {
            "GetParameter" => self.get(region, caller, input),
            _ => Err(API.unknown(action)),
        };
        Box::pin(API.respond(&self.account, request, execute))
    }
}
