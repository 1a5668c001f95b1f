//! Reserved tags, in the repository of the image that they are about.

use image_copy::oci::{Digest, Tag};

const RECORD: &str = "copy-record.";
const CLAIM: &str = "copy-claim.";
const UNTAGGED: &str = "copy-of.";
/// Before a tag that exists only while an image is being deleted; such tags save no image.
pub(crate) const REMOVAL: &str = "copy-removal.";

/// Longest tag of the specification.
const LONGEST: usize = 128;

/// Whether a tag is one of ours, which no template may choose.
pub(crate) fn is_reserved(tag: &str) -> bool {
    [RECORD, CLAIM, UNTAGGED, REMOVAL].iter().any(|prefix| tag.starts_with(prefix))
}

/// Where the record of a tag is.
pub(crate) fn record(tag: &Tag) -> Tag {
    shortened(&format!("{RECORD}{tag}"))
}

/// The tag of an image whose reference has none.
pub(crate) fn untagged(image: &Digest) -> Tag {
    shortened(&format!("{UNTAGGED}{}", image.as_str().replacen(':', "-", 1)))
}

/// Whether a tag is that of an image whose reference has none.
pub(crate) fn is_untagged(tag: &Tag) -> bool {
    tag.as_str().starts_with(UNTAGGED)
}

/// The tag that stands for one claimant's claim on `tag`.
pub(crate) fn claim(tag: &Tag, stack_id: &str, logical_id: &str) -> Tag {
    let hash = Digest::of(format!("{tag}\n{stack_id}\n{logical_id}").as_bytes());
    shortened(&format!("{CLAIM}{}", &hash.hex()[..16]))
}

/// Whether a tag is a claim.
pub(crate) fn is_claim(tag: &str) -> bool {
    tag.starts_with(CLAIM)
}

/// What does not fit gives its end for a hash of the whole.
fn shortened(name: &str) -> Tag {
    let mut name = name.to_owned();
    if name.len() > LONGEST {
        let hash = Digest::of(name.as_bytes());
        name.truncate(LONGEST - 17);
        name = format!("{name}.{}", &hash.hex()[..16]);
    }
    name.parse().expect("letters, digits and dots are a tag")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_do_not_collide() {
        let tag = |text: &str| text.parse::<Tag>().unwrap();
        assert_eq!(record(&tag("3.13")).as_str(), "copy-record.3.13");
        let (one, other) = (record(&tag(&"x".repeat(128))), record(&tag(&"x".repeat(127))));
        assert_eq!((one.as_str().len(), other.as_str().len()), (128, 128));
        assert_ne!(one, other);
        let digest = Digest::of(b"x");
        assert_eq!(untagged(&digest).as_str(), format!("copy-of.sha256-{}", digest.hex()));
        assert_eq!(
            record(&untagged(&digest)).as_str(),
            format!("copy-record.copy-of.sha256-{}", digest.hex())
        );
        let sha512 = format!("sha512:{}", "a".repeat(128)).parse().unwrap();
        assert_eq!(record(&untagged(&sha512)).as_str().len(), 128);
        let claims = [claim(&tag("1"), "s", "a"), claim(&tag("1"), "s", "b"), claim(&tag("2"), "s", "a")];
        assert!(claims[0] != claims[1] && claims[0] != claims[2] && is_claim(claims[0].as_str()));
        assert!(claims.iter().chain([&one]).all(|tag| is_reserved(tag.as_str())));
        assert!(!is_reserved("copy"));
    }
}
