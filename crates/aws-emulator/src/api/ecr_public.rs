//! The API of ECR Public: `GetAuthorizationToken`, in us-east-1 only
//! (<https://docs.aws.amazon.com/AmazonECRPublic/latest/APIReference/API_GetAuthorizationToken.html>).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::{Value, json};

use crate::service::{Operation, Request, Response, Service};
use crate::upstream::Registry;

use super::{Api, ApiError, Caller, Denials, Deny, JsonVersion, now};

static API: Api = Api {
    service: "ecr-public",
    log_service: "ecr-public-api",
    target_prefix: "SpencerFrontendService.",
    hosts: &["api.ecr-public"],
    dual_stack_hosts: &["ecr-public"],
    json: JsonVersion::V1_1,
};

/// User name of all ECR authorization tokens.
const USER: &str = "AWS";

/// Regions with this API.
const REGIONS: [&str; 2] = ["us-east-1", "us-west-2"];

/// The API that issues authorization tokens for `public.ecr.aws`.
pub struct EcrPublic {
    /// Account of the caller.
    account: String,
    registry: Arc<Registry>,
    denials: Mutex<Denials>,
    lifetime: Mutex<Duration>,
}

impl EcrPublic {
    pub(crate) fn new(account: &str, registry: Arc<Registry>) -> Self {
        let lifetime = Mutex::new(Duration::from_secs(12 * 3600));
        Self { account: account.to_owned(), registry, denials: Mutex::default(), lifetime }
    }

    /// Denies `ecr-public:GetAuthorizationToken`, or `sts:GetServiceBearerToken`, which the action also
    /// needs.
    pub fn deny(&self, action: &str) {
        self.denials().add(action, "*");
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        self.denials().clear();
    }

    /// Sets the lifetime of new authorization tokens.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner) = lifetime;
    }

    fn denials(&self) -> MutexGuard<'_, Denials> {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn authorization_token(&self, region: &str, caller: &Caller) -> Result<Value, ApiError> {
        if region != "us-east-1" {
            let message = "The action isn't supported in this Region.";
            return Err(ApiError::new("UnsupportedCommandException", message));
        }
        for action in ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"] {
            self.denials().check(caller, action, "*")?;
        }
        // As long as a real token, so that a limit for shorter ones shows in a test.
        let password: String = (0..160).map(|_| format!("{:016x}", fastrand::u64(..))).collect();
        let lifetime = *self.lifetime.lock().unwrap_or_else(PoisonError::into_inner);
        self.registry.add_password(USER, &password, lifetime);
        Ok(json!({"authorizationData": {
            "authorizationToken": BASE64_STANDARD.encode(format!("{USER}:{password}")),
            "expiresAt": now() + lifetime.as_secs_f64(),
        }}))
    }
}

impl Deny for EcrPublic {
    fn denies(&self, action: &str, resource: &str) -> bool {
        self.denials().contains(action, resource)
    }
}

impl Service for EcrPublic {
    fn serves(&self, host: &str) -> bool {
        API.region(host).is_some_and(|region| REGIONS.contains(&region.as_str()))
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, headers: &HeaderMap) -> Operation {
        API.operation(headers)
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        let execute = |region: &str, caller: &Caller, action: &str, _: &Value| match action {
            "GetAuthorizationToken" => self.authorization_token(region, caller),
            _ => Err(API.unknown(action)),
        };
        Box::pin(API.respond(&self.account, request, execute))
    }
}
