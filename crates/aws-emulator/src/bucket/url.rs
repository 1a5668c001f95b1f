//! Pre-signed URLs of the response bucket.

use std::time::{Duration, SystemTime};

use crate::ids;
use crate::timestamp;

/// Version of a pre-signed URL, which determines its host name. CloudFormation uses both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SignatureVersion {
    /// `X-Amz-Signature` over the host: `<bucket>.s3.<region>.amazonaws.com`.
    #[default]
    V4,
    /// `Signature` over method, `Content-Type`, expiry and key: `<bucket>.s3.amazonaws.com`.
    V2,
}

/// Validity of CloudFormation's URLs: two hours minus the second that signing takes.
pub const URL_VALIDITY: Duration = Duration::from_secs(7_199);

/// A pre-signed URL.
#[derive(Clone)]
pub(super) struct PresignedUrl {
    pub(super) signature: SignatureVersion,
    pub(super) host: String,
    /// Key without percent encoding.
    pub(super) key: String,
    pub(super) query: String,
    pub(super) expires: SystemTime,
}

impl PresignedUrl {
    /// Creates a URL for a PUT of `key`. The signature is random, because only the emulator checks it.
    pub(super) fn new(region: &str, key: &str, signature: SignatureVersion, validity: Duration) -> Self {
        let bucket = bucket(region);
        let suffix = ids::suffix(region);
        let now = SystemTime::now();
        let expires = now + validity;
        let (host, query) = match signature {
            SignatureVersion::V4 => {
                let date = timestamp::compact(now);
                let query = format!(
                    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date={date}&X-Amz-SignedHeaders=host\
                     &X-Amz-Expires={}&X-Amz-Credential=AKIAEMULATEDSIGNER00%2F{}%2F{region}%2Fs3\
                     %2Faws4_request&X-Amz-Signature={}",
                    validity.as_secs(),
                    &date[..8],
                    ids::hex(64),
                );
                (format!("{bucket}.s3.{region}.{suffix}"), query)
            }
            SignatureVersion::V2 => {
                let query = format!(
                    "AWSAccessKeyId=AKIAEMULATEDSIGNER00&Expires={}&Signature={}%3D",
                    timestamp::since_epoch(expires).as_secs(),
                    ids::hex(27),
                );
                (format!("{bucket}.s3.{suffix}"), query)
            }
        };
        Self { signature, host, key: key.to_owned(), query, expires }
    }

    /// Returns the URL.
    pub(super) fn url(&self) -> String {
        format!("https://{}/{}?{}", self.host, encode(&self.key), self.query)
    }
}

/// Returns the name of the bucket in a Region.
pub(crate) fn bucket(region: &str) -> String {
    format!("cloudformation-custom-resource-response-{}", region.replace('-', ""))
}

/// Percent-encodes a key except its slashes.
pub(crate) fn encode(key: &str) -> String {
    let mut out = String::with_capacity(key.len() * 2);
    for byte in key.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            other => out += &format!("%{other:02X}"),
        }
    }
    out
}

/// Decodes percent encoding in a path, in which a plus sign has no special meaning.
pub(crate) fn decode(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = path.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let (b'%', Some(byte)) = (bytes[at], hex) {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_urls_of_both_versions() {
        let key = "arn:aws:cloudformation:eu-west-1:1:stack/s/1|Python|2";
        let v4 = PresignedUrl::new("eu-west-1", key, SignatureVersion::V4, URL_VALIDITY).url();
        let host = "cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com";
        let path = "arn%3Aaws%3Acloudformation%3Aeu-west-1%3A1%3Astack/s/1%7CPython%7C2";
        assert!(v4.starts_with(&format!("https://{host}/{path}?X-Amz-Algorithm=")), "{v4}");
        assert!(v4.contains("&X-Amz-Expires=7199&"), "{v4}");
        let v2 = PresignedUrl::new("us-east-1", key, SignatureVersion::V2, URL_VALIDITY).url();
        let host = "cloudformation-custom-resource-response-useast1.s3.amazonaws.com";
        assert!(v2.starts_with(&format!("https://{host}/{path}?AWSAccessKeyId=")), "{v2}");
        assert_eq!(decode(path), key);
    }
}
