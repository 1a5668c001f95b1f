//! The portal of IAM Identity Center: `GetRoleCredentials`, of every Region
//! (<https://docs.aws.amazon.com/singlesignon/latest/PortalAPIReference/API_GetRoleCredentials.html>).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::json;

use crate::api::hosts;
use crate::body::full;
use crate::ids;
use crate::service::{Operation, Request, Response, Service, json_response, response};
use crate::timestamp::since_epoch;

use super::keys::AccessKeys;

/// Lifetime of a role's credentials.
const LIFETIME: Duration = Duration::from_secs(3600);

/// Signed-in users and their roles.
pub struct Sso {
    keys: Arc<AccessKeys>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Access tokens with their expiry times.
    tokens: BTreeMap<String, SystemTime>,
    /// Accounts and names of roles.
    roles: BTreeSet<(String, String)>,
}

impl Sso {
    pub(crate) fn new(keys: Arc<AccessKeys>) -> Self {
        Self { keys, state: Mutex::default() }
    }

    /// Assigns a role of an account to all users.
    pub fn add_role(&self, account: &str, role: &str) {
        self.lock().roles.insert((account.to_owned(), role.to_owned()));
    }

    /// Signs a user in and returns the access token.
    pub fn sign_in(&self, lifetime: Duration) -> String {
        let token = ids::hex(120);
        self.lock().tokens.insert(token.clone(), SystemTime::now() + lifetime);
        token
    }

    /// Signs all users out.
    pub fn sign_out(&self) {
        self.lock().tokens.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get_role_credentials(&self, request: &Request) -> Response {
        let (Some(account), Some(role)) = (request.query("account_id"), request.query("role_name")) else {
            return error(400, "InvalidRequestException", "Invalid request");
        };
        let state = self.lock();
        let token = request.header("x-amz-sso_bearer_token").and_then(|token| state.tokens.get(token));
        if token.is_none_or(|expiry| *expiry <= SystemTime::now()) {
            return error(401, "UnauthorizedException", "Session token not found or invalid");
        }
        if !state.roles.contains(&(account, role)) {
            return error(403, "ForbiddenException", "No access");
        }
        let credentials = self.keys.issue(LIFETIME);
        json_response(
            200,
            &json!({"roleCredentials": {
                "accessKeyId": credentials.access_key_id,
                "secretAccessKey": credentials.secret_access_key,
                "sessionToken": credentials.session_token,
                "expiration": since_epoch(credentials.expires_at).as_millis() as u64,
            }}),
        )
    }
}

fn error(status: u16, name: &str, message: &str) -> Response {
    let headers = [("content-type", "application/json"), ("x-amzn-errortype", name)];
    response(status, &headers, full(json!({"message": message}).to_string()))
}

/// Returns true if the host is the portal.
fn is_portal(host: &str) -> bool {
    let Some((name, region, suffix)) = hosts::split_at_region(host) else { return false };
    name == "portal.sso" && suffix == hosts::partition_of(&region).suffix
}

impl Service for Sso {
    fn serves(&self, host: &str) -> bool {
        is_portal(host)
    }

    fn operation(&self, _: &str, method: &Method, uri: &Uri, _: &HeaderMap) -> Operation {
        let name = match (method, uri.path()) {
            (&Method::GET, "/federation/credentials") => "sso:GetRoleCredentials",
            _ => "sso:unknown",
        };
        Operation::new("sso", name)
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            match request.operation.name.as_str() {
                "sso:GetRoleCredentials" => self.get_role_credentials(&request),
                _ => {
                    let message =
                        format!("aws-emulator: {} {} is not implemented", request.method, request.path());
                    error(404, "UnknownOperationException", &message)
                }
            }
        })
    }
}
