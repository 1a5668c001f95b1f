//! Bucket and key of an object.

use std::fmt;
use std::str::FromStr;

use image_copy::text::SanitizedText;
use serde::{Deserialize, Serialize};

/// Bucket and key of an object. Displays `s3://bucket/key`. In JSON, the fields are `Bucket` and `Key`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", try_from = "Fields")]
pub struct ObjectLocation {
    /// Name of the bucket.
    pub bucket: String,
    /// Key of the object.
    pub key: String,
}

/// Text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{input}\", which is not an object in S3 (s3://bucket/key)")]
pub struct InvalidObjectLocation {
    /// Start of the text.
    pub input: SanitizedText,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Fields {
    bucket: String,
    key: String,
}

impl TryFrom<Fields> for ObjectLocation {
    type Error = InvalidObjectLocation;

    fn try_from(Fields { bucket, key }: Fields) -> Result<Self, InvalidObjectLocation> {
        let location = Self { bucket, key };
        if location.is_valid() { Ok(location) } else { Err(invalid(&location.to_string())) }
    }
}

impl ObjectLocation {
    /// Returns true if both names are valid. A bucket becomes a part of the host, so it must not contain `/`.
    ///
    /// Rules of buckets:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>. Rules of keys:
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>.
    pub(super) fn is_valid(&self) -> bool {
        let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bucket = self.bucket.as_bytes();
        (3..=63).contains(&bucket.len())
            && bucket.iter().all(|byte| is_alphanumeric(byte) || b".-".contains(byte))
            && [bucket.first(), bucket.last()].into_iter().flatten().all(is_alphanumeric)
            && !self.bucket.contains("..")
            && (1..=1024).contains(&self.key.len())
    }
}

impl fmt::Display for ObjectLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

impl FromStr for ObjectLocation {
    type Err = InvalidObjectLocation;

    fn from_str(text: &str) -> Result<Self, InvalidObjectLocation> {
        let parts = text.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
        parts
            .map(|(bucket, key)| Self { bucket: bucket.into(), key: key.into() })
            .filter(Self::is_valid)
            .ok_or_else(|| invalid(text))
    }
}

fn invalid(text: &str) -> InvalidObjectLocation {
    /// Maximum length of the text in a message, in characters.
    const MAX_CHARS: usize = 200;
    InvalidObjectLocation { input: SanitizedText::quotable(text, MAX_CHARS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints_a_location() {
        let location: ObjectLocation = "s3://my.bucket-1/runs/a b/ü.json".parse().unwrap();
        assert_eq!((location.bucket.as_str(), location.key.as_str()), ("my.bucket-1", "runs/a b/ü.json"));
        assert_eq!(location.to_string(), "s3://my.bucket-1/runs/a b/ü.json");
        let json = serde_json::to_string(&location).unwrap();
        assert_eq!(json, r#"{"Bucket":"my.bucket-1","Key":"runs/a b/ü.json"}"#);
        assert_eq!(serde_json::from_str::<ObjectLocation>(&json).unwrap(), location);
    }

    #[test]
    fn rejects_other_text_in_one_line() {
        let long_key = format!("s3://bucket/{}", "k".repeat(1025));
        for wrong in [
            "",
            "bucket/key",
            "s3://bucket",
            "s3://bucket/",
            "s3:///key",
            "s3://ab/key",
            "s3://Bucket/key",
            "s3://evil.example:1/key",
            "s3://user@evil/key",
            "s3://a..b/key",
            "s3://-ab/key",
            "s3://ab./key",
            "s3://bucket\n/key",
            &long_key,
            "https://bucket.s3.amazonaws.com/key",
        ] {
            let error = wrong.parse::<ObjectLocation>().unwrap_err().to_string();
            assert!(error.ends_with("is not an object in S3 (s3://bucket/key)"), "{error}");
            assert!(error.chars().count() < 300 && !error.contains('\n'), "{error}");
        }
        for wrong in
            [r#"{"Bucket":"evil.example/","Key":"a"}"#, r#"{"Bucket":"abc","Key":"a","Region":"b"}"#, "{}"]
        {
            assert!(serde_json::from_str::<ObjectLocation>(wrong).is_err(), "{wrong}");
        }
    }
}
