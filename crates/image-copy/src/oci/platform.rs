//! What an image runs on.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::ParseError;

/// Operating system, architecture and variant that an image was built for.
///
/// Own type, because `oci_spec::image::Platform` drops `os.version` and `os.features` and refuses
/// entries that leave out a field.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Platform {
    /// Operating system by Go's name, such as `linux`.
    #[serde(default)]
    pub os: String,
    /// Architecture by Go's name, such as `arm64`.
    #[serde(default)]
    pub architecture: String,
    /// Variant of the architecture, such as `v7`.
    #[serde(default, deserialize_with = "empty_is_none")]
    pub variant: Option<String>,
    /// Version of the operating system, on Windows.
    #[serde(default, rename = "os.version", deserialize_with = "empty_is_none")]
    pub os_version: Option<String>,
}

fn empty_is_none<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

impl Platform {
    /// Whether this is what attestations carry in place of a platform
    /// (<https://docs.docker.com/build/metadata/attestations/attestation-storage/>).
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown" || self.os.is_empty()
    }

    /// Whether an image built for `self` is what a request for `wanted` means.
    ///
    /// A variant or OS version counts only when asked for. No fallback as at run time: who asks for
    /// `amd64` is not handed `386`.
    #[must_use]
    pub fn satisfies(&self, wanted: &Self) -> bool {
        let (own, wanted) = (self.normalized(), wanted.normalized());
        own.os == wanted.os
            && own.architecture == wanted.architecture
            && (wanted.variant.is_none() || own.variant == wanted.variant)
            && (wanted.os_version.is_none() || own.os_version == wanted.os_version)
    }

    /// The same platform under the names that Go uses
    /// (<https://github.com/containerd/platforms/blob/main/database.go>).
    #[must_use]
    pub fn normalized(&self) -> Self {
        let os = self.os.to_ascii_lowercase();
        let variant = self.variant.as_deref().map(str::to_ascii_lowercase);
        let architecture = self.architecture.to_ascii_lowercase();
        let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
            ("aarch64" | "arm64", None | Some("8" | "v8")) => ("arm64", None),
            ("aarch64", other) => ("arm64", other),
            ("x86_64" | "x86-64" | "amd64", None | Some("v1")) => ("amd64", None),
            ("x86_64" | "x86-64", other) => ("amd64", other),
            ("i386", _) => ("386", None),
            ("armhf", _) | ("arm", None | Some("7")) => ("arm", Some("v7")),
            ("armel", _) | ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            (other, variant) => (other, variant),
        };
        Self {
            os: if os == "macos" { "darwin".into() } else { os },
            architecture: architecture.into(),
            variant: variant.map(Into::into),
            os_version: self.os_version.clone(),
        }
    }
}

impl FromStr for Platform {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const EXPECTED: &str = "a platform: expected os/architecture or os/architecture/variant, such as linux/arm64 or linux/arm/v7";
        let parts: Vec<&str> = text.trim().split('/').collect();
        let valid = |part: &&str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        let (2 | 3) = parts.len() else { return Err(ParseError::new(text, EXPECTED)) };
        if !parts.iter().all(valid) {
            return Err(ParseError::new(text, EXPECTED));
        }
        let platform = Self {
            os: parts[0].into(),
            architecture: parts[1].into(),
            variant: parts.get(2).map(|&variant| variant.into()),
            os_version: None,
        };
        Ok(platform)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(image: &str, wanted: &str, expected: bool) {
        let (image, wanted): (Platform, Platform) = (image.parse().unwrap(), wanted.parse().unwrap());
        assert_eq!(image.satisfies(&wanted), expected, "{image} for {wanted}");
    }

    #[test]
    fn matches_names_that_mean_the_same_and_nothing_lesser() {
        check("linux/arm64/v8", "linux/arm64", true);
        check("linux/arm64", "linux/aarch64", true);
        check("linux/amd64", "Linux/x86_64", true);
        check("linux/386", "linux/amd64", false);
        check("linux/arm/v6", "linux/arm/v7", false);
        check("linux/arm/v6", "linux/arm", false);
        check("linux/arm/v7", "linux/arm", true);
        check("linux/amd64/v3", "linux/amd64", true);
        check("windows/amd64", "linux/amd64", false);
    }

    #[test]
    fn refuses_what_is_not_a_platform() {
        for wrong in ["", "linux", "linux-arm64", "linux/arm/v7/x", "linux/", "linux/a b"] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_an_entry_with_missing_fields() {
        let platform: Platform = serde_json::from_str(
            r#"{"os.version":"10.0.1","os":"windows","architecture":"amd64","variant":""}"#,
        )
        .unwrap();
        assert_eq!(platform.os_version.as_deref(), Some("10.0.1"));
        assert_eq!(platform.to_string(), "windows/amd64");
        assert!(serde_json::from_str::<Platform>("{}").unwrap().is_unknown());
    }
}
