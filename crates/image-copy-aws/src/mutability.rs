//! Mutability of the tags of a repository.

use aws_sdk_ecr::types::{ImageTagMutability, Repository};
use image_copy::text::matches_wildcards;

/// Returns true if `tag` cannot be moved once it is written. `None` if the setting is unknown.
pub(crate) fn is_immutable(repository: &Repository, tag: &str) -> Option<bool> {
    let excluded = || {
        let filters = repository.image_tag_mutability_exclusion_filters();
        filters.iter().any(|filter| matches_wildcards(filter.filter(), tag))
    };
    match repository.image_tag_mutability()? {
        ImageTagMutability::Mutable => Some(false),
        ImageTagMutability::Immutable => Some(true),
        ImageTagMutability::ImmutableWithExclusion => Some(!excluded()),
        ImageTagMutability::MutableWithExclusion => Some(excluded()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::types::{
        ImageTagMutabilityExclusionFilter as Filter, ImageTagMutabilityExclusionFilterType as FilterType,
    };

    use super::*;

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
