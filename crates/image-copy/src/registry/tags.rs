//! Tags: which there are.

use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, Url};
use serde::Deserialize;

use super::{Error, Repository};
use crate::oci::Tag;

/// Tags asked for at a time; ECR refuses to be asked for more.
const PAGE: usize = 1000;

/// Pages read of one repository: more tags than this are no list of versions.
const MOST_PAGES: usize = 200;

/// Longest page in bytes. Registries that know no pages send all at once.
const LONGEST_PAGE: u64 = 32 << 20;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Repository {
    /// Lists the tags in the registry's order, page by page
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags>). No
    /// registry counts it as a pull.
    ///
    /// # Errors
    /// What the registry says, a missing repository included.
    pub async fn list_tags(&self) -> Result<Vec<Tag>, Error> {
        let mut tags = Vec::new();
        let mut url = self.url(&format!("tags/list?n={PAGE}")).await?;
        for _ in 0..MOST_PAGES {
            let request = Self::request(Method::GET, url.clone(), LONGEST_PAGE);
            let answer = self.ask(request).await?.accepted()?;
            let page: Page = serde_json::from_slice(&answer.body)
                .map_err(|_| Error::Protocol("its list of tags cannot be read"))?;
            // What is no tag by the specification cannot be asked for either.
            tags.extend(page.tags.unwrap_or_default().iter().filter_map(|tag| tag.parse::<Tag>().ok()));
            match next(&answer.headers, &url)? {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        Err(Error::Protocol("its list of tags has no end"))
    }
}

/// The address of the next page, by RFC 5988. It stays at the registry: the login goes with it.
fn next(headers: &HeaderMap, current: &Url) -> Result<Option<Url>, Error> {
    let Some(link) = headers.get(LINK).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    let target = link.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|one| matches!(one.trim(), "rel=next" | "rel=\"next\""));
        is_next.then_some(target)
    });
    let Some(target) = target else { return Ok(None) };
    let next = current.join(target).map_err(|_| Error::Protocol("its next page has no address"))?;
    if next.origin() != current.origin() || next == *current {
        return Err(Error::Protocol("its next page is not one of its own"));
    }
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(link: &str, expected: Result<Option<&str>, ()>) {
        let current: Url = "https://r.example/v2/a/tags/list?n=2".parse().unwrap();
        let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
        let found = next(&headers, &current).map(|url| url.map(String::from)).map_err(drop);
        assert_eq!(found, expected.map(|url| url.map(str::to_owned)), "{link}");
    }

    #[test]
    fn finds_the_next_page_at_the_same_registry() {
        let second = "https://r.example/v2/a/tags/list?n=2&last=b";
        check("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", Ok(Some(second)));
        check("</x>; rel=\"prev\", <https://r.example/v2/a/tags/list?n=2&last=b>;rel=next", Ok(Some(second)));
        check("</x>; rel=\"last\"", Ok(None));
        check("<https://evil.example/v2/a/tags/list>; rel=\"next\"", Err(()));
        check("<http://r.example/v2/a/tags/list>; rel=\"next\"", Err(()));
        check("</v2/a/tags/list?n=2>; rel=\"next\"", Err(()));
    }
}
