//! Platforms: operating system and architecture of an image.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::ParseError;

/// Operating system, architecture and variant of an image.
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

/// Maximum length of operating system, architecture and variant in characters. The longest in use have
/// eleven.
const MAX_FIELD_CHARS: usize = 32;

/// Maximum length of the version of an operating system in characters.
const MAX_VERSION_CHARS: usize = 64;

/// A platform in an index or a config, before validation.
///
/// `oci_spec::image::Platform` drops `os.version` and rejects entries without all fields.
#[derive(Deserialize)]
pub(crate) struct UnvalidatedPlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
}

/// Fields can be empty or missing, because attestations and artifacts have no platform.
impl TryFrom<UnvalidatedPlatform> for Platform {
    type Error = ParseError;

    fn try_from(stated: UnvalidatedPlatform) -> Result<Self, ParseError> {
        const VERSION: &str = "an os.version: expected at most 64 printable ASCII characters";
        let non_empty = |text: Option<String>| text.filter(|text| !text.is_empty());
        let platform = Self {
            os: stated.os.unwrap_or_default(),
            architecture: stated.architecture.unwrap_or_default(),
            variant: non_empty(stated.variant),
            os_version: non_empty(stated.os_version),
        };
        let fields = [Some(&platform.os), Some(&platform.architecture), platform.variant.as_ref()];
        if !fields.into_iter().flatten().all(|field| field.is_empty() || is_field(field)) {
            return Err(ParseError::new(&platform.to_string(), EXPECTED));
        }
        // Homebrew bottles have versions such as "macOS 14.4.1".
        let is_version =
            |text: &String| text.len() <= MAX_VERSION_CHARS && text.bytes().all(|b| matches!(b, b' '..=b'~'));
        match platform.os_version.as_ref().filter(|text| !is_version(text)) {
            Some(version) => Err(ParseError::new(version, VERSION)),
            None => Ok(platform),
        }
    }
}

const EXPECTED: &str =
    "a platform: expected os/architecture or os/architecture/variant, such as linux/arm64 or linux/arm/v7";

fn is_field(text: &str) -> bool {
    let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=MAX_FIELD_CHARS).contains(&text.len()) && text.bytes().all(valid)
}

impl Platform {
    /// Returns true for the placeholder of attestations
    /// (<https://docs.docker.com/build/metadata/attestations/attestation-storage/>).
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.os == "unknown" || self.architecture == "unknown" || self.os.is_empty()
    }

    /// Returns true if an image for `self` satisfies a request for `wanted`.
    ///
    /// Variant and OS version are compared only if the request contains them. There is no fallback as at run
    /// time: an image for `386` does not satisfy a request for `amd64`.
    #[must_use]
    pub fn satisfies(&self, wanted: &Self) -> bool {
        let (own, wanted) = (self.normalized(), wanted.normalized());
        own.os == wanted.os
            && own.architecture == wanted.architecture
            && (wanted.variant.is_none() || own.variant == wanted.variant)
            && (wanted.os_version.is_none() || own.os_version == wanted.os_version)
    }

    /// Returns the platform with Go's names
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
        if !parts.iter().all(|part| is_field(part)) {
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
    fn matches_synonyms_but_no_fallback() {
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
    fn rejects_invalid_platforms() {
        for wrong in ["", "linux", "linux-arm64", "linux/arm/v7/x", "linux/", "linux/a b"] {
            assert!(wrong.parse::<Platform>().is_err(), "{wrong}");
        }
    }

    fn stated(document: &str) -> Result<Platform, ParseError> {
        serde_json::from_str::<UnvalidatedPlatform>(document).unwrap().try_into()
    }

    #[test]
    fn parses_an_entry_with_missing_fields() {
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
    fn accepts_only_the_grammar_of_platforms() {
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
