//! What the installer decides, read from the environment in this one place.
//!
//! A mistake is told to every Create and Update, for a function that does not start would leave its
//! stacks waiting for an hour. Deletes do without.

mod network;
mod registry_credentials;
mod sources;

use image_copy::copy::{Mirror, PlatformSelection};
use image_copy::oci::Platform;
use image_copy::text::{SanitizedText, name_without_userinfo};

pub(crate) use network::NetworkSettings;
pub(crate) use registry_credentials::RegistryCredential;
pub(crate) use sources::{AllowedSources, SourceNotAllowed};

use crate::input::properties;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What Creates and Updates need, or what is wrong with it, in one line.
    pub(crate) copy: Result<CopySettings, String>,
    /// `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`, `PLAIN_HTTP_HOSTS` and `CA_BUNDLE`.
    /// When one of them is wrong, as if none were set: so far as that goes, Deletes work.
    pub(crate) network: NetworkSettings,
    /// `DELETE_IMAGES`: whether Delete removes what it may; true unless set.
    pub(crate) delete_images: bool,
    /// `STATE_TABLE`: name or ARN of the state table. `None` if it is `none` or not set: Delete then
    /// keeps every image.
    pub(crate) state_table: Option<String>,
    /// `AWS_REGION`, which Lambda sets.
    pub(crate) region: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`, which Lambda sets from the function's logging configuration, else
    /// `RUST_LOG`.
    pub(crate) log_level: Option<String>,
}

/// What may be copied, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CopySettings {
    /// `DEFAULT_PLATFORM`: what is copied when a template names no `Platform`; `linux/amd64` unless
    /// set.
    pub(crate) default_platforms: PlatformSelection,
    /// `ALLOWED_SOURCES`: what may be copied; everything unless set.
    pub(crate) allowed_sources: AllowedSources,
    /// `SOURCE_MIRRORS`: where to read before the registry that the template names.
    pub(crate) mirrors: Vec<Mirror>,
    /// `REGISTRY_CREDENTIALS`: logins for templates that name none.
    pub(crate) registry_credentials: Vec<RegistryCredential>,
}

impl Settings {
    /// Reads variables by way of `lookup`; an empty variable counts as none.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let variable =
            |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let network = NetworkSettings::read(variable);
        Self {
            copy: network.as_ref().map_err(Clone::clone).and_then(|_| CopySettings::read(variable)),
            network: network.unwrap_or_default(),
            // In doubt an image stays: a left-over costs cents, a lost one an outage.
            delete_images: variable("DELETE_IMAGES").is_none_or(|value| value.eq_ignore_ascii_case("true")),
            state_table: variable("STATE_TABLE").filter(|name| !name.eq_ignore_ascii_case("none")),
            region: variable("AWS_REGION"),
            log_level: variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG")),
        }
    }
}

impl CopySettings {
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
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
const MAX_SHOWN: usize = 80;

/// A mistake in a setting, in one line.
fn invalid_setting(name: &str, given: &str, problem: &str) -> String {
    let shown = SanitizedText::quotable(&name_without_userinfo(given), MAX_SHOWN);
    format!("the provider's setting {name} has \"{shown}\", {problem}. Correct the function's environment")
}

fn parse_mirrors(value: Option<&str>) -> Result<Vec<Mirror>, String> {
    Mirror::parse_list(value.unwrap_or_default()).map_err(|error| {
        invalid_setting("SOURCE_MIRRORS", &error.input, &format!("which is not {}", error.expected))
    })
}

fn parse_default_platforms(value: &str) -> Result<PlatformSelection, String> {
    if value.eq_ignore_ascii_case(properties::ALL_PLATFORMS) {
        return Ok(PlatformSelection::All);
    }
    if value.contains(',') {
        return properties::parse_platform_list(value.split(',')).map_err(|error| format!(
            "the provider's setting DEFAULT_PLATFORM is \"{}\": {} is not {}. Correct the function's environment, or set Platform",
            SanitizedText::quotable(value, MAX_SHOWN), error.input, error.expected
        ));
    }
    match value.parse::<Platform>() {
        Ok(platform) => Ok(PlatformSelection::Preferred(platform)),
        Err(error) => Err(format!(
            "the provider's setting DEFAULT_PLATFORM is \"{}\", which is not {}, or all. Correct the function's environment, or set Platform",
            error.input, error.expected
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Settings {
        Settings::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_variables_the_original_providers_behaviour_holds() {
        let settings = read(&[]);
        let copy = settings.copy.unwrap();
        assert_eq!(copy.default_platforms, PlatformSelection::Preferred("linux/amd64".parse().unwrap()));
        assert!(
            copy.allowed_sources.check(&"python".parse().unwrap()).is_ok()
                && copy.registry_credentials.is_empty()
        );
        assert_eq!(settings.network, NetworkSettings::default());
        assert!(settings.delete_images);
    }

    #[test]
    fn images_are_deleted_only_when_that_is_clearly_wanted() {
        for (value, expected) in [("true", true), ("TRUE", true), ("", true), ("false", false), ("no", false)]
        {
            assert_eq!(read(&[("DELETE_IMAGES", value)]).delete_images, expected, "{value}");
        }
    }

    #[test]
    fn there_is_no_state_table_unless_one_is_named() {
        for (value, expected) in [("state", Some("state")), ("none", None), ("None", None), ("", None)] {
            assert_eq!(read(&[("STATE_TABLE", value)]).state_table.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_default_platform_that_is_none_is_told_in_one_line() {
        let all = read(&[("DEFAULT_PLATFORM", "All")]).copy.unwrap();
        assert_eq!(all.default_platforms, PlatformSelection::All);
        let error = read(&[("DEFAULT_PLATFORM", "arm")]).copy.unwrap_err();
        assert!(
            error.starts_with("the provider's setting DEFAULT_PLATFORM is \"arm\", which is not"),
            "{error}"
        );
    }

    #[test]
    fn every_wrong_setting_is_told_in_one_line_and_read_as_if_it_were_not_there() {
        for (name, value) in [
            ("DEFAULT_PLATFORM", "arm"),
            ("ALLOWED_SOURCES", "docker.io/*/x"),
            ("REGISTRY_CREDENTIALS", "quay.io"),
            ("SOURCE_MIRRORS", "docker.io/library"),
            ("PLAIN_HTTP_HOSTS", "http://registry:5000"),
            ("CA_BUNDLE", "/nonexistent/ca.pem"),
            ("AWS_USE_FIPS_ENDPOINT", "yes"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "1"),
        ] {
            let settings = read(&[(name, value)]);
            let error = settings.copy.unwrap_err();
            assert!(error.starts_with(&format!("the provider's setting {name} ")), "{error}");
            assert!(error.contains(value) && !error.contains('\n'), "{error}");
            assert_eq!(settings.network, NetworkSettings::default());
        }
    }

    #[test]
    fn a_wrong_setting_is_quoted_without_a_login() {
        for (name, value) in [
            ("DEFAULT_PLATFORM", "https://me:planted@h"),
            ("DEFAULT_PLATFORM", "linux/arm64,https://me:planted@h"),
            ("ALLOWED_SOURCES", "https://me:planted@h/app"),
            ("REGISTRY_CREDENTIALS", "me:planted@h:5000"),
            ("REGISTRY_CREDENTIALS", "https://me:planted@h=arn"),
            ("REGISTRY_CREDENTIALS", "quay.io=https://me:planted@h"),
            ("SOURCE_MIRRORS", "docker.io=https://me:planted@h/app"),
            ("PLAIN_HTTP_HOSTS", "http://me:planted@h:5000"),
            ("PLAIN_HTTP_HOSTS", "me:planted@h:5000"),
        ] {
            let error = read(&[(name, value)]).copy.unwrap_err();
            assert!(error.contains("***@h") && !error.contains("planted"), "{error}");
        }
    }
}
