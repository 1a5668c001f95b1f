//! Options for the creation of ECR repositories.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use image_copy_aws::{Encryption, RepositorySpec, TagMutability};
use serde::de::IgnoredAny;

use super::heading;
use crate::{display, input_file};

/// Maximum size of a policy in bytes. ECR itself accepts less.
const MAX_POLICY_BYTES: u64 = 1 << 20;

/// Options for the creation of ECR repositories.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct CreationArgs {
    /// Create missing repositories in private Amazon ECR. Existing ones are left unchanged. Without the
    /// options below, a creation template of the registry is used if one applies to pushes
    #[arg(long, help_heading = heading::CREATION)]
    pub(crate) create_repositories: bool,

    /// Scan each image of a created repository after its push
    #[arg(long, help_heading = heading::CREATION, requires = "create_repositories")]
    scan_on_push: bool,

    /// Make the tags of a created repository immutable, except those that match a pattern with `*`
    #[arg(long, help_heading = heading::CREATION, requires = "create_repositories", value_name = "EXCEPT,…",
          num_args = 0..=1, require_equals = true, value_delimiter = ',')]
    immutable: Option<Vec<String>>,

    /// Encryption of a created repository: AES256 (the default), KMS, KMS=KEY, or KMS_DSSE
    #[arg(long, help_heading = heading::CREATION, requires = "create_repositories", value_name = "TYPE[=KEY]")]
    encryption: Option<EncryptionArg>,

    /// JSON file with the lifecycle policy of a created repository
    #[arg(long, help_heading = heading::CREATION, requires = "create_repositories", value_name = "FILE")]
    lifecycle: Option<PathBuf>,

    /// JSON file with the repository policy of a created repository
    #[arg(long, help_heading = heading::CREATION, requires = "create_repositories", value_name = "FILE")]
    repository_policy: Option<PathBuf>,

    /// Tags of a created repository itself. Can be repeated
    #[arg(long, help_heading = heading::CREATION, requires = "create_repositories", value_name = "KEY=VALUE,…",
          value_delimiter = ',', value_parser = resource_tag)]
    tags: Vec<(String, String)>,
}

impl CreationArgs {
    /// Returns the settings of created repositories. `None` without `--create-repositories`.
    ///
    /// # Errors
    /// Error line that names the option to change.
    pub(crate) fn spec(&self) -> Result<Option<RepositorySpec>, String> {
        if !self.create_repositories {
            return Ok(None);
        }
        Ok(Some(RepositorySpec {
            mutability: match &self.immutable {
                Some(except) => TagMutability::Immutable { except: except.clone() },
                None => TagMutability::default(),
            },
            scan_on_push: self.scan_on_push,
            encryption: self.encryption.clone().unwrap_or_default().0,
            lifecycle_policy: policy("--lifecycle", self.lifecycle.as_deref())?,
            repository_policy: policy("--repository-policy", self.repository_policy.as_deref())?,
            tags: self.tags.iter().cloned().collect(),
        }))
    }
}

/// Reads a policy. The text is sent to ECR as it is.
fn policy(option: &str, file: Option<&Path>) -> Result<Option<String>, String> {
    let Some(file) = file else { return Ok(None) };
    let name = display::path(file);
    let bytes = input_file::read(file, MAX_POLICY_BYTES).map_err(|error| {
        format!("{option} {name}: the file cannot be read: {}.", display::io_error(&error))
    })?;
    serde_json::from_slice::<IgnoredAny>(&bytes)
        .map_err(|error| format!("{option} {name}: the file is not valid JSON: {error}."))?;
    // Valid JSON is UTF-8.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Value of `--encryption`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct EncryptionArg(Encryption);

impl FromStr for EncryptionArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, key) = match text.split_once('=') {
            Some((kind, key)) if !key.is_empty() => (kind, Some(key.to_owned())),
            Some(_) => return Err("the key is empty".into()),
            None => (text, None),
        };
        match (kind, key) {
            ("AES256", None) => Ok(Self(Encryption::Aes256)),
            ("KMS", key) => Ok(Self(Encryption::Kms(key))),
            ("KMS_DSSE", key) => Ok(Self(Encryption::KmsDsse(key))),
            _ => Err("expected AES256, KMS, KMS=KEY or KMS_DSSE=KEY".into()),
        }
    }
}

fn resource_tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("expected KEY=VALUE".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        creation: CreationArgs,
    }

    fn parse(arguments: &[&str]) -> Result<CreationArgs, String> {
        let all = ["program"].iter().chain(arguments);
        Program::try_parse_from(all).map(|program| program.creation).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_require_the_creation() {
        assert_eq!(parse(&[]).unwrap().spec(), Ok(None));
        let default = parse(&["--create-repositories"]).unwrap().spec();
        assert_eq!(default, Ok(Some(RepositorySpec::default())));
        for setting in ["--scan-on-push", "--immutable", "--encryption=KMS", "--tags=a=b", "--lifecycle=x"] {
            let error = parse(&[setting]).unwrap_err();
            assert!(error.contains("--create-repositories"), "{error}");
        }
    }

    #[test]
    fn parses_all_settings() {
        let summary = |arguments: &[&str]| {
            let all: Vec<_> = ["--create-repositories"].iter().chain(arguments).copied().collect();
            parse(&all).unwrap().spec().unwrap().unwrap().to_string()
        };
        for (arguments, expected) in [
            (&["--immutable"][..], "immutable tags, encryption AES256"),
            (&["--immutable=latest,dev-*"], "immutable tags except latest dev-*, encryption AES256"),
            (&["--encryption", "KMS", "--scan-on-push"], "mutable tags, encryption KMS, scan on push"),
            (
                &["--encryption", "KMS_DSSE=alias/images"],
                "mutable tags, encryption KMS_DSSE with key alias/images",
            ),
            (&["--tags", "a=1,b=", "--tags", "c=x=y"], "mutable tags, encryption AES256, tags a=1 b= c=x=y"),
        ] {
            assert_eq!(summary(arguments), expected);
        }
        for invalid in ["--encryption=AES256=key", "--encryption=KMS=", "--tags=a", "--tags==b"] {
            assert!(parse(&["--create-repositories", invalid]).is_err(), "{invalid}");
        }
    }
}
