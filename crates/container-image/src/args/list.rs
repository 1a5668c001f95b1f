//! Arguments of `list`, and the search arguments that `pin` and `update` share.

use std::path::{Path, PathBuf};

use clap::Args;

use super::heading;
use crate::scan::files;

const EXAMPLES: &str = "\
Examples:
  List all images in the current folder:
    container-image list

  List each reference once:
    container-image list --no-filename | sort -u

  Search a git repository:
    container-image list --git-repo https://github.com/acme/infra

  Print lines and columns as JSON:
    container-image list --json templates

Exit codes: 0 success, 1 at least one failure, 2 invalid usage, 130 interrupted,
143 terminated.";

/// Arguments of `list`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,

    /// Print only the references, without file names
    #[arg(long, help_heading = heading::OUTPUT)]
    pub(crate) no_filename: bool,

    /// Print a JSON document with lines and columns
    #[arg(long, conflicts_with = "no_filename", help_heading = heading::OUTPUT)]
    pub(crate) json: bool,
}

/// Files in which references are searched.
#[derive(Debug, Clone, Args)]
pub(crate) struct SearchArgs {
    /// Files and folders. Binary files and files in .gitignore are skipped
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,

    /// Skip matching files, with the syntax of .gitignore. Can be repeated
    #[arg(long, value_name = "GLOB", value_parser = glob, help_heading = heading::IMAGES)]
    pub(crate) exclude: Vec<String>,

    /// Git repository to search instead: a URL, which is cloned, or a local folder
    #[arg(long, visible_alias = "repository", value_name = "URL", value_parser = git_repo, help_heading = heading::GIT)]
    pub(crate) git_repo: Option<String>,

    /// Branch of the repository
    #[arg(long, value_name = "BRANCH", requires = "git_repo", value_parser = branch, help_heading = heading::GIT)]
    pub(crate) branch: Option<String>,
}

/// Rejects an empty pattern, such as an unset variable: it would exclude everything.
fn glob(text: &str) -> Result<String, String> {
    if text.trim().trim_matches('/').is_empty() {
        return Err("expected a pattern such as vendor/ or '*.md'".into());
    }
    files::exclude_matcher(Path::new(""), &[text.into()]).map(|_| text.into())
}

/// Rejects a leading hyphen, because git would read the value as an option.
fn git_repo(text: &str) -> Result<String, String> {
    match text {
        "" => Err("expected a URL or a folder".into()),
        text if text.starts_with('-') => Err("expected a URL or a folder".into()),
        text => Ok(text.into()),
    }
}

fn branch(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        Err("expected a branch name".into())
    } else {
        Ok(text.into())
    }
}
