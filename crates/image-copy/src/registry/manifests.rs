//! Manifests: resolve, read and write.

use std::sync::atomic::Ordering;

use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};

use super::requests::{RegistryResponse, SMALL_BODY_BYTES, stated_digest};
use super::{CredentialsSent, Error, Repository};
use crate::http;
use crate::oci::{Digest, MAX_MANIFEST_BYTES, Manifest, Tag, media_type};

/// Tag or digest of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ManifestId {
    /// A tag.
    Tag(Tag),
    /// A digest.
    Digest(Digest),
}

impl ManifestId {
    /// Returns the tag or digest.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

/// Result of a HEAD request for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestHead {
    /// Digest of the manifest.
    pub digest: Digest,
    /// The manifest, if a GET was necessary to get the digest.
    pub manifest: Option<Manifest>,
}

impl Repository {
    /// Requests the digest of a manifest with HEAD, which no registry counts as a pull
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests>).
    ///
    /// Some registries do not support HEAD, state no digest, or send no reason for an error. For these, a GET
    /// follows, but not at Docker Hub, because it counts a GET as a pull.
    ///
    /// # Errors
    /// The registry's error response, also if the manifest does not exist.
    pub async fn head_manifest(&self, id: &ManifestId) -> Result<ManifestHead, Error> {
        let request = self.manifest_request(Method::HEAD, id).await?;
        let response = self.send(request).await?;
        self.head_from_response(response, id).await
    }

    /// Reads the digest in a response to HEAD. If there is none, reads the manifest with GET.
    pub(super) async fn head_from_response(
        &self,
        response: RegistryResponse,
        id: &ManifestId,
    ) -> Result<ManifestHead, Error> {
        let is_hub = self.name().registry().is_docker_hub();
        if (200..300).contains(&response.status()) {
            let redirect_digest = response.redirect_digest.clone();
            let response = response.into_success()?;
            if let Some(digest) = stated_digest(&response.headers).or(redirect_digest) {
                return Ok(ManifestHead { digest, manifest: None });
            }
        } else if is_hub || is_busy(response.status()) || is_password_rejected(&response) {
            return Err(response.to_error());
        }
        let manifest = self.get_manifest(id).await?;
        Ok(ManifestHead { digest: manifest.digest.clone(), manifest: Some(manifest) })
    }

    /// Reads a manifest. If `id` is a digest, verifies it.
    ///
    /// # Errors
    /// The registry's error response, also if the manifest does not exist. A document that is not a manifest.
    pub async fn get_manifest(&self, id: &ManifestId) -> Result<Manifest, Error> {
        self.get_manifest_within(id, MAX_MANIFEST_BYTES).await
    }

    /// Reads a manifest of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Self::get_manifest`], and if the manifest is larger.
    pub(crate) async fn get_manifest_within(&self, id: &ManifestId, limit: u64) -> Result<Manifest, Error> {
        let budget = self.retry_budget();
        let repository = self.with_budget(&budget);
        let mut result = repository.get_manifest_once(id, limit).await;
        if matches!(
            result,
            Err(Error::DigestMismatch { .. } | Error::SizeMismatch { .. } | Error::Manifest(_))
        ) && budget.wait_after_fault(None).await
        {
            // A proxy or the network can damage one response. A second one is damaged by the registry.
            result = repository.get_manifest_once(id, limit).await;
        }
        result
    }

    /// Reads a manifest of at most `limit` bytes. Returns `None` if the manifest or the repository does not
    /// exist.
    ///
    /// # Errors
    /// As [`Self::get_manifest_within`].
    pub(crate) async fn find_manifest(&self, id: &ManifestId, limit: u64) -> Result<Option<Manifest>, Error> {
        match self.get_manifest_within(id, limit).await {
            Err(Error::ErrorResponse(error_response)) if error_response.status == 404 => Ok(None),
            result => result.map(Some),
        }
    }

    /// Reads a manifest of a destination. Returns `None` if it is missing, if the registry rejects the read,
    /// or if a tag names an invalid document. The push replaces such a document.
    ///
    /// # Errors
    /// If the registry is unreachable or busy, or rejects the credentials.
    pub(crate) async fn existing_manifest(&self, id: &ManifestId) -> Result<Option<Manifest>, Error> {
        match self.get_manifest(id).await {
            Err(error) if error.push_can_succeed() => {
                tracing::debug!(id = id.as_str(), %error, "the destination rejects reading a manifest");
                Ok(None)
            }
            Err(error @ (Error::Manifest(_) | Error::DigestMismatch { .. } | Error::SizeMismatch { .. }))
                if matches!(id, ManifestId::Tag(_)) =>
            {
                tracing::warn!(tag = id.as_str(), %error, "the tag names an invalid manifest");
                Ok(None)
            }
            result => result.map(Some),
        }
    }

    /// Writes a manifest under a tag or its digest
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests>).
    ///
    /// # Errors
    /// The registry's error response.
    pub async fn put_manifest(&self, manifest: &Manifest, id: &ManifestId) -> Result<(), Error> {
        let url = self.url(&format!("manifests/{}", id.as_str())).await?;
        let request = Self::request(Method::PUT, url, SMALL_BODY_BYTES);
        let request = Self::with_body(request, &manifest.media_type, manifest.bytes.clone())?;
        self.send(request).await?.into_success().map(drop)
    }

    async fn get_manifest_once(&self, id: &ManifestId, limit: u64) -> Result<Manifest, Error> {
        let mut request = self.manifest_request(Method::GET, id).await?;
        request.limit = limit;
        let response = self.send(request).await?;
        let secrets = response.secrets.clone();
        let response = response.into_success()?;
        self.usage.manifest_gets.fetch_add(u64::from(response.successes), Ordering::Relaxed);
        if let ManifestId::Digest(expected) = id {
            check_digest(expected, &response)?;
        }
        let content_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let manifest = Manifest::parse(response.body.clone(), content_type);
        let manifest = manifest.map_err(|error| secrets.remove_from_manifest_error(error))?;
        Ok(match id {
            ManifestId::Digest(digest) => manifest.with_digest(digest.clone()),
            ManifestId::Tag(_) => manifest,
        })
    }

    pub(super) async fn manifest_request(
        &self,
        method: Method,
        id: &ManifestId,
    ) -> Result<http::Request, Error> {
        let url = self.url(&format!("manifests/{}", id.as_str())).await?;
        let mut request = Self::request(method, url, MAX_MANIFEST_BYTES);
        request.headers = accept_headers();
        Ok(request)
    }
}

/// Returns one `Accept` header for each type, because Harbor 1.1 ignored a list and returned schema 1
/// (<https://github.com/containerd/containerd/issues/5632>).
fn accept_headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in media_type::MANIFEST_TYPES {
        headers.append(ACCEPT, HeaderValue::from_static(name));
    }
    headers
}

/// Returns true if the registry rejected a password. It is not sent again, because that can lock the account.
fn is_password_rejected(response: &RegistryResponse) -> bool {
    response.status() == 401 && response.credentials == CredentialsSent::Yes
}

/// Returns true if the registry should not get another request now. Status 501 means that HEAD is not
/// supported.
fn is_busy(status: u16) -> bool {
    status == 429 || status >= 500 && status != 501
}

fn check_digest(expected: &Digest, response: &http::Response) -> Result<(), Error> {
    let mut hasher = crate::oci::Hasher::new(expected.algorithm());
    hasher.update(&response.body);
    let actual = hasher.finish();
    if actual == *expected {
        return Ok(());
    }
    let content_length =
        response.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match content_length {
        Some(length) if length != response.body.len() as u64 => Err(Error::SizeMismatch {
            digest: expected.clone(),
            expected: length,
            actual: response.body.len() as u64,
        }),
        _ => Err(Error::DigestMismatch { expected: expected.clone(), actual }),
    }
}
