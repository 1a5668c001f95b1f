//! Arguments of `list`, and the search arguments that `update` shares.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::scan::files;

const EXAMPLES: &str = "\
Examples:
  List all images in the current folder:
    container-image list

  List each reference once:
    container-image list --no-filename | sort -u

  Search a git repository:
    container-image list --repository https://github.com/acme/infra

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
    #[arg(long)]
    pub(crate) no_filename: bool,

    /// Print a JSON document with lines and columns
    #[arg(long, conflicts_with = "no_filename")]
    pub(crate) json: bool,
}

/// Files in which references are searched.
#[derive(Debug, Clone, Args)]
pub(crate) struct SearchArgs {
    /// Files and folders. Binary files and files in .gitignore are skipped
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,

    /// Skip matching files, with the syntax of .gitignore. Can be repeated
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    pub(crate) exclude: Vec<String>,

    /// Git repository to search instead: a URL, which is cloned, or a local folder
    #[arg(long, value_name = "URL", value_parser = repository)]
    pub(crate) repository: Option<String>,

    /// Branch of the repository
    #[arg(long, value_name = "BRANCH", requires = "repository", value_parser = branch)]
    pub(crate) branch: Option<String>,

    /// Author of a commit by update. Requires --email. Default: the author in git's configuration
    #[arg(long, value_name = "NAME", requires_all = ["repository", "email"])]
    pub(crate) username: Option<String>,

    /// Email address of the author. Requires --username
    #[arg(long, value_name = "ADDRESS", requires_all = ["repository", "username"])]
    pub(crate) email: Option<String>,
}

/// Rejects an empty pattern, such as an unset variable: it would exclude everything.
fn glob(text: &str) -> Result<String, String> {
    if text.trim().trim_matches('/').is_empty() {
        return Err("expected a pattern such as vendor/ or '*.md'".into());
    }
    files::exclude_matcher(Path::new(""), &[text.into()]).map(|_| text.into())
}

/// Rejects a leading hyphen, because git would read the value as an option.
fn repository(text: &str) -> Result<String, String> {
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
