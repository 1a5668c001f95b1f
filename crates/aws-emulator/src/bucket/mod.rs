//! The bucket into which custom resources PUT their responses.
//!
//! It issues pre-signed URLs, checks each PUT as S3 does, and records all requests, also rejected ones.
//! [`ProviderResponse::parse`] checks a response as CloudFormation does.

mod response;
mod url;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Uri};
use tokio::sync::Notify;

pub use response::{ProviderResponse, RequestIds, ResponseError, Status};
pub use url::{SignatureVersion, URL_VALIDITY};
pub(crate) use url::{bucket as bucket_name, decode, encode};

use crate::body::{full, read};
use crate::service::{Operation, Request, Response, Service, response};
use url::PresignedUrl;

/// Maximum bytes of a response that are read. It is far above CloudFormation's limit, so that a test can
/// inspect a response that is too long.
const READ_LIMIT: usize = 1024 * 1024;

/// A request to the bucket.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Time of the request.
    pub at: SystemTime,
    /// Status of the response. 200 means that the object was stored.
    pub status: u16,
    /// Headers of the request.
    pub headers: HeaderMap,
    /// Body of the request.
    pub body: Bytes,
    /// Mistakes of the provider, also those that this URL permits.
    pub defects: Vec<String>,
}

/// The response bucket of one Region.
pub struct ResponseBucket {
    region: String,
    reachable: AtomicBool,
    objects: Mutex<BTreeMap<String, Object>>,
    stored: Notify,
}

/// URLs and uploads of one key.
#[derive(Default)]
struct Object {
    urls: Vec<PresignedUrl>,
    uploads: Vec<Upload>,
}

impl ResponseBucket {
    /// Creates the bucket of a Region. Add it with [`crate::Emulator::add`].
    pub fn new(region: &str) -> Arc<Self> {
        Arc::new(Self {
            region: region.to_owned(),
            reachable: AtomicBool::new(true),
            objects: Mutex::default(),
            stored: Notify::new(),
        })
    }

    /// Returns a pre-signed URL for the response to a request.
    pub fn presign(&self, ids: &RequestIds, signature: SignatureVersion, validity: Duration) -> String {
        let key = ids.object_key();
        let signed = PresignedUrl::new(&self.region, &key, signature, validity);
        let url = signed.url();
        self.lock().entry(key).or_default().urls.push(signed);
        url
    }

    /// Returns all uploads for a request, oldest first, also rejected ones.
    pub fn uploads(&self, ids: &RequestIds) -> Vec<Upload> {
        self.lock().get(&ids.object_key()).map(|object| object.uploads.clone()).unwrap_or_default()
    }

    /// Waits until a request has more than `seen` uploads, and returns all.
    pub async fn wait_for_uploads(&self, ids: &RequestIds, seen: usize) -> Vec<Upload> {
        loop {
            let stored = self.stored.notified();
            let uploads = self.uploads(ids);
            if uploads.len() > seen {
                return uploads;
            }
            stored.await;
        }
    }

    /// Returns the provider's mistakes in all uploads.
    pub fn defects(&self) -> Vec<String> {
        let objects = self.lock();
        let uploads = objects.values().flat_map(|object| &object.uploads);
        uploads.flat_map(|upload| upload.defects.clone()).collect()
    }

    /// Makes connections to the bucket fail, or work again.
    pub fn set_reachable(&self, reachable: bool) {
        self.reachable.store(reachable, Ordering::SeqCst);
    }

    async fn put(&self, request: Request) -> Response {
        let key = decode(request.path().trim_start_matches('/'));
        let result = self.check(&request, &key);
        // The query contains the signature, which is a secret.
        let path = request.path().to_owned();
        request.log_handle.update(|entry| entry.target = path);
        let mut defects = Vec::new();
        if let Some(kind) = content_type(&request.headers) {
            defects.push(format!("{key}: Content-Type {kind:?} is rejected with signature version 2"));
        }
        let headers = request.headers.clone();
        let (result, body) = match read(request.body, READ_LIMIT).await {
            Ok(body) => (result, body),
            Err(error) => {
                defects.push(format!("{key}: body cannot be read: {error}"));
                (Err((400, "RequestTimeout", "The body was not sent to its end.")), Bytes::new())
            }
        };
        let status = result.map_or_else(|(status, _, _)| status, |()| 200);
        let upload = Upload { at: SystemTime::now(), status, headers, body, defects };
        self.lock().entry(key).or_default().uploads.push(upload);
        self.stored.notify_waiters();
        match result {
            Ok(()) => response(200, &[("etag", "\"emulated\"")], full(Bytes::new())),
            Err((status, code, message)) => xml_error(status, code, message),
        }
    }

    /// Checks a request as S3 does before it stores an object.
    fn check(&self, request: &Request, key: &str) -> Result<(), (u16, &'static str, &'static str)> {
        const MISMATCH: (u16, &str, &str) = (
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        );
        let objects = self.lock();
        let query = request.uri.query().unwrap_or_default();
        if !query.contains("Signature=") {
            return Err((403, "AccessDenied", "Access Denied"));
        }
        let urls = objects.get(key).map(|object| object.urls.as_slice()).unwrap_or_default();
        let fits = |url: &&PresignedUrl| url.query == query && url.host == request.host;
        let signed = urls.iter().find(fits).ok_or(MISMATCH)?;
        // Both signature versions cover the method. Only version 2 covers the content type.
        let typed = content_type(&request.headers).is_some();
        if request.method != Method::PUT || (signed.signature == SignatureVersion::V2 && typed) {
            return Err(MISMATCH);
        }
        if SystemTime::now() > signed.expires {
            return Err((403, "AccessDenied", "Request has expired"));
        }
        if !request.headers.contains_key(CONTENT_LENGTH) {
            let message = "You must provide the Content-Length HTTP header.";
            return Err((411, "MissingContentLength", message));
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service for ResponseBucket {
    fn serves(&self, host: &str) -> bool {
        host.starts_with(&format!("{}.s3", bucket_name(&self.region)))
    }

    fn reachable(&self, _host: &str) -> bool {
        self.reachable.load(Ordering::SeqCst)
    }

    fn operation(&self, _: &str, method: &Method, _: &Uri, _: &HeaderMap) -> Operation {
        Operation::new("response", format!("response.{}", method.as_str().to_ascii_lowercase()))
    }

    fn serve(&self, request: Request) -> BoxFuture<'_, Response> {
        Box::pin(self.put(request))
    }
}

fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    (!text.is_empty()).then_some(text)
}

fn xml_error(status: u16, code: &str, message: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    response(status, &[("content-type", "application/xml")], full(body))
}
