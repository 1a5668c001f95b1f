//! Errors of ECR, which API and registry format differently.

use crate::body::empty;
use crate::distribution::error_response;
use crate::service::{Response, response};

pub(super) use crate::api::ApiError;

impl ApiError {
    /// Returns the error for a manifest that ECR rejects.
    pub(crate) fn invalid_manifest(constraint: &str) -> Self {
        let message =
            format!("Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{constraint}'");
        Self::new("InvalidParameterException", message)
    }

    /// Returns the registry's response for the error.
    pub(crate) fn registry_response(&self, is_head: bool) -> Response {
        let (status, code) = match self.name {
            "RepositoryNotFoundException" => (404, "NAME_UNKNOWN"),
            "ImageNotFoundException" => (404, "MANIFEST_UNKNOWN"),
            "LayersNotFoundException" => (404, "BLOB_UNKNOWN"),
            "ReferencedImagesNotFoundException" => (404, "MANIFEST_UNKNOWN"),
            "ImageTagAlreadyExistsException" => (400, "TAG_INVALID"),
            "ImageDigestDoesNotMatchException" => (400, "DIGEST_INVALID"),
            "InvalidParameterException" => (405, "UNSUPPORTED"),
            "LimitExceededException" | "AccessDeniedException" => (403, "DENIED"),
            "ThrottlingException" => (429, "TOOMANYREQUESTS"),
            _ => (500, "UNKNOWN"),
        };
        if is_head { response(status, &[], empty()) } else { error_response(status, code, &self.message) }
    }
}
