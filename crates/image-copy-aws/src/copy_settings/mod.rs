//! Settings of the function that determine a copy. The command line reads them from the function's configuration.

mod registry_credentials;
mod sources;

use image_copy::copy::{Mirror, PlatformSelection};
use image_copy::oci::Platform;
use image_copy::text::{SanitizedText, name_without_userinfo};

use crate::properties;

pub use registry_credentials::RegistryCredential;
pub use sources::{AllowedSources, SourceNotAllowed};

/// Settings of Create and Update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySettings {
    /// `DEFAULT_PLATFORM`: selection for resources without `Platform`. The default is `linux/amd64`.
    pub default_platforms: PlatformSelection,
    /// `ALLOWED_SOURCES`: allowed source repositories. The default is all.
    pub allowed_sources: AllowedSources,
    /// `SOURCE_MIRRORS`: mirrors that are read before the source registry.
    pub mirrors: Vec<Mirror>,
    /// `REGISTRY_CREDENTIALS`: credentials for resources without `CredentialArn`.
    pub registry_credentials: Vec<RegistryCredential>,
}

impl CopySettings {
    /// Reads the function's variables with `variable`, which returns `None` for an empty one.
    ///
    /// # Errors
    /// One line about the first invalid setting.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let platform = variable("DEFAULT_PLATFORM").unwrap_or_else(|| "linux/amd64".into());
        Ok(Self {
            default_platforms: parse_default_platforms(&platform)?,
            allowed_sources: AllowedSources::parse(variable("ALLOWED_SOURCES").as_deref())?,
            mirrors: parse_mirrors(variable("SOURCE_MIRRORS").as_deref())?,
            registry_credentials: registry_credentials::parse(variable("REGISTRY_CREDENTIALS").as_deref())?,
        })
    }
}

/// Maximum length of a value in a message, in characters.
const MAX_VALUE_CHARS: usize = 80;

/// Describes an invalid value of a parameter of the provider's stack, in one line without a full stop.
/// `problem` continues the sentence that starts with the value.
#[must_use]
pub fn invalid_setting(parameter: &str, value: &str, problem: &str) -> String {
    let shown = SanitizedText::quotable(&name_without_userinfo(value), MAX_VALUE_CHARS);
    format!("The provider's parameter {parameter} is invalid: \"{shown}\" {problem}")
}

fn parse_mirrors(value: Option<&str>) -> Result<Vec<Mirror>, String> {
    Mirror::parse_list(value.unwrap_or_default()).map_err(|error| {
        invalid_setting("SourceMirrors", &error.input, &format!("is not {}", error.expected))
    })
}

fn parse_default_platforms(value: &str) -> Result<PlatformSelection, String> {
    if value.eq_ignore_ascii_case(properties::ALL_PLATFORMS) {
        return Ok(PlatformSelection::All);
    }
    let selection = match value.contains(',') {
        true => properties::parse_platform_list(value.split(',')),
        false => value.parse::<Platform>().map(PlatformSelection::Preferred),
    };
    selection.map_err(|error| {
        invalid_setting("DefaultPlatform", &error.input, &format!("is not {}, or all", error.expected))
    })
}
