//! Git repositories, through the user's own git with its configuration and credentials.

mod output;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use image_copy::text::{self, SanitizedText};
use tempfile::TempDir;
use tokio::process::Command;

use crate::args::SearchArgs;
use crate::child_process::set_process_group_without_terminal;
use crate::{display, git_url};
use output::output;

/// A work tree.
pub(crate) struct Checkout {
    folder: PathBuf,
    /// The temporary folder of a clone, and its URL. It is deleted when the program ends.
    clone: Option<(TempDir, String)>,
    author: Option<(String, String)>,
    /// Secrets in the URL of the clone. No message may contain them.
    secrets: Vec<String>,
}

/// Author of the commit if git has none configured.
const DEFAULT_AUTHOR: (&str, &str) = ("container-image", "container-image@localhost");

impl Checkout {
    /// Returns the repository of `--git-repo`, if it is set. A local work tree is used in place. Any
    /// other repository is cloned.
    ///
    /// # Errors
    /// Error line that names the option to change.
    pub(crate) async fn of(
        search: &SearchArgs,
        author: Option<(String, String)>,
    ) -> Result<Option<Self>, String> {
        let Some(url) = &search.git_repo else { return Ok(None) };
        let checkout = if is_work_tree(url) {
            Self::open_work_tree(Path::new(url), search.branch.as_deref(), author).await?
        } else {
            Self::reject_subfolder(url).await?;
            Self::clone_repository(url, search.branch.as_deref(), author).await?
        };
        checkout.reject_outside_paths(&search.paths)?;
        Ok(Some(checkout))
    }

    async fn open_work_tree(
        folder: &Path,
        branch: Option<&str>,
        author: Option<(String, String)>,
    ) -> Result<Self, String> {
        let checkout = Self { folder: folder.into(), clone: None, author, secrets: Vec::new() };
        let Some(wanted) = branch else { return Ok(checkout) };
        let current = checkout
            .git(&["symbolic-ref", "--short", "HEAD"], "the current branch cannot be determined")
            .await?;
        let current = SanitizedText::from(current.as_str());
        if current == *wanted {
            return Ok(checkout);
        }
        let name = display::path(folder);
        Err(format!(
            "--branch {wanted}: the work tree {name} is on {current}. Switch to {wanted}, or remove --branch.",
            wanted = text::escaped(wanted)
        ))
    }

    /// Rejects a folder inside a work tree, which git would report as missing.
    async fn reject_subfolder(folder: &str) -> Result<(), String> {
        if !Path::new(folder).is_dir() {
            return Ok(());
        }
        let subfolder = Self { folder: folder.into(), clone: None, author: None, secrets: Vec::new() };
        let Ok(top) = subfolder.git(&["rev-parse", "--show-toplevel"], "").await else { return Ok(()) };
        let top = Path::new(top.trim_end_matches('\n'));
        let full_path = subfolder.folder.canonicalize().unwrap_or_else(|_| subfolder.folder.clone());
        let relative = full_path.strip_prefix(top).unwrap_or(&subfolder.folder);
        Err(format!(
            "--git-repo {}: this is a folder inside a work tree. Use --git-repo {} {}.",
            text::escaped(folder),
            display::path(top),
            display::path(relative)
        ))
    }

    async fn clone_repository(
        url: &str,
        branch: Option<&str>,
        author: Option<(String, String)>,
    ) -> Result<Self, String> {
        let clone = TempDir::new().map_err(|error| {
            format!("a temporary folder cannot be created: {}.", display::io_error(&error))
        })?;
        let mut arguments = vec!["clone", "--quiet", "--depth=1"];
        arguments.extend(branch.into_iter().flat_map(|branch| ["--branch", branch]));
        let folder = clone.path().join("clone");
        let target = folder.display().to_string();
        arguments.extend(["--", url, &target]);
        let shown = text::escaped(&git_url::redacted(url));
        let failed = format!("--git-repo {shown}: the repository cannot be cloned");
        let current_folder = std::env::current_dir().unwrap_or_default();
        let started = Self { folder: current_folder, clone: None, author, secrets: git_url::secrets(url) };
        started.git(&arguments, &failed).await?;
        Ok(Self { folder, clone: Some((clone, shown)), ..started })
    }

    /// Rejects paths outside of the repository.
    fn reject_outside_paths(&self, paths: &[PathBuf]) -> Result<(), String> {
        let top = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        for path in paths {
            let inside = self.folder.join(path).canonicalize().is_ok_and(|path| path.starts_with(&top));
            if !inside {
                return Err(format!("{} is not in the repository. Check the path.", display::path(path)));
            }
        }
        Ok(())
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns true if the work tree is a temporary clone.
    pub(crate) fn is_clone(&self) -> bool {
        self.clone.is_some()
    }

    /// Rejects a clone of a tag, because a commit without a branch cannot be pushed.
    ///
    /// # Errors
    /// Error line that names the option.
    pub(crate) async fn require_branch(&self, wanted: Option<&str>) -> Result<(), String> {
        if !self.is_clone() || self.git(&["symbolic-ref", "HEAD"], "").await.is_ok() {
            return Ok(());
        }
        let subject =
            wanted.map_or("the repository's HEAD".into(), |name| format!("--branch {}", text::escaped(name)));
        Err(format!(
            "{subject} is not a branch, but --commit requires one. Set --branch to a branch of the repository."
        ))
    }

    /// Returns those of the files that have uncommitted changes, each with its status.
    ///
    /// # Errors
    /// Error line that quotes git.
    pub(crate) async fn uncommitted(&self, files: &[&Path]) -> Result<Vec<String>, String> {
        let files = self.literal_pathspecs(files);
        // An ignored file is also untracked.
        let mut arguments =
            vec!["status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignored", "--"];
        arguments.extend(files.iter().map(String::as_str));
        let status = self.git(&arguments, "the status of the files cannot be read").await?;
        let entries = status.split('\0').filter_map(|entry| entry.split_at_checked(2));
        let described = entries.map(|(state, name)| {
            let state = match state {
                "??" | "!!" => "untracked",
                state if state.ends_with(' ') => "staged",
                _ => "modified",
            };
            (text::escaped(name.trim_start()), state)
        });
        let described: std::collections::BTreeMap<_, _> = described.collect();
        Ok(described.into_iter().map(|(name, state)| format!("{name} ({state})")).collect())
    }

    /// Commits the files, and pushes a clone. Returns a description of the result.
    ///
    /// # Errors
    /// Error line that quotes git.
    pub(crate) async fn commit(&self, files: &[&Path], message: &str) -> Result<String, String> {
        let files = self.literal_pathspecs(files);
        let mut arguments = Vec::new();
        let author = self.author().await;
        let settings =
            author.map(|(name, email)| [format!("user.name={name}"), format!("user.email={email}")]);
        for setting in settings.iter().flatten() {
            arguments.extend(["-c", setting]);
        }
        arguments.extend(["commit", "--quiet", "--message", message, "--"]);
        arguments.extend(files.iter().map(String::as_str));
        let mut command = self.command(&arguments);
        // If git is killed in a work tree, its lock file remains. SIGTERM deletes it.
        command.kill_on_drop(self.is_clone());
        output(command, "the changes cannot be committed", &self.secrets).await?;
        let branch = self.git(&["rev-parse", "--abbrev-ref", "HEAD"], "").await.unwrap_or_default();
        let mut done = format!("committed to {}", SanitizedText::from(branch.as_str()));
        if self.author.is_none() && settings.is_some() {
            done += &format!(
                " by {} <{}>, because git has no author configured",
                DEFAULT_AUTHOR.0, DEFAULT_AUTHOR.1
            );
        }
        if let Some((_, url)) = &self.clone {
            let push = ["push", "--quiet", "origin", "HEAD"];
            self.git(&push, "the commit cannot be pushed and was deleted with the clone").await?;
            done += &format!(", and pushed to {url}");
        }
        Ok(done)
    }

    /// Returns literal pathspecs of the files, with links resolved.
    ///
    /// The option `--literal-pathspecs` would also affect hooks.
    fn literal_pathspecs(&self, files: &[&Path]) -> Vec<String> {
        let top = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let pathspec = |file: &&Path| {
            let file = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
            format!(":(literal){}", file.strip_prefix(&top).unwrap_or(&file).display())
        };
        files.iter().map(pathspec).collect()
    }

    /// Returns the author from the arguments, or the default author if git has none configured.
    async fn author(&self) -> Option<(String, String)> {
        if self.author.is_some() {
            return self.author.clone();
        }
        let known = self.git(&["config", "user.email"], "").await.is_ok();
        (!known && std::env::var_os("GIT_AUTHOR_EMAIL").is_none())
            .then(|| (DEFAULT_AUTHOR.0.into(), DEFAULT_AUTHOR.1.into()))
    }

    /// Runs git and returns its standard output.
    async fn git(&self, arguments: &[&str], failed: &str) -> Result<String, String> {
        output(self.command(arguments), failed, &self.secrets).await
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        // Git can prompt for a password or a passphrase.
        set_process_group_without_terminal(&mut command);
        // A git hook sets these for its own repository.
        for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            command.env_remove(variable);
        }
        command
    }
}

/// Returns true if the repository is a local work tree.
pub(crate) fn is_work_tree(repository: &str) -> bool {
    Path::new(repository).join(".git").exists()
}
