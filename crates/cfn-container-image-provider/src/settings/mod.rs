//! Settings of the installation. Only this module reads the environment.
//!
//! An invalid setting fails every Create and Update with a message: if the function did not start, stacks
//! would wait for an hour. Deletes still work.

mod network;

use image_copy_aws::CopySettings;

pub(crate) use network::NetworkSettings;

/// The provider's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Settings of Create and Update, or a one-line error.
    pub(crate) copy: Result<CopySettings, String>,
    /// `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`, `PLAIN_HTTP_HOSTS` and `CA_BUNDLE`. If one of
    /// them is invalid, none is used, so that Deletes work without them.
    pub(crate) network: NetworkSettings,
    /// `DELETE_IMAGES`: true if Delete deletes images. The default is true.
    pub(crate) delete_images: bool,
    /// `STATE_TABLE`: name or ARN of the state table. `None` if it is `none` or not set: then Delete keeps
    /// every image.
    pub(crate) state_table: Option<String>,
    /// `AWS_REGION`, which Lambda sets.
    pub(crate) region: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`, which Lambda sets from the function's logging configuration, or `RUST_LOG`.
    pub(crate) log_level: Option<String>,
}

impl Settings {
    /// Reads variables with `lookup`. An empty variable counts as missing.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let variable =
            |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let network = NetworkSettings::read(variable);
        Self {
            copy: network.as_ref().map_err(Clone::clone).and_then(|_| CopySettings::read(variable)),
            network: network.unwrap_or_default(),
            // An unclear value keeps images: a leftover image costs cents, a missing one an outage.
            delete_images: variable("DELETE_IMAGES").is_none_or(|value| value.eq_ignore_ascii_case("true")),
            state_table: variable("STATE_TABLE").filter(|name| !name.eq_ignore_ascii_case("none")),
            region: variable("AWS_REGION"),
            log_level: variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG")),
        }
    }
}

#[cfg(test)]
mod tests {
    use image_copy::copy::PlatformSelection;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Settings {
        Settings::read(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_are_those_of_the_original_provider() {
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
    fn images_are_deleted_only_if_delete_images_is_true() {
        for (value, expected) in [("true", true), ("TRUE", true), ("", true), ("false", false), ("no", false)]
        {
            assert_eq!(read(&[("DELETE_IMAGES", value)]).delete_images, expected, "{value}");
        }
    }

    #[test]
    fn the_state_table_is_optional() {
        for (value, expected) in [("state", Some("state")), ("none", None), ("None", None), ("", None)] {
            assert_eq!(read(&[("STATE_TABLE", value)]).state_table.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn an_invalid_default_platform_is_a_one_line_error() {
        let all = read(&[("DEFAULT_PLATFORM", "All")]).copy.unwrap();
        assert_eq!(all.default_platforms, PlatformSelection::All);
        let error = read(&[("DEFAULT_PLATFORM", "arm")]).copy.unwrap_err();
        assert!(
            error.starts_with("The provider's parameter DefaultPlatform is invalid: \"arm\" is not"),
            "{error}"
        );
    }

    #[test]
    fn an_invalid_setting_is_a_one_line_error_and_is_not_used() {
        for (name, parameter, value) in [
            ("DEFAULT_PLATFORM", "DefaultPlatform", "arm"),
            ("ALLOWED_SOURCES", "AllowedSources", "docker.io/*/x"),
            ("REGISTRY_CREDENTIALS", "RegistryCredentials", "quay.io"),
            ("SOURCE_MIRRORS", "SourceMirrors", "docker.io/library"),
            ("PLAIN_HTTP_HOSTS", "PlainHttpHosts", "http://registry:5000"),
            ("CA_BUNDLE", "CaBundle", "/nonexistent/ca.pem"),
            ("AWS_USE_FIPS_ENDPOINT", "UseFipsEndpoints", "yes"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "UseDualStackEndpoints", "1"),
        ] {
            let settings = read(&[(name, value)]);
            let error = settings.copy.unwrap_err();
            assert!(
                error.starts_with(&format!("The provider's parameter {parameter} is invalid: ")),
                "{error}"
            );
            assert!(error.contains(value) && !error.contains('\n'), "{error}");
            assert_eq!(settings.network, NetworkSettings::default());
        }
    }

    #[test]
    fn errors_contain_no_passwords() {
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
