//! What an image runs on.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::ParseError;

/// Operating system, architecture and variant that an image was built for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    /// Operating system by Go's name, such as `linux`.
    pub os: String,
    /// Architecture by Go's name, such as `arm64`.
    pub architecture: String,
    /// Variant of the architecture, such as `v7`.
    pub variant: Option<String>,
    /// Version of the operating system, on Windows.
    pub os_version: Option<String>,
}

/// Maximum length of a part of a platform in characters. The longest in use have eleven.
const PART_CHARS: usize = 32;

/// Maximum length of the version of an operating system in characters.
const VERSION_CHARS: usize = 64;

/// A platform as an index or a config states it, before it is checked.
///
/// Own type, because `oci_spec::image::Platform` drops `os.version` and refuses entries that leave out a
/// field.
#[derive(Deserialize)]
pub(crate) struct UnvalidatedPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
}

/// Parts can be empty or missing: attestations and artifacts have no platform.
impl TryFrom<UnvalidatedPlatform> for Platform {
    type Error = ParseError;

    fn try_from(stated: UnvalidatedPlatform) -> Result<Self, ParseError> {
        const VERSION: &str = "an os.version: expected at most 64 printable ASCII characters";
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let platform = Self {
            os: stated.os.unwrap_or_default(),
            architecture: stated.architecture.unwrap_or_default(),
            variant: given(stated.variant),
            os_version: given(stated.os_version),
        };
        let parts = [Some(&platform.os), Some(&platform.architecture), platform.variant.as_ref()];
        if !parts.into_iter().flatten().all(|part| part.is_empty() || is_part(part)) {
            return Err(ParseError::new(&platform.to_string(), EXPECTED));
        }
        // Homebrew's bottles have versions such as "macOS 14.4.1".
        let is_version =
            |text: &String| text.len() <= VERSION_CHARS && text.bytes().all(|b| matches!(b, b' '..=b'~'));
        match platform.os_version.as_ref().filter(|text| !is_version(text)) {
            Some(version) => Err(ParseError::new(version, VERSION)),
            None => Ok(platform),
        }
    }
}

const EXPECTED: &str =
    "a platform: expected os/architecture or os/architecture/variant, such as linux/arm64 or linux/arm/v7";

fn is_part(text: &str) -> bool {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=PART_CHARS).contains(&text.len()) && text.bytes().all(valid)
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
        let parts: Vec<&str> = text.trim().split('/').collect();
        let (2 | 3) = parts.len() else { return Err(ParseError::new(text, EXPECTED)) };
        if !parts.iter().all(|part| is_part(part)) {
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

    fn stated(document: &str) -> Result<Platform, ParseError> {
        serde_json::from_str::<UnvalidatedPlatform>(document).unwrap().try_into()
    }

    #[test]
    fn reads_an_entry_with_missing_fields() {
        let platform =
            stated(r#"{"os.version":"10.0.1","os":"windows","architecture":"amd64","variant":""}"#).unwrap();
        assert_eq!(platform.os_version.as_deref(), Some("10.0.1"));
        assert_eq!(platform.to_string(), "windows/amd64");
        for unknown in
            ["{}", r#"{"os":"","architecture":null}"#, r#"{"os":"unknown","architecture":"unknown"}"#]
        {
            assert!(stated(unknown).unwrap().is_unknown(), "{unknown}");
        }
    }

    #[test]
    fn accepts_the_grammar_of_platforms_and_nothing_else() {
        for valid in [
            r#"{"os":"windows","architecture":"amd64","os.version":"10.0.17763.1","os.features":["win32k"]}"#,
            r#"{"os":"darwin","architecture":"arm64","os.version":"macOS 14.4.1"}"#,
            r#"{"os":"wasip1","architecture":"wasm"}"#,
            r#"{"os":"linux","architecture":"arm","variant":"v7","features":["sse4"]}"#,
        ] {
            assert!(stated(valid).is_ok(), "{valid}");
        }
        let long = "x".repeat(33);
        for (field, text) in [
            ("os", r"linux\u001b[31m"),
            ("os", "lin ux"),
            ("architecture", "am/d64"),
            ("architecture", long.as_str()),
            ("variant", r"v\u202e7"),
            ("variant", r"v7\n"),
            ("os.version", r"10\u0007"),
            ("os.version", r"10\u200b"),
        ] {
            let document = format!(r#"{{"{field}":"{text}"}}"#);
            let error = stated(&document).unwrap_err().to_string();
            assert!(error.chars().all(crate::text::is_visible), "{error}");
        }
    }
}
