//! Options of the commands that reach registries.

use std::env;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use image_copy::oci::Registry;

use super::heading;

/// Options of the commands that reach registries.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConnectionArgs {
    /// File of docker login, podman login or skopeo login. No other file with credentials is read. Default:
    /// $REGISTRY_AUTH_FILE
    #[arg(long, value_name = "FILE", help_heading = heading::REGISTRIES)]
    pub(crate) authfile: Option<PathBuf>,

    /// Registry without TLS, as host and port. Can be repeated. Registries on this machine need no entry
    #[arg(long, value_name = "HOST", help_heading = heading::REGISTRIES)]
    pub(crate) plain_http: Vec<Registry>,

    /// PEM file with CA certificates to trust in addition to the system's
    // The project's fault reproducers pass the alias. No help shows it.
    #[arg(long, alias = "certificate-authority", value_name = "FILE", help_heading = heading::REGISTRIES)]
    pub(crate) ca_file: Option<PathBuf>,

    /// AWS profile for Amazon ECR and ECR Public. It overrides AWS_PROFILE and credentials in the environment
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new(), help_heading = heading::REGISTRIES)]
    pub(crate) profile: Option<String>,

    /// AWS Region of stacks, tables and AWS STS. ECR is called in the Region of the registry. Default: AWS_REGION, the
    /// profile's Region, the registry's Region
    #[arg(long, value_name = "REGION", value_parser = region, help_heading = heading::REGISTRIES)]
    pub(crate) region: Option<String>,
}

/// Options of the commands that reach only AWS.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct AwsArgs {
    /// AWS profile. It overrides AWS_PROFILE and credentials in the environment
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    profile: Option<String>,

    /// AWS Region. Default: AWS_REGION, AWS_DEFAULT_REGION, the profile's Region
    #[arg(long, value_name = "REGION", value_parser = region)]
    region: Option<String>,

    /// PEM file with CA certificates to trust in addition to the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl AwsArgs {
    /// Returns the options of a connection without registries.
    pub(crate) fn connection(&self) -> ConnectionArgs {
        let Self { profile, region, ca_file } = self.clone();
        ConnectionArgs { ca_file, profile, region, ..ConnectionArgs::default() }
    }
}

impl ConnectionArgs {
    /// Returns the AWS profile that the user selected.
    pub(crate) fn aws_profile(&self) -> Option<String> {
        let variable = || env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
        self.profile.clone().or_else(variable)
    }
}

/// The SDK puts the Region into host names.
fn region(text: &str) -> Result<String, String> {
    let is_valid = text.contains('-')
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_valid { Ok(text.into()) } else { Err("expected a Region such as eu-west-1".into()) }
}
