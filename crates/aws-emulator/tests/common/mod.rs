//! Common parts of the tests: a running emulator and a client that uses its proxy.

// Each test file is a crate of its own and uses a part of this.
#![expect(dead_code, reason = "no test file uses all of it")]

use std::time::Duration;

use aws_emulator::Emulator;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

pub(crate) const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const REGISTRY: &str = "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// An emulator, and a client that does not follow redirects.
pub(crate) struct Fixture {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
}

impl Fixture {
    pub(crate) async fn start() -> Self {
        let emulator = Emulator::start().await.unwrap();
        let client = client(&emulator);
        Self { emulator, client }
    }

    /// Creates a request with this `Authorization` header.
    pub(crate) fn request(&self, method: Method, url: &str, authorization: &str) -> RequestBuilder {
        let request = self.client.request(method, url).header("accept", ACCEPT);
        if authorization.is_empty() { request } else { request.header("authorization", authorization) }
    }

    pub(crate) async fn get(&self, url: &str, authorization: &str) -> Response {
        self.request(Method::GET, url, authorization).send().await.unwrap()
    }

    pub(crate) async fn head(&self, url: &str, authorization: &str) -> Response {
        self.request(Method::HEAD, url, authorization).send().await.unwrap()
    }

    /// Calls an API with the Query protocol, and returns the status and the body.
    pub(crate) async fn query(&self, url: &str, authorization: &str, form: &[(&str, &str)]) -> (u16, String) {
        let form: Vec<_> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.request(Method::POST, url, authorization).body(form.join("&"));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Returns a bearer token of Docker Hub.
    pub(crate) async fn hub_token(&self, repository: &str, credentials: Option<(&str, &str)>) -> String {
        let url = format!(
            "https://auth.docker.io/token?service=registry.docker.io&scope=repository:{repository}:pull"
        );
        let authorization = credentials.map(|(user, password)| basic(user, password)).unwrap_or_default();
        let response = self.get(&url, &authorization).await;
        assert_eq!(response.status(), 200);
        let body = body(response).await;
        assert_eq!(body["token"], body["access_token"]);
        assert_eq!(body["expires_in"], 300);
        format!("Bearer {}", body["token"].as_str().unwrap())
    }

    /// Calls an action of ECR in a Region.
    pub(crate) async fn call_in(&self, region: &str, action: &str, input: Value) -> (u16, Value) {
        let credential = format!("ASIAEMULATOREXAMPLE0/20260101/{region}/ecr/aws4_request");
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0");
        self.call_signed(region, action, input, &authorization).await
    }

    pub(crate) async fn call_signed(
        &self,
        region: &str,
        action: &str,
        input: Value,
        authorization: &str,
    ) -> (u16, Value) {
        let url = format!("https://api.ecr.{region}.amazonaws.com/");
        let target = format!("AmazonEC2ContainerRegistry_V20150921.{action}");
        let request = self.request(Method::POST, &url, authorization);
        let request = request.header("x-amz-target", target).body(input.to_string());
        let response = request.send().await.unwrap();
        (response.status().as_u16(), body(response).await)
    }

    /// Calls an action that must succeed.
    pub(crate) async fn call(&self, action: &str, input: Value) -> Value {
        let (status, output) = self.call_in(REGION, action, input).await;
        assert_eq!(status, 200, "{action}: {output}");
        output
    }

    /// Calls an action that must fail, and returns name and message of the error.
    pub(crate) async fn api_error(&self, action: &str, input: Value) -> (String, String) {
        let (status, output) = self.call_in(REGION, action, input).await;
        assert_eq!(status, 400, "{action}: {output}");
        let text = |name: &str| output[name].as_str().unwrap().to_owned();
        (text("__type"), text("message"))
    }

    /// Returns the `Authorization` header for ECR's registry.
    pub(crate) async fn ecr_authorization(&self) -> String {
        let output = self.call("GetAuthorizationToken", json!({})).await;
        let token = output["authorizationData"][0]["authorizationToken"].as_str().unwrap();
        format!("Basic {token}")
    }

    /// Opens an upload session and returns its URL.
    pub(crate) async fn open(&self, repository: &str, authorization: &str) -> String {
        let url = format!("{REGISTRY}/v2/{repository}/blobs/uploads/");
        let response = self.request(Method::POST, &url, authorization).send().await.unwrap();
        assert_eq!(response.status(), 202);
        header(&response, "location")
    }

    /// Uploads a blob in one PUT.
    pub(crate) async fn push(&self, repository: &str, authorization: &str, bytes: &[u8]) -> Response {
        let location = self.open(repository, authorization).await;
        let url = format!("{location}&digest={}", aws_emulator::digest(bytes));
        let request = self.request(Method::PUT, &url, authorization).body(bytes.to_vec());
        request.send().await.unwrap()
    }

    /// Uploads a manifest.
    pub(crate) async fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        authorization: &str,
        (media_type, bytes): (&str, &[u8]),
    ) -> Response {
        let url = format!("{REGISTRY}/v2/{repository}/manifests/{reference}");
        let request = self.request(Method::PUT, &url, authorization).header("content-type", media_type);
        request.body(bytes.to_vec()).send().await.unwrap()
    }
}

/// Access key of the emulator.
pub(crate) const KEY: &str = "ASIAEMULATOREXAMPLE0";

/// Returns the `Authorization` header of a signed call.
pub(crate) fn signed(key: &str, service: &str) -> String {
    let scope = format!("{key}/20260101/{REGION}/{service}/aws4_request");
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0")
}

/// Returns the content of an XML element.
pub(crate) fn element(xml: &str, name: &str) -> String {
    let start = xml.split_once(&format!("<{name}>")).unwrap_or_else(|| panic!("{name} in {xml}")).1;
    start.split_once(&format!("</{name}>")).unwrap().0.to_owned()
}

/// Returns status, code and message of an error in the Query protocol.
pub(crate) fn query_error((status, xml): &(u16, String)) -> (u16, String, String) {
    (*status, element(xml, "Code"), element(xml, "Message"))
}

pub(crate) fn client(emulator: &Emulator) -> Client {
    let ca = reqwest::Certificate::from_pem(emulator.ca_pem().as_bytes()).unwrap();
    Client::builder()
        .proxy(reqwest::Proxy::all(emulator.proxy_url()).unwrap())
        .tls_certs_only([ca])
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap()
}

pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

pub(crate) fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Returns the body as JSON, or as a string if it is no JSON.
pub(crate) async fn body(response: Response) -> Value {
    let text = response.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|_| json!(text))
}

/// Returns status, code and message of a registry's error response.
pub(crate) async fn registry_error(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let body = body(response).await;
    let text = |name: &str| body["errors"][0][name].as_str().unwrap_or_default().to_owned();
    (status, text("code"), text("message"))
}
