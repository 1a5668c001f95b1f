//! Referrers: what a registry knows to refer to a manifest
//! (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers>).

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, Url};

use super::session::stated_digest;
use super::{Error, ManifestId, Repository};
use crate::http;
use crate::oci::{Descriptor, Digest, MAX_MANIFEST_BYTES, Manifest, Tag, media_type};

/// Pages of one list that are read, and entries that are kept.
const MAX_PAGES: usize = 20;
const MAX_ENTRIES: usize = 1000;

impl Repository {
    /// What refers to `subject`, by the referrers API. No registry counts this as a pull. `None`: the
    /// registry has no such API, which shows itself in many ways: by a 404, by another refusal of the
    /// path, or by a page for people that the path leads to.
    ///
    /// No filter is sent, so that none can be applied.
    ///
    /// # Errors
    /// What the registry says, when it cannot be taken for that.
    pub async fn referrers(&self, subject: &Digest) -> Result<Option<Vec<Descriptor>>, Error> {
        let mut url = self.url(&format!("referrers/{subject}")).await?;
        let mut entries = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some((page, next)) = self.page_of_referrers(url.clone()).await? else {
                return Ok((!entries.is_empty()).then_some(entries));
            };
            entries.extend_from_slice(page.children());
            match next {
                Some(next) if entries.len() < MAX_ENTRIES => url = next,
                _ => break,
            }
        }
        entries.truncate(MAX_ENTRIES);
        Ok(Some(entries))
    }

    async fn page_of_referrers(&self, url: Url) -> Result<Option<(Manifest, Option<Url>)>, Error> {
        let mut request = Self::request(Method::GET, url.clone(), MAX_MANIFEST_BYTES);
        request.headers.insert(ACCEPT, HeaderValue::from_static(media_type::OCI_INDEX));
        let reply = match self.ask(request).await {
            // The path leads away from the registry, to where none of its content can be.
            Err(Error::Http(error)) if matches!(error.kind, http::Kind::Forbidden(_)) => return Ok(None),
            other => other?,
        };
        let is_unknown = matches!(reply.status(), 300..=399 | 400 | 404..=406 | 410 | 501);
        if is_unknown || (reply.redirected && reply.status() >= 400) {
            return Ok(None);
        }
        if reply.status() >= 400 {
            return Err(reply.refusal());
        }
        let answer = reply.accepted()?;
        let served = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let index = Manifest::parse(answer.body.clone(), served).ok().filter(Manifest::is_index);
        let Some(index) = index else { return Ok(None) };
        Ok(Some((index, next_page(&url, &answer.headers)?)))
    }

    /// The digest that a tag names, by HEAD. `None`: there is no such tag.
    ///
    /// # Errors
    /// What the registry says, other than that there is no such manifest or repository.
    pub async fn find_tag(&self, tag: &Tag) -> Result<Option<Digest>, Error> {
        let id = ManifestId::Tag(tag.clone());
        let reply = self.ask(self.manifest_request(Method::HEAD, &id).await?).await?;
        match reply.status() {
            404 => return Ok(None),
            200..=299 => {
                let digest_on_the_way = reply.digest_on_the_way.clone();
                if let Some(digest) = stated_digest(&reply.accepted()?.headers).or(digest_on_the_way) {
                    return Ok(Some(digest));
                }
            }
            _ => {}
        }
        match self.head_manifest(&id).await {
            Err(Error::Refused(refusal)) if refusal.status == 404 => Ok(None),
            result => result.map(|head| Some(head.digest)),
        }
    }
}

/// Where a list goes on, by its `Link` header.
fn next_page(url: &Url, headers: &HeaderMap) -> Result<Option<Url>, Error> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let next = links.flat_map(|value| value.split(',')).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |part: &str| matches!(part.trim(), "rel=\"next\"" | "rel=next");
        parameters.split(';').any(is_next).then_some(target)
    });
    let Some(next) = next else { return Ok(None) };
    let next = url.join(next).map_err(|_| Error::Protocol("a list goes on at no address"))?;
    // The login goes along.
    match next.origin() == url.origin() {
        true => Ok(Some(next)),
        false => Err(Error::Protocol("a list goes on at another host")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_where_its_link_says_and_not_elsewhere() {
        let url: Url = "https://registry.example/v2/a/referrers/sha256:1".parse().unwrap();
        let next = |link: &'static str| {
            let headers = HeaderMap::from_iter([(LINK, HeaderValue::from_static(link))]);
            next_page(&url, &headers).map(|next| next.map(String::from))
        };
        let expected = Ok(Some("https://registry.example/v2/a/referrers/sha256:1?last=2".to_owned()));
        assert_eq!(next("</v2/a/referrers/sha256:1?last=2>; rel=\"next\""), expected);
        assert_eq!(next("<?first=1>; rel=prev, <?last=2>; rel=next"), expected);
        assert_eq!(next("<?first=1>; rel=\"prev\""), Ok(None));
        assert!(next("<https://elsewhere.example/>; rel=\"next\"").is_err());
    }
}
