//! The endpoint from which a container gets its credentials
//! (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html>).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::json;

use crate::ids;
use crate::service::{Operation, Request, Response, Service, json_response};
use crate::timestamp::iso;

use super::keys::AccessKeys;

/// Lifetime of the credentials.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A container's endpoint, as of an agent on the same machine.
pub struct ContainerCredentials {
    /// Value of `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub url: String,
    /// Value of `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub token: String,
}

/// Serves the endpoint.
pub(crate) struct Endpoint {
    keys: Arc<AccessKeys>,
    token: String,
}

impl Endpoint {
    pub(crate) const PATH: &str = "/v1/credentials";

    pub(crate) fn new(keys: Arc<AccessKeys>) -> Self {
        Self { keys, token: ids::hex(40) }
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    fn respond(&self, request: &Request) -> Response {
        let error = |status, code: &str, message: &str| {
            json_response(status, &json!({"Code": code, "Message": message}))
        };
        if (&request.method, request.path()) != (&Method::GET, Self::PATH) {
            let message = format!("aws-emulator: {} {} is not implemented", request.method, request.path());
            return error(404, "NotFound", &message);
        }
        if request.header("authorization") != Some(self.token.as_str()) {
            return error(401, "AccessDenied", "the authorization token is missing or invalid");
        }
        let credentials = self.keys.issue(LIFETIME);
        json_response(
            200,
            &json!({
                "AccessKeyId": credentials.access_key_id,
                "SecretAccessKey": credentials.secret_access_key,
                "Token": credentials.session_token,
                "Expiration": iso(credentials.expires_at),
            }),
        )
    }
}

impl Service for Endpoint {
    /// The endpoint has a port of its own.
    fn serves(&self, _: &str) -> bool {
        false
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("container", "container:credentials")
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.respond(&request) })
    }
}
