//! The instance metadata service of EC2, version 2, as far as it provides credentials
//! (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html>).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};
use serde_json::json;

use crate::body::{empty, full};
use crate::ids;
use crate::service::{Operation, Request, Response, Service, json_response, response};
use crate::timestamp::iso;

use super::keys::AccessKeys;

/// Lifetime of the credentials.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);

/// Name of the instance's role.
const ROLE: &str = "emulated-instance";

/// An instance with a role.
pub(crate) struct InstanceMetadata {
    keys: Arc<AccessKeys>,
    /// Session token of version 2.
    token: String,
}

impl InstanceMetadata {
    pub(crate) fn new(keys: Arc<AccessKeys>) -> Self {
        Self { keys, token: ids::hex(56) }
    }

    fn respond(&self, request: &Request) -> Response {
        let text = [("content-type", "text/plain")];
        if (&request.method, request.path()) == (&Method::PUT, "/latest/api/token") {
            let Some(seconds) = request.header("x-aws-ec2-metadata-token-ttl-seconds") else {
                return response(400, &text, empty());
            };
            let headers = [text[0], ("x-aws-ec2-metadata-token-ttl-seconds", seconds)];
            return response(200, &headers, full(self.token.clone()));
        }
        if request.header("x-aws-ec2-metadata-token") != Some(self.token.as_str()) {
            return response(401, &text, empty());
        }
        match request.path().strip_prefix("/latest/meta-data/iam/security-credentials/") {
            Some("") => response(200, &text, full(ROLE)),
            Some(ROLE) => {
                let credentials = self.keys.issue(LIFETIME);
                json_response(
                    200,
                    &json!({
                        "Code": "Success",
                        "LastUpdated": iso(SystemTime::now()),
                        "Type": "AWS-HMAC",
                        "AccessKeyId": credentials.access_key_id,
                        "SecretAccessKey": credentials.secret_access_key,
                        "Token": credentials.session_token,
                        "Expiration": iso(credentials.expires_at),
                    }),
                )
            }
            _ => response(404, &text, empty()),
        }
    }
}

impl Service for InstanceMetadata {
    /// The service has a port of its own.
    fn serves(&self, _: &str) -> bool {
        false
    }

    fn operation(&self, _: &str, _: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("instance", "instance:metadata")
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move { self.respond(&request) })
    }
}
