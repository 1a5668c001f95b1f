//! Bucket and key of an object. Host names contain the bucket (virtual-hosted style) or only the Region (path
//! style) (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html>).

use crate::api::hosts;
use crate::bucket::decode;

/// Host names of a Region without the bucket: standard, FIPS and dual-stack
/// (<https://docs.aws.amazon.com/general/latest/gr/s3.html>).
const NAMES: [&str; 4] = ["s3", "s3-fips", "s3.dualstack", "s3-fips.dualstack"];

/// Bucket and key in a request.
pub(super) struct Location {
    pub(super) region: String,
    pub(super) bucket: String,
    pub(super) key: String,
}

impl Location {
    /// Finds bucket and key. Returns `None` if one of them is missing.
    pub(super) fn of(host: &str, path: &str) -> Option<Self> {
        let (bucket, region) = bucket_and_region(host)?;
        let path = path.strip_prefix('/')?;
        let (bucket, key) = match bucket.is_empty() {
            true => path.split_once('/').map(|(bucket, key)| (decode(bucket), key))?,
            false => (bucket, path),
        };
        (!key.is_empty()).then(|| Self { region, bucket, key: decode(key) })
    }

    pub(super) fn arn(&self) -> String {
        format!("{}/{}", self.bucket_arn(), self.key)
    }

    pub(super) fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", hosts::partition(&self.region), self.bucket)
    }
}

/// Returns bucket and Region of a host name. The bucket is empty in path style.
pub(super) fn bucket_and_region(host: &str) -> Option<(String, String)> {
    let (name, region, suffix) = hosts::split_at_region(host)?;
    if suffix != hosts::partition_of(&region).suffix {
        return None;
    }
    NAMES.into_iter().find_map(|service| {
        let bucket = name.strip_suffix(service)?;
        let bucket = if bucket.is_empty() { bucket } else { bucket.strip_suffix('.')? };
        Some((bucket.to_owned(), region.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_bucket_and_key_in_both_styles() {
        for (host, path, expected) in [
            ("lists.s3.eu-west-1.amazonaws.com", "/a/b%20c.json", Some(("lists", "a/b c.json"))),
            ("lists.s3-fips.dualstack.us-east-1.amazonaws.com", "/x", Some(("lists", "x"))),
            ("s3.eu-west-1.amazonaws.com", "/my.lists/a/b", Some(("my.lists", "a/b"))),
            ("my.lists.s3.cn-north-1.amazonaws.com.cn", "/%C3%A9+", Some(("my.lists", "é+"))),
            ("lists.s3.eu-west-1.amazonaws.com", "/", None),
            ("lists.s3.cn-north-1.amazonaws.com", "/x", None),
            ("listss3.eu-west-1.amazonaws.com", "/x", None),
        ] {
            let found = Location::of(host, path).map(|location| (location.bucket, location.key));
            let expected = expected.map(|(bucket, key)| (bucket.to_owned(), key.to_owned()));
            assert_eq!(found, expected, "{host}{path}");
        }
    }
}
