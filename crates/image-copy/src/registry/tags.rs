//! Tags: which there are.

use reqwest::Method;
use serde::Deserialize;

use super::pages::next_page;
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
            match next_page(&answer.headers, &url)? {
                Some(next) => url = next,
                None => return Ok(tags),
            }
        }
        Err(Error::Protocol("its list of tags has no end"))
    }
}
