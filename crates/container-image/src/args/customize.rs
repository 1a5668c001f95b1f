//! Arguments that change the copied images.

use std::path::PathBuf;

use clap::Args;

use super::heading;

/// Changes to each platform of the copied image.
#[derive(Debug, Args)]
pub(crate) struct CustomizeArgs {
    /// Change each platform by the Dockerfile lines in FILE, without a container engine. `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "include_referrers", help_heading = heading::CUSTOMIZATION)]
    pub(crate) customize: Option<PathBuf>,

    /// Set an environment variable in each platform. Can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "include_referrers", help_heading = heading::CUSTOMIZATION)]
    pub(crate) env: Vec<(String, String)>,

    /// Set a label in each platform. Can be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair, conflicts_with = "include_referrers", help_heading = heading::CUSTOMIZATION)]
    pub(crate) label: Vec<(String, String)>,

    /// Add a volume to each platform. Can be repeated
    #[arg(long, value_name = "PATH", value_parser = volume, conflicts_with = "include_referrers", help_heading = heading::CUSTOMIZATION)]
    pub(crate) volume: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    // A line of a Dockerfile ends at a line break.
    let is_valid = |name: &str| !name.is_empty() && !text.contains(['\n', '\r', '\0']);
    match text.split_once('=') {
        Some((name, value)) if is_valid(name) => Ok((name.into(), value.into())),
        _ => Err("expected NAME=VALUE in one line".into()),
    }
}

fn volume(text: &str) -> Result<String, String> {
    match text.starts_with('/') && !text.chars().any(char::is_control) {
        true => Ok(text.into()),
        false => Err("expected an absolute path, such as /data".into()),
    }
}
