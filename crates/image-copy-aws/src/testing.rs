//! Clients for tests, with responses from a function.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecr::config::SharedHttpClient;
use aws_smithy_http_client::test_util::infallible_client_fn;
use image_copy::oci;
use serde_json::Value;

use crate::clients::AwsClients;
use crate::retry::RetryPolicy;

/// Policy with pauses of milliseconds.
pub(crate) const FAST_RETRIES: RetryPolicy = RetryPolicy {
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(4),
    max_attempts: 3,
    max_silence: Duration::from_secs(60),
    default_timeout: Duration::from_secs(5),
};

pub(crate) fn clients_over(http: SharedHttpClient) -> AwsClients {
    AwsClients::new(config().into_builder().http_client(http).build(), FAST_RETRIES)
}

/// Returns a repository of the registry at `host`.
pub(crate) fn repository(host: &str) -> oci::Repository {
    oci::Repository::new(host.parse().unwrap(), "acme/app").unwrap()
}

pub(crate) fn config() -> SdkConfig {
    let keys = Credentials::new("AKIDEXAMPLE", "secret-key", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

/// Returns clients whose ECR is `respond`: it gets the name of the call, such as `PutImage`, and its input.
pub(crate) fn clients_with(
    respond: impl Fn(&str, &Value) -> http::Response<String> + Send + Sync + 'static,
) -> AwsClients {
    clients_over(infallible_client_fn(move |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap();
        let name = target.rsplit('.').next().unwrap();
        respond(name, &serde_json::from_slice(request.body().bytes().unwrap()).unwrap())
    }))
}

/// Returns clients of the emulator's ECR in the Region `eu-west-1`.
pub(crate) fn clients_of(ecr: Arc<aws_emulator::Ecr>) -> AwsClients {
    clients_with(move |name, input| match ecr.call("eu-west-1", name, input) {
        Ok(output) => success(&output),
        Err((code, message)) => failure(code, &message),
    })
}

/// Returns clients that send real HTTP requests to `endpoint`.
pub(crate) fn clients_at(endpoint: &str) -> AwsClients {
    AwsClients::new(config().into_builder().endpoint_url(endpoint).build(), FAST_RETRIES)
}

pub(crate) fn success(body: &Value) -> http::Response<String> {
    http::Response::builder().status(200).body(body.to_string()).unwrap()
}

pub(crate) fn failure(code: &str, message: &str) -> http::Response<String> {
    let body = serde_json::json!({"__type": code, "message": message});
    http::Response::builder().status(400).body(body.to_string()).unwrap()
}
