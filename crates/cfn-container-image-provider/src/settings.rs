//! What the installer decides, read from the environment in this one place.

use image_copy::copy::Platforms;
use image_copy::oci::Platform;

use crate::properties;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// `DEFAULT_PLATFORM`: what is copied when a template names no `Platform`; `linux/amd64` unless
    /// set. An error is told to every Create and Update, for a function that does not start would
    /// leave its stacks waiting for an hour.
    pub(crate) default_platforms: Result<Platforms, String>,
    /// `DELETE_IMAGES`: whether Delete removes what it may; true unless set.
    pub(crate) delete_images: bool,
    /// `COPY_RECORDS`: whether records and claims are kept in the images' repositories; true unless
    /// set. Without them Delete keeps every image.
    pub(crate) copy_records: bool,
    /// `AWS_REGION`, which Lambda sets.
    pub(crate) region: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`, which Lambda sets from the function's logging configuration, else
    /// `RUST_LOG`.
    pub(crate) log_level: Option<String>,
}

impl Settings {
    /// Reads variables by way of `lookup`; an empty variable counts as none.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let variable =
            |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let platform = variable("DEFAULT_PLATFORM").unwrap_or_else(|| "linux/amd64".into());
        Self {
            default_platforms: default_platforms(&platform),
            // In doubt an image stays: a left-over costs cents, a lost one an outage.
            delete_images: variable("DELETE_IMAGES").is_none_or(|value| value.eq_ignore_ascii_case("true")),
            copy_records: variable("COPY_RECORDS").is_none_or(|value| value.eq_ignore_ascii_case("true")),
            region: variable("AWS_REGION"),
            log_level: variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG")),
        }
    }
}

fn default_platforms(value: &str) -> Result<Platforms, String> {
    if value.eq_ignore_ascii_case(properties::ALL_PLATFORMS) {
        return Ok(Platforms::All);
    }
    if value.contains(',') {
        return properties::several(value.split(',')).map_err(|error| format!(
            "the provider's setting DEFAULT_PLATFORM is \"{value}\": {} is not {}. Correct the function's environment, or set Platform",
            error.given, error.expected
        ));
    }
    match value.parse::<Platform>() {
        Ok(platform) => Ok(Platforms::Preferred(platform)),
        Err(error) => Err(format!(
            "the provider's setting DEFAULT_PLATFORM is \"{}\", which is not {}, or all. Correct the function's environment, or set Platform",
            error.given, error.expected
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
        assert_eq!(settings.default_platforms, Ok(Platforms::Preferred("linux/amd64".parse().unwrap())));
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
    fn a_default_platform_that_is_none_is_told_in_one_line() {
        assert_eq!(read(&[("DEFAULT_PLATFORM", "All")]).default_platforms, Ok(Platforms::All));
        let error = read(&[("DEFAULT_PLATFORM", "arm")]).default_platforms.unwrap_err();
        assert!(
            error.starts_with("the provider's setting DEFAULT_PLATFORM is \"arm\", which is not"),
            "{error}"
        );
    }
}
