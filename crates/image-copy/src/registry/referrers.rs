//! Referrers of a manifest
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};

use super::pages::next_page;
use super::{Error, ManifestId, Repository};
use crate::http;
use crate::oci::{Descriptor, Digest, Manifest, Tag, media_type};

/// Maximum number of pages of one list, so that an endless list ends.
const MAX_PAGES: usize = 20;

/// Number of entries after which no page is requested. At most 300 referrers are copied.
const MAX_ENTRIES: usize = 1000;

/// Maximum size of a page in bytes. It is enough for a thousand entries with annotations. Eight lists are
/// read concurrently, so that 4 MiB for each would use half of the function's memory.
const MAX_LIST_BYTES: u64 = 1 << 20;

impl Repository {
    /// Lists the referrers of `subject` with the referrers API, or otherwise from the index that the fallback tag
    /// names. Reading this index can count as a pull.
    ///
    /// # Errors
    /// The registry's error response.
    pub async fn list_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        match self.referrers(subject).await? {
            Some(listed) => Ok(listed),
            None => self.tagged_referrers(subject).await,
        }
    }

    /// Lists the referrers of `subject` from the index that the fallback tag names.
    ///
    /// # Errors
    /// The registry's error response.
    pub(crate) async fn tagged_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let Some(tag) = subject.referrers_tag() else { return Ok(Vec::new()) };
        let Some(digest) = self.referrer_digest(subject, &tag).await? else { return Ok(Vec::new()) };
        let index = self.find_manifest(&ManifestId::Digest(digest), MAX_LIST_BYTES).await?;
        Ok(index.as_ref().map(Manifest::children).unwrap_or_default().to_vec())
    }

    /// Returns the digest that a tag names, unless it is the subject: GitLab treats `sha256-<hex>` as the
    /// digest (<https://github.com/oras-project/oras/issues/2148>).
    ///
    /// # Errors
    /// The registry's error response.
    pub async fn referrer_digest(&self, subject: &Digest, tag: &Tag) -> Result<Option<Digest>, Error> {
        Ok(self.tag_digest(tag).await?.filter(|digest| digest != subject))
    }

    /// Lists the referrers of `subject` with the referrers API. No registry counts this as a pull. Returns
    /// `None` if the registry does not support the API: it returns 404, another error, or a web page.
    ///
    /// The request has no filter, so that the list is complete.
    ///
    /// # Errors
    /// Any other error response.
    pub(crate) async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        let mut url = self.url(&format!("referrers/{subject}")).await?;
        let mut entries = Vec::new();
        for number in 0..MAX_PAGES {
            let Some((page, next)) = self.page_of_referrers(url.clone()).await? else {
                return match number {
                    0 => Ok(None),
                    _ => Err(Error::Protocol("a page of the referrers list is missing")),
                };
            };
            let remaining = MAX_ENTRIES - entries.len();
            entries.extend(page.children().iter().take(remaining).cloned());
            match next {
                Some(next) if entries.len() < MAX_ENTRIES => url = next,
                _ => return Ok(Some(entries)),
            }
        }
        Err(Error::Protocol("the referrers list does not end"))
    }

    /// Returns true if a destination supports the referrers API. Returns false if it rejects the request, so
    /// that the referrers list is pushed as a tag.
    ///
    /// # Errors
    /// If the registry is unreachable or busy, or rejects the credentials.
    pub(crate) async fn has_referrers_api(&self, subject: &Digest) -> Result<bool, Error> {
        let url = self.url(&format!("referrers/{subject}")).await?;
        match self.page_of_referrers(url).await {
            Err(error) if error.push_can_succeed() => Ok(false),
            result => result.map(|page| page.is_some()),
        }
    }

    async fn page_of_referrers(&self, url: Url) -> Result<Option<(Manifest, Option<Url>)>, Error> {
        let mut request = Self::request(Method::GET, url.clone(), MAX_LIST_BYTES);
        request.headers.insert(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
        let response = match self.send(request).await {
            // The registry redirects unknown paths to an address that is not allowed.
            Err(Error::Http(error)) if matches!(error.kind, http::ErrorKind::ForbiddenAddress(_)) => {
                return Ok(None);
            }
            other => other?,
        };
        let is_unknown = matches!(response.status(), 300..=399 | 400 | 404..=406 | 410 | 501);
        if is_unknown || (response.is_redirected && response.status() >= 400) {
            return Ok(None);
        }
        if response.status() >= 400 {
            return Err(response.to_error());
        }
        let response = response.into_success()?;
        let content_type = response.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let index = Manifest::parse(response.body.clone(), content_type).ok().filter(Manifest::is_index);
        let Some(index) = index else { return Ok(None) };
        Ok(Some((index, next_page(&response.headers, &url)?)))
    }

    /// Requests the digest of a tag with HEAD. Returns `None` if the tag or the repository does not exist.
    ///
    /// # Errors
    /// Any other error response.
    pub async fn tag_digest(&self, tag: &Tag) -> Result<Option<Digest>, Error> {
        let id = ManifestId::Tag(tag.clone());
        let response = self.send(self.manifest_request(Method::HEAD, &id).await?).await?;
        if response.status() == 404 {
            return Ok(None);
        }
        match self.head_from_response(response, &id).await {
            Err(Error::ErrorResponse(error_response)) if error_response.status == 404 => Ok(None),
            result => result.map(|head| Some(head.digest)),
        }
    }
}
