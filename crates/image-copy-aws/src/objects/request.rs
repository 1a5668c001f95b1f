//! URLs and signatures of requests to S3.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_ecr::config::http::HttpRequest;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http::label::{EncodingStrategy, fmt_string};
use aws_smithy_types::body::SdkBody;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;

use super::ObjectLocation;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Address of S3.
#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    /// Host of the Region. The host of a bucket is a subdomain.
    Region(String),
    /// URL of the setting `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, without the final slash. Such a server
    /// seldom has host names for buckets.
    Custom(String),
}

impl Endpoint {
    /// Returns the endpoint of the settings, or else `host`. Follows the order of the AWS SDKs
    /// (<https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>).
    pub(super) fn new(config: &SdkConfig, host: String) -> Self {
        let key = ServiceConfigKey::builder()
            .service_id("S3")
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build();
        let of_service = || config.service_config()?.load_config(key.ok()?);
        let url = match config.get_origin("endpoint_url").is_client_config() {
            true => config.endpoint_url().map(ToOwned::to_owned),
            false => of_service().or_else(|| config.endpoint_url().map(ToOwned::to_owned)),
        };
        match url {
            Some(url) => Self::Custom(url.trim_end_matches('/').to_owned()),
            None => Self::Region(host),
        }
    }

    /// Returns the host, with its port if it has one.
    pub(super) fn host(&self) -> String {
        let host = match self {
            Self::Region(host) => host,
            Self::Custom(url) => url.split_once("://").map_or(url.as_str(), |(_, rest)| rest),
        };
        let host = host.split('/').next().unwrap_or_default();
        host.rsplit('@').next().unwrap_or_default().to_owned()
    }

    /// Returns the URL of an object. All bytes of the key except unreserved ones and `/` are encoded
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>). The certificate of
    /// `*.s3.<Region>` does not cover a bucket with a dot
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>).
    pub(super) fn url(&self, location: &ObjectLocation) -> String {
        let bucket = &location.bucket;
        let key = fmt_string(&location.key, EncodingStrategy::Greedy);
        match self {
            Self::Custom(url) => format!("{url}/{bucket}/{key}"),
            Self::Region(host) if bucket.contains('.') => format!("https://{host}/{bucket}/{key}"),
            Self::Region(host) => format!("https://{bucket}.{host}/{key}"),
        }
    }
}

/// A call for one object.
pub(super) struct ObjectRequest<'a> {
    pub(super) method: &'static str,
    pub(super) location: &'a ObjectLocation,
    pub(super) content_type: Option<&'a str>,
    pub(super) body: Bytes,
    /// Maximum size of the response's body in bytes.
    pub(super) limit: u64,
}

impl ObjectRequest<'_> {
    /// Returns the request with its signature. S3 signs the path as it is sent, and the digest of the body
    /// (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>).
    pub(super) fn signed(
        &self,
        url: &str,
        credentials: Credentials,
        region: &str,
        time: SystemTime,
    ) -> Result<HttpRequest, BoxError> {
        if !self.location.is_valid() {
            return Err("the name of the bucket or the key is invalid".into());
        }
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("s3")
            .time(time)
            .settings(settings)
            .build()?
            .into();
        let content_type = self.content_type.map(|value| ("content-type", value));
        let body = SignableBody::Bytes(&self.body);
        let signable = SignableRequest::new(self.method, url, content_type.into_iter(), body)?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();

        let mut request = HttpRequest::new(SdkBody::from(self.body.clone()));
        request.set_method(self.method)?;
        request.set_uri(url)?;
        let headers = request.headers_mut();
        for (name, value) in content_type.into_iter().chain(instructions.headers()) {
            headers.try_insert(name.to_owned(), value.to_owned())?;
        }
        Ok(request)
    }
}
