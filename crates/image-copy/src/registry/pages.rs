//! Pagination of lists.

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};

use super::Error;

/// Returns the URL of the next page in the `Link` header (<https://www.rfc-editor.org/rfc/rfc8288>). It must
/// be at the same registry, because the request contains credentials.
pub(super) fn next_page(headers: &HeaderMap, current: &Url) -> Result<Option<Url>, Error> {
    let links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let next = links.flat_map(|value| value.split(',')).find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = |part: &str| matches!(part.trim(), "rel=\"next\"" | "rel=next");
        parameters.split(';').any(is_next).then_some(target)
    });
    let Some(next) = next else { return Ok(None) };
    let next = current.join(next).map_err(|_| Error::Protocol("the next page is not a valid URL"))?;
    if next.origin() != current.origin() || next == *current {
        return Err(Error::Protocol("the next page is not at the same registry"));
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
        let found = next_page(&headers, &current).map(|url| url.map(String::from)).map_err(drop);
        assert_eq!(found, expected.map(|url| url.map(str::to_owned)), "{link}");
    }

    #[test]
    fn accepts_a_next_page_only_at_the_same_registry() {
        let second = "https://r.example/v2/a/tags/list?n=2&last=b";
        check("</v2/a/tags/list?n=2&last=b>; rel=\"next\"", Ok(Some(second)));
        check("</x>; rel=\"prev\", <https://r.example/v2/a/tags/list?n=2&last=b>;rel=next", Ok(Some(second)));
        check("<?first=1>; rel=prev, <?n=2&last=b>; rel=next", Ok(Some(second)));
        check("</x>; rel=\"last\"", Ok(None));
        check("<https://evil.example/v2/a/tags/list>; rel=\"next\"", Err(()));
        check("<http://r.example/v2/a/tags/list>; rel=\"next\"", Err(()));
        check("</v2/a/tags/list?n=2>; rel=\"next\"", Err(()));
    }
}
