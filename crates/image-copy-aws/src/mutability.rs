//! Mutability of the tags of a repository.

use aws_sdk_ecr::types::{ImageTagMutability, Repository};

/// Returns true if `tag` cannot be moved once it is written. `None` if the setting is unknown.
pub(crate) fn is_immutable(repository: &Repository, tag: &str) -> Option<bool> {
    let excluded = || {
        let filters = repository.image_tag_mutability_exclusion_filters();
        filters.iter().any(|filter| matches(filter.filter(), tag))
    };
    match repository.image_tag_mutability()? {
        ImageTagMutability::Mutable => Some(false),
        ImageTagMutability::Immutable => Some(true),
        ImageTagMutability::ImmutableWithExclusion => Some(!excluded()),
        ImageTagMutability::MutableWithExclusion => Some(excluded()),
        _ => None,
    }
}

/// Returns true if `pattern` matches all of `text`. Each `*` matches any characters or none.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        // The leftmost match leaves the most text for the parts that follow.
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::types::{
        ImageTagMutabilityExclusionFilter as Filter, ImageTagMutabilityExclusionFilterType as FilterType,
    };

    use super::*;

    #[test]
    fn wildcards_match_any_characters_or_none() {
        for (pattern, text, expected) in [
            ("latest", "latest", true),
            ("latest", "latest2", false),
            ("*", "", true),
            ("dev-*", "dev-", true),
            ("dev-*", "xdev-1", false),
            ("*-rc", "1.2-rc", true),
            ("*-rc", "1.2-rc1", false),
            ("a*b*c", "axbxbc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("*ab*ab*", "xabyab", true),
            ("*ab*ab*", "xab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[track_caller]
    fn check(mutability: Option<ImageTagMutability>, tag: &str, expected: Option<bool>) {
        let filter = Filter::builder().filter_type(FilterType::Wildcard).filter("dev-*").build().unwrap();
        let repository = Repository::builder()
            .set_image_tag_mutability(mutability)
            .image_tag_mutability_exclusion_filters(filter)
            .build();
        assert_eq!(is_immutable(&repository, tag), expected);
    }

    #[test]
    fn exclusions_invert_the_setting() {
        check(Some(ImageTagMutability::Mutable), "dev-1", Some(false));
        check(Some(ImageTagMutability::Immutable), "dev-1", Some(true));
        check(Some(ImageTagMutability::ImmutableWithExclusion), "dev-1", Some(false));
        check(Some(ImageTagMutability::ImmutableWithExclusion), "1.0", Some(true));
        check(Some(ImageTagMutability::MutableWithExclusion), "dev-1", Some(true));
        check(Some(ImageTagMutability::MutableWithExclusion), "1.0", Some(false));
        check(Some("SOMETHING_NEW".into()), "1.0", None);
        check(None, "1.0", None);
    }
}
