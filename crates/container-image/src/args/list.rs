//! Arguments of `list`, and the search arguments that `update` shares.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::scan::files;

const EXAMPLES: &str = "\
Examples:
  Every image that the files here name:
    container-image list

  Each name once:
    container-image list --no-filename | sort -u

  From a repository of git:
    container-image list --repository https://github.com/acme/infra

  Where exactly, for a program:
    container-image list --json templates

Exit codes: 0 listed, 1 something could not be read, 2 not understood.";

/// Arguments of `list`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) search: SearchArgs,

    /// Print the references without the files that hold them
    #[arg(long)]
    pub(crate) no_filename: bool,

    /// Print a JSON document, with lines and columns
    #[arg(long, conflicts_with = "no_filename")]
    pub(crate) json: bool,
}

/// Files in which references are searched.
#[derive(Debug, Clone, Args)]
pub(crate) struct SearchArgs {
    /// Files and folders; what .gitignore names and what is not text is left out
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) paths: Vec<PathBuf>,

    /// Leave out what matches, as in .gitignore; may be given several times
    #[arg(long, value_name = "GLOB", value_parser = glob)]
    pub(crate) exclude: Vec<String>,

    /// A repository of git to look into instead: a URL, which is cloned, or a folder on this machine
    #[arg(long, value_name = "URL", value_parser = repository)]
    pub(crate) repository: Option<String>,

    /// The branch of that repository
    #[arg(long, value_name = "BRANCH", requires = "repository", value_parser = branch)]
    pub(crate) branch: Option<String>,

    /// Author of the commit, instead of git's own setting
    #[arg(long, value_name = "NAME", requires_all = ["repository", "email"])]
    pub(crate) username: Option<String>,

    /// Address of the author
    #[arg(long, value_name = "ADDRESS", requires_all = ["repository", "username"])]
    pub(crate) email: Option<String>,
}

/// Rejects an empty pattern, such as an unset variable: it would exclude everything.
fn glob(text: &str) -> Result<String, String> {
    if text.trim().trim_matches('/').is_empty() {
        return Err("it is empty; expected a pattern such as vendor/ or '*.md'".into());
    }
    files::exclude_matcher(Path::new(""), &[text.into()]).map(|_| text.into())
}

/// Rejects a leading hyphen, because git would read the value as an option.
fn repository(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty; expected a URL or a folder".into()),
        text if text.starts_with('-') => Err("expected a URL or a folder".into()),
        text => Ok(text.into()),
    }
}

fn branch(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('-') {
        Err("expected the name of a branch".into())
    } else {
        Ok(text.into())
    }
}
