//! S3: `GetObject` and `PutObject`, of every Region
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html>).

mod location;
mod signature;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Uri};

use crate::api::{Caller, Denials, Deny, access_denied};
use crate::blob::digest;
use crate::body::{full, read};
use crate::fault::Effect;
use crate::ids;
use crate::service::{Operation, Request, Response, Service, response};
use location::Location;

/// Maximum size of an object in bytes, far above what the tests store.
const MAX_OBJECT_BYTES: usize = 64 << 20;

/// All buckets of the caller's account.
pub struct Objects {
    account: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    denials: Denials,
}

struct Bucket {
    region: String,
    objects: BTreeMap<String, Object>,
}

#[derive(Clone)]
struct Object {
    content: Bytes,
    content_type: String,
}

/// An error of S3: status, code and message.
struct ObjectError(u16, &'static str, String);

impl Objects {
    pub(crate) fn new(account: &str) -> Self {
        Self { account: account.to_owned(), state: Mutex::default() }
    }

    /// Creates an empty bucket.
    pub fn create_bucket(&self, region: &str, name: &str) {
        let bucket = Bucket { region: region.to_owned(), objects: BTreeMap::new() };
        self.lock().buckets.insert(name.to_owned(), bucket);
    }

    /// Stores an object.
    ///
    /// # Panics
    ///
    /// Panics if the bucket does not exist.
    pub fn put(&self, bucket: &str, key: &str, content: impl Into<Bytes>) {
        let object = Object { content: content.into(), content_type: "application/octet-stream".into() };
        let mut state = self.lock();
        let found = state.buckets.get_mut(bucket).unwrap_or_else(|| panic!("bucket {bucket} does not exist"));
        found.objects.insert(key.to_owned(), object);
    }

    /// Returns the content of an object.
    pub fn get(&self, bucket: &str, key: &str) -> Option<Bytes> {
        Some(self.lock().buckets.get(bucket)?.objects.get(key)?.content.clone())
    }

    /// Returns the content type of an object.
    pub fn content_type(&self, bucket: &str, key: &str) -> Option<String> {
        Some(self.lock().buckets.get(bucket)?.objects.get(key)?.content_type.clone())
    }

    /// Returns the keys of a bucket in their order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.lock()
            .buckets
            .get(bucket)
            .map(|found| found.objects.keys().cloned().collect())
            .unwrap_or_default()
    }

    /// Deletes an object.
    pub fn remove(&self, bucket: &str, key: &str) {
        if let Some(bucket) = self.lock().buckets.get_mut(bucket) {
            bucket.objects.remove(key);
        }
    }

    /// Denies actions such as `s3:GetObject` on resources. Both are patterns with `*`. Without
    /// `s3:ListBucket` on the bucket, a missing object is an `AccessDenied`.
    pub fn deny(&self, action: &str, resource: &str) {
        self.lock().denials.add(action, resource);
    }

    /// Removes all denials.
    pub fn allow_everything(&self) {
        self.lock().denials.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn respond(&self, request: Request) -> Result<Response, ObjectError> {
        let location = Location::of(&request.host, request.path())
            .ok_or_else(|| ObjectError(400, "InvalidRequest", "The host or the key is missing.".into()))?;
        if let Some(Effect::ApiError { error, message }) = &request.effect {
            return Ok(xml_error(status_of(error), error, message));
        }
        let (method, uri, headers) = (request.method.clone(), request.uri.clone(), request.headers.clone());
        let caller = Caller::of(&headers, &self.account, &location.region);
        let signed = signature::check(&request, &location.region);
        let Ok(body) = read(request.body, MAX_OBJECT_BYTES).await else {
            return Err(ObjectError(400, "RequestTimeout", "The body was not sent to its end.".into()));
        };
        signed?;
        signature::check_body(&headers, &body)?;
        check_query(&uri)?;
        match method {
            Method::GET => self.get_object(&caller, &location),
            Method::PUT => self.put_object(&caller, &location, &headers, body),
            other => Err(ObjectError(
                501,
                "NotImplemented",
                format!("aws-emulator: {other} of an object is not implemented"),
            )),
        }
    }

    fn get_object(&self, caller: &Caller, location: &Location) -> Result<Response, ObjectError> {
        let state = self.lock();
        check_permission(&state.denials, caller, "s3:GetObject", &location.arn())?;
        let bucket = find(&state.buckets, location)?;
        let Some(object) = bucket.objects.get(&location.key) else {
            // Without this permission, S3 does not reveal that the object is missing
            // (https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, section Permissions).
            let bucket = location.bucket_arn();
            if state.denials.contains("s3:ListBucket", &bucket) {
                let error = access_denied(caller, "s3:ListBucket", &bucket, "identity-based");
                return Err(ObjectError(403, "AccessDenied", error.message));
            }
            return Err(ObjectError(404, "NoSuchKey", "The specified key does not exist.".into()));
        };
        let etag = etag(&object.content);
        let headers = [("content-type", object.content_type.as_str()), ("etag", &etag)];
        Ok(response(200, &headers, full(object.content.clone())))
    }

    fn put_object(
        &self,
        caller: &Caller,
        location: &Location,
        headers: &HeaderMap,
        content: Bytes,
    ) -> Result<Response, ObjectError> {
        let mut state = self.lock();
        check_permission(&state.denials, caller, "s3:PutObject", &location.arn())?;
        if !headers.contains_key(http::header::CONTENT_LENGTH) {
            let message = "You must provide the Content-Length HTTP header.";
            return Err(ObjectError(411, "MissingContentLength", message.into()));
        }
        find(&state.buckets, location)?;
        let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("binary/octet-stream").to_owned();
        let etag = etag(&content);
        if let Some(bucket) = state.buckets.get_mut(&location.bucket) {
            bucket.objects.insert(location.key.clone(), Object { content, content_type });
        }
        Ok(response(200, &[("etag", &etag)], full(Bytes::new())))
    }
}

impl Deny for Objects {
    fn denies(&self, action: &str, resource: &str) -> bool {
        self.lock().denials.contains(action, resource)
    }
}

impl Service for Objects {
    fn serves(&self, host: &str) -> bool {
        location::bucket_and_region(host).is_some()
    }

    fn operation(&self, _: &str, method: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        let name = match *method {
            Method::GET => "s3:GetObject",
            Method::PUT => "s3:PutObject",
            _ => "s3:unknown",
        };
        Operation { action: Some(name.to_owned()), ..Operation::new("s3", name) }
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(async move {
            let response = self.respond(request).await;
            response.unwrap_or_else(|ObjectError(status, code, message)| xml_error(status, code, &message))
        })
    }
}

fn find<'a>(buckets: &'a BTreeMap<String, Bucket>, location: &Location) -> Result<&'a Bucket, ObjectError> {
    let bucket = buckets.get(&location.bucket);
    let bucket = bucket
        .ok_or_else(|| ObjectError(404, "NoSuchBucket", "The specified bucket does not exist".into()))?;
    if bucket.region != location.region {
        let message =
            "The bucket you are attempting to access must be addressed using the specified endpoint.";
        return Err(ObjectError(301, "PermanentRedirect", message.into()));
    }
    Ok(bucket)
}

fn check_permission(
    denials: &Denials,
    caller: &Caller,
    action: &str,
    resource: &str,
) -> Result<(), ObjectError> {
    denials.check(caller, action, resource).map_err(|error| ObjectError(403, "AccessDenied", error.message))
}

/// Rejects subresources and other parameters. SDKs add `x-id`, which S3 ignores.
fn check_query(uri: &Uri) -> Result<(), ObjectError> {
    let parameters = uri.query().unwrap_or_default().split('&').filter(|parameter| !parameter.is_empty());
    match parameters.into_iter().find(|parameter| !parameter.starts_with("x-id=")) {
        Some(parameter) => {
            let message = format!("aws-emulator: the parameter {parameter} of an object is not implemented");
            Err(ObjectError(501, "NotImplemented", message))
        }
        None => Ok(()),
    }
}

/// Returns the status of an injected error
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>).
fn status_of(code: &str) -> u16 {
    match code {
        "SlowDown" | "ServiceUnavailable" => 503,
        "InternalError" => 500,
        "NoSuchKey" | "NoSuchBucket" => 404,
        "ExpiredToken" => 400,
        _ => 403,
    }
}

fn etag(content: &[u8]) -> String {
    format!("\"{}\"", &digest(content)["sha256:".len()..][..32])
}

fn xml_error(status: u16, code: &str, message: &str) -> Response {
    let message =
        message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
         <RequestId>{}</RequestId><HostId>{}</HostId></Error>",
        ids::capitals(16),
        ids::hex(40)
    );
    response(status, &[("content-type", "application/xml")], full(body))
}
