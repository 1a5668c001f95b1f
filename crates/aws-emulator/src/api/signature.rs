//! Signatures of API calls.

use crate::fault::Effect;
use crate::identity::KeyError;
use crate::service::Request;

use super::ApiError;

/// Checks that the request is signed with an access key of the emulator for this service and Region. The
/// signature itself is not verified.
pub(crate) fn check(request: &Request, region: &str, service: &str) -> Result<(), ApiError> {
    let missing = || ApiError::new("MissingAuthenticationTokenException", "Missing Authentication Token");
    let value = request.header("authorization").ok_or_else(missing)?;
    let incomplete = || {
        let message = "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature'.";
        ApiError::new("IncompleteSignatureException", message)
    };
    let parts = value.strip_prefix("AWS4-HMAC-SHA256").ok_or_else(incomplete)?;
    let part =
        |name: &str| parts.split(',').find_map(|part| part.trim().strip_prefix(name)).ok_or_else(incomplete);
    part("SignedHeaders=")?;
    part("Signature=")?;
    let scope: Vec<_> = part("Credential=")?.split('/').collect();
    let [key, _, scope_region, scope_service, "aws4_request"] = scope[..] else {
        return Err(incomplete());
    };
    let expires = matches!(request.effect, Some(Effect::ExpireToken));
    match request.access_keys.check(key) {
        Err(KeyError::Unknown) => {
            let message = "The security token included in the request is invalid.";
            return Err(ApiError::new("UnrecognizedClientException", message));
        }
        Ok(()) if !expires => {}
        Ok(()) | Err(KeyError::Expired) => {
            let message = "The security token included in the request is expired";
            return Err(ApiError::new("ExpiredTokenException", message));
        }
    }
    if scope_region != region || scope_service != service {
        let message = format!("Credential should be scoped to '{region}' and service '{service}'.");
        return Err(ApiError::new("InvalidSignatureException", message));
    }
    Ok(())
}
