//! Arguments of `tags`.

use std::num::NonZeroUsize;
use std::str::FromStr;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use image_copy::list::{TagPattern, TagRules};
use image_copy::oci::{ParseError, Reference, Repository, Tag};
use semver::VersionReq;

use super::{ConnectionArgs, credentials_help, heading, update};

const EXAMPLES: &str = concat!(
    "\
Examples:
  Print the newest three versions, with the reason for each tag:
    container-image tags python --newest 3 --all

  Print the versions in a range, also those with the suffix -slim:
    container-image tags python --semver '^3.12' --include '*' \\
      --include '*-slim'

  Print complete versions only, without 3 and 3.13:
    container-image tags python --semver '^3' --include '*.*.*'

  Print the decisions of a list's tag rules:
    container-image tags --rules images.yaml --all

An exact tag is in. Another tag is in if it passes all other rules, unless there
are only exact tags. Of a rule that is repeated, one value is enough.

--semver, --suffix and --newest accept versions such as 3.13 and v3.13. Other
text before or after the version must be --suffix, or the start or the end of
--include. These rules exclude pre-releases and dates, unless --semver names
one.

Registries do not count the request as a pull.

",
    credentials_help!(),
    "

Exit codes: 0 success, 1 failure, 2 invalid usage, 130 interrupted,
143 terminated."
);

/// Arguments of `tags`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct TagsArgs {
    #[arg(
        help = "Repository: [registry/]repository. With --rules, only its rules are applied",
        required_unless_present = "list"
    )]
    pub(crate) repository: Option<RepositoryArg>,

    #[command(flatten)]
    pub(crate) rules: TagRuleArgs,

    /// Apply the tag rules of a list, which `-` reads from standard input. Prints complete references
    #[arg(
        id = "list",
        long = "rules",
        help_heading = heading::RULES,
        value_name = "LIST",
        conflicts_with_all = ["exact", "semver", "include", "exclude", "suffix", "newest"]
    )]
    pub(crate) list: Option<String>,

    /// Print all tags, each with the reason for which it is in or out
    #[arg(long)]
    pub(crate) all: bool,

    /// Print a JSON document with all tags and reasons
    #[arg(long, conflicts_with = "all")]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

/// Rules that select tags.
#[derive(Debug, Args)]
pub(crate) struct TagRuleArgs {
    /// Tag that is always in. Can be repeated
    #[arg(long, help_heading = heading::RULES, value_name = "TAG")]
    pub(crate) exact: Vec<Tag>,

    /// Versions in a range such as '^3.9' or '>=1.2, <2'. Can be repeated
    #[arg(long, help_heading = heading::RULES, value_name = "RANGE", value_parser = update::range)]
    pub(crate) semver: Vec<VersionReq>,

    /// Tags that match a pattern with *. Can be repeated
    #[arg(long, help_heading = heading::RULES, value_name = "GLOB")]
    pub(crate) include: Vec<TagPattern>,

    /// No tags that match a pattern with *. Can be repeated
    #[arg(long, help_heading = heading::RULES, value_name = "GLOB")]
    pub(crate) exclude: Vec<TagPattern>,

    /// Versions with this text after them, such as -slim. Default: no text
    #[arg(long, help_heading = heading::RULES, value_name = "TEXT", allow_hyphen_values = true, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) suffix: Option<String>,

    /// The newest N versions. Tags of the same version count once
    #[arg(long, help_heading = heading::RULES, value_name = "N", value_parser = positive)]
    pub(crate) newest: Option<NonZeroUsize>,
}

fn positive(text: &str) -> Result<NonZeroUsize, &'static str> {
    text.parse().map_err(|_| "expected a number from 1")
}

impl TagRuleArgs {
    pub(crate) fn rules(&self) -> TagRules {
        TagRules {
            exact: self.exact.clone(),
            semver: self.semver.clone(),
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            suffix: self.suffix.clone(),
            newest: self.newest,
        }
    }
}

/// A repository, without a tag and a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryArg {
    pub(crate) repository: Repository,
    /// The argument.
    pub(crate) text: String,
}

impl FromStr for RepositoryArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let reference: Reference = text.parse().map_err(|error: ParseError| error.to_string())?;
        let has_tag = text.rsplit('/').next().is_some_and(|name| name.contains(':'));
        if has_tag || reference.digest.is_some() {
            return Err("expected a repository without a tag and a digest".into());
        }
        Ok(Self { repository: reference.repository, text: text.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_no_tag() {
        let name = |text: &str| text.parse::<RepositoryArg>().map(|argument| argument.repository.to_string());
        assert_eq!(name("python").as_deref(), Ok("docker.io/library/python"));
        assert_eq!(name("localhost:5000/app").as_deref(), Ok("localhost:5000/app"));
        for wrong in ["python:3", "localhost:5000/app:1", &format!("a/b@sha256:{}", "0".repeat(64))] {
            assert!(name(wrong).unwrap_err().contains("without a tag"), "{wrong}");
        }
        assert!(name("https://a.example/b").unwrap_err().contains("no scheme"));
    }
}
