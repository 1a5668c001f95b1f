//! Signature of a request to S3, which is verified completely
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>).

use http::HeaderMap;
use sha2::{Digest, Sha256};

use crate::blob::digest;
use crate::bucket::{decode, encode};
use crate::fault::Effect;
use crate::identity::KeyError;
use crate::service::Request;

use super::ObjectError;

const CONTENT_HASH: &str = "x-amz-content-sha256";

/// Checks the signature of a request for a Region.
pub(super) fn check(request: &Request, region: &str) -> Result<(), ObjectError> {
    let Some(authorization) = request.header("authorization") else {
        return Err(ObjectError(403, "AccessDenied", "Access Denied".into()));
    };
    let malformed = |reason: &str| {
        let message = format!("The authorization header is malformed; {reason}");
        ObjectError(400, "AuthorizationHeaderMalformed", message)
    };
    let parts = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| malformed("the algorithm is missing."))?;
    let part = |name: &str| {
        let found = parts.split(',').find_map(|part| part.trim().strip_prefix(name));
        found.ok_or_else(|| malformed(&format!("{name} is missing.")))
    };
    let (credential, names, signature) = (part("Credential=")?, part("SignedHeaders=")?, part("Signature=")?);
    let scope: Vec<_> = credential.split('/').collect();
    let [key, date, scope_region, "s3", "aws4_request"] = scope[..] else {
        return Err(malformed("the credential is incomplete."));
    };
    if scope_region != region {
        return Err(malformed(&format!("the region '{scope_region}' is wrong; expecting '{region}'")));
    }
    let expires = matches!(request.effect, Some(Effect::ExpireToken));
    match request.access_keys.check(key) {
        Err(KeyError::Unknown) => {
            let message = "The AWS Access Key Id you provided does not exist in our records.";
            return Err(ObjectError(403, "InvalidAccessKeyId", message.into()));
        }
        Ok(()) if !expires => {}
        Ok(()) | Err(KeyError::Expired) => {
            return Err(ObjectError(400, "ExpiredToken", "The provided token has expired.".into()));
        }
    }
    // All keys of the emulator are temporary, so that requests need the session token.
    if request.header("x-amz-security-token").is_none() {
        let message = "The AWS Access Key Id you provided does not exist in our records.";
        return Err(ObjectError(403, "InvalidAccessKeyId", message.into()));
    }
    let secret = request.access_keys.secret(key).unwrap_or_default();
    let canonical = canonical_request(request, names)?;
    let time = request.header("x-amz-date").unwrap_or_default();
    let scope = format!("{date}/{region}/s3/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let expected = sign(&secret, date, region, &to_sign);
    if expected != signature || !time.starts_with(date) {
        let message = "The request signature we calculated does not match the signature you provided. Check your \
                       key and signing method.";
        return Err(ObjectError(403, "SignatureDoesNotMatch", message.into()));
    }
    Ok(())
}

/// Checks the hash of the body, which is part of the signature.
pub(super) fn check_body(headers: &HeaderMap, body: &[u8]) -> Result<(), ObjectError> {
    match headers.get(CONTENT_HASH).and_then(|value| value.to_str().ok()) {
        Some("UNSIGNED-PAYLOAD") => Ok(()),
        Some(stated) if stated == hash(body) => Ok(()),
        Some(_) => {
            let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
            Err(ObjectError(400, "XAmzContentSHA256Mismatch", message.into()))
        }
        None => {
            let message = "Missing required header for this request: x-amz-content-sha256";
            Err(ObjectError(400, "InvalidRequest", message.into()))
        }
    }
}

/// Returns the canonical request. S3 encodes each byte of the key once, and does not normalize the path.
fn canonical_request(request: &Request, names: &str) -> Result<String, ObjectError> {
    let signed: Vec<&str> = names.split(';').collect();
    let unsigned = request
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .find(|name| (*name == "host" || name.starts_with("x-amz-")) && !signed.contains(name));
    if let Some(name) = unsigned {
        let message = format!("There were headers present in the request which were not signed: {name}");
        return Err(ObjectError(403, "AccessDenied", message));
    }
    let mut headers = String::new();
    for name in &signed {
        let value = request.header(name).unwrap_or_default();
        headers += &format!("{name}:{}\n", value.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let mut query: Vec<String> = request
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if parameter.is_empty() { String::new() } else { format!("{name}={value}") }
        })
        .collect();
    query.sort();
    let path = encode(&decode(request.path()));
    let hash = request.header(CONTENT_HASH).unwrap_or_default();
    Ok(format!("{}\n{path}\n{}\n{headers}\n{names}\n{hash}", request.method, query.join("&")))
}

fn sign(secret: &str, date: &str, region: &str, to_sign: &str) -> String {
    let mut derived = format!("AWS4{secret}").into_bytes();
    for text in [date, region, "s3", "aws4_request", to_sign] {
        derived = hmac(&derived, text.as_bytes());
    }
    derived.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(bytes: &[u8]) -> String {
    digest(bytes)["sha256:".len()..].to_owned()
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first example in the documentation of the header-based signature.
    #[test]
    fn computes_the_documented_signature() {
        let to_sign = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
                       7344ae5b7ee6c3e7e6b0fe0640412a37625d1fbfff95c48bbb2dc43964946972";
        assert_eq!(
            sign("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", to_sign),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }
}
