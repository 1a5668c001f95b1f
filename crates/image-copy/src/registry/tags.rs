//! Lists of tags.

use std::fmt;

use reqwest::Method;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::pages::next_page;
use super::{Error, Repository};
use crate::http::{self, ErrorKind};
use crate::oci::Tag;

/// Number of tags in one page. ECR rejects higher numbers.
const PAGE_TAGS: usize = 1000;

/// Maximum number of pages of one list. Pages can be empty.
const MAX_PAGES: usize = 1000;

/// Maximum size of all pages of one list in bytes. Registries without pages send all tags at once. 16 MiB are
/// enough for 200,000 tags with the length of a digest.
const MAX_LIST_BYTES: u64 = 16 << 20;

/// Maximum number of tags of one repository. They use about 12 MiB of memory.
const MAX_TAGS: usize = 200_000;

const TOO_LARGE: Error = Error::Protocol("the tag list is larger than 16 MiB");

impl Repository {
    /// Lists the tags in the order of the registry, page by page
    /// (<https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags>). No
    /// registry counts this as a pull. Invalid tags are ignored.
    ///
    /// # Errors
    /// The registry's error response, also if the repository does not exist. A list with more than 200,000
    /// tags, 16 MiB or 1000 pages.
    pub async fn list_tags(&self) -> Result<Vec<Tag>, Error> {
        let mut list = TagList::default();
        let mut remaining_bytes = MAX_LIST_BYTES;
        let mut url = self.url(&format!("tags/list?n={PAGE_TAGS}")).await?;
        for _ in 0..MAX_PAGES {
            let request = Self::request(Method::GET, url.clone(), remaining_bytes);
            let response = self.send(request).await.map_err(list_error)?.into_success()?;
            remaining_bytes = remaining_bytes.saturating_sub(response.body.len() as u64);
            let mut page = serde_json::Deserializer::from_slice(&response.body);
            let read = list.deserialize(&mut page).and_then(|()| page.end());
            if list.entries > MAX_TAGS {
                return Err(Error::Protocol("the tag list has more than 200000 tags"));
            }
            read.map_err(|_| Error::Protocol("the tag list is not valid JSON"))?;
            match next_page(&response.headers, &url)? {
                Some(_) if remaining_bytes == 0 => return Err(TOO_LARGE),
                Some(next) => url = next,
                None => return Ok(list.tags),
            }
        }
        Err(Error::Protocol("the tag list has more than 1000 pages"))
    }
}

/// Replaces the remaining bytes in the error by the maximum of the whole list.
fn list_error(error: Error) -> Error {
    match error {
        Error::Http(http::Error { kind: ErrorKind::TooLarge { .. }, .. }) => TOO_LARGE,
        error => error,
    }
}

/// The tags of all pages that were read.
#[derive(Default)]
struct TagList {
    tags: Vec<Tag>,
    /// Number of entries, including invalid tags.
    entries: usize,
}

impl<'de> DeserializeSeed<'de> for &mut TagList {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(PageVisitor(self))
    }
}

/// Adds the tags of a page to a list, without a temporary list.
struct PageVisitor<'a>(&'a mut TagList);

impl<'de> Visitor<'de> for PageVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a page of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut page: A) -> Result<(), A::Error> {
        while let Some(name) = page.next_key::<String>()? {
            match name.as_str() {
                "tags" => page.next_value_seed(TagsField(&mut *self.0))?,
                _ => drop(page.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Adds the tags in the field `tags`, which can be null.
struct TagsField<'a>(&'a mut TagList);

impl<'de> DeserializeSeed<'de> for TagsField<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TagsField<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tags")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<TagEntry>()? {
            self.0.entries += 1;
            if self.0.entries > MAX_TAGS {
                return Err(serde::de::Error::custom("too many"));
            }
            self.0.tags.extend(entry.0);
        }
        Ok(())
    }
}

/// An entry of the list. `None` if it is not a valid tag.
struct TagEntry(Option<Tag>);

impl<'de> Deserialize<'de> for TagEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Self(text.parse().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: Option<&[&str]>) {
        let mut list = TagList::default();
        let mut reader = serde_json::Deserializer::from_str(page);
        let read = list.deserialize(&mut reader).and_then(|()| reader.end());
        let tags: Vec<&str> = list.tags.iter().map(Tag::as_str).collect();
        assert_eq!(read.ok().map(|()| tags.as_slice()), expected, "{page}");
    }

    #[test]
    fn reads_pages_in_the_formats_of_all_registries() {
        check(r#"{"name":"a","tags":["1","2"]}"#, Some(&["1", "2"]));
        check(r#"{"tags":["1","../x",""],"next":{"a":[1]}}"#, Some(&["1"]));
        check(r#"{"name":"a","tags":null}"#, Some(&[]));
        check(r#"{"name":"a"}"#, Some(&[]));
        check(r#"{"tags":[1]}"#, None);
        check(r#"{"tags":"1"}"#, None);
        check(r#"["1"]"#, None);
        check(r#"{"tags":["1"]} x"#, None);
    }

    #[test]
    fn limits_the_number_of_entries() {
        let page = format!(r#"{{"tags":[{}"!"]}}"#, r#""!","#.repeat(MAX_TAGS));
        check(&page, None);
    }
}
