//! Signatures of API calls.

use crate::emulator::ACCESS_KEY_ID;
use crate::fault::Effect;
use crate::service::Request;

use super::ApiError;

/// Checks that the request is signed with the emulator's access key for this service and Region. The
/// signature itself is not verified.
pub(super) fn check(request: &Request, region: &str, service: &str) -> Result<(), ApiError> {
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
    if key != ACCESS_KEY_ID {
        let message = "The security token included in the request is invalid.";
        return Err(ApiError::new("UnrecognizedClientException", message));
    }
    if matches!(request.effect, Some(Effect::ExpireToken)) {
        let message = "The security token included in the request is expired";
        return Err(ApiError::new("ExpiredTokenException", message));
    }
    if scope_region != region || scope_service != service {
        let message = format!("Credential should be scoped to '{region}' and service '{service}'.");
        return Err(ApiError::new("InvalidSignatureException", message));
    }
    Ok(())
}
