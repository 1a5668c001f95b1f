//! Selects and reads files: text files that git does not ignore.

use std::borrow::Cow;
use std::collections::HashSet;
use std::env;
use std::error::Error as _;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use ignore::overrides::{Override, OverrideBuilder};
use ignore::{DirEntry, WalkBuilder};

use image_copy::text::SanitizedText;

use crate::display;
use crate::folder::Folder;
use crate::scan::RawReference;

/// Maximum file size in bytes. References are written by hand, and larger files are dumps.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Number of bytes in which a zero byte marks a binary file, as in git.
const BINARY_CHECK_BYTES: usize = 8000;

/// A file to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceFile {
    /// Path relative to the current directory, for programs.
    pub(crate) name: String,
    /// Like `name`, with every byte.
    pub(crate) relative_path: PathBuf,
    /// Path for messages, with escapes for invisible characters.
    pub(crate) display_name: String,
    pub(crate) path: PathBuf,
    /// Absolute path without symbolic links. If one of its parts becomes a link, the file is not read or changed.
    pub(crate) real_path: PathBuf,
}

impl SourceFile {
    fn new(name: &Path, path: PathBuf, real_path: PathBuf) -> Self {
        Self {
            name: name.display().to_string(),
            relative_path: name.to_owned(),
            display_name: display::path(name),
            path,
            real_path,
        }
    }
}

/// Lists the files at and below `paths`, which are relative to `base`. Each file is listed once, also if
/// symbolic links in `paths` lead to it.
/// `report_error` receives a line for each path that cannot be read.
///
/// # Errors
/// Error line if a path does not exist or a pattern is invalid.
pub(crate) fn list(
    base: &Path,
    paths: &[PathBuf],
    exclude: &[String],
    mut report_error: impl FnMut(String),
) -> Result<Vec<SourceFile>, String> {
    let matcher = exclude_matcher(base, exclude)
        .map_err(|reason| format!("--exclude has an invalid pattern: {reason}."))?;
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for path in paths {
        let top = base.join(path);
        let is_folder = match fs::metadata(&top) {
            Ok(found) if found.is_file() || found.is_dir() => found.is_dir(),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(format!(
                    "{} cannot be read: {}.",
                    display::path(path),
                    display::io_error(&error)
                ));
            }
            _ => {
                let advice = match is_image(path) {
                    true => "Pass the file that contains this image",
                    false => "Check the path",
                };
                return Err(format!(
                    "{} does not exist, or is neither a file nor a folder. {advice}.",
                    display::path(path)
                ));
            }
        };
        if is_excluded(&relative(&top, base), is_folder, &matcher) {
            continue;
        }
        // Links in an argument are followed once, here.
        let real_top = top.canonicalize().map_err(|error| {
            format!("{} cannot be read: {}.", display::path(path), display::io_error(&error))
        })?;
        for entry in walk(&top, base, &matcher) {
            match entry {
                Ok(entry) if is_file(&entry) => {
                    let below = entry.path().strip_prefix(&top).unwrap_or(Path::new(""));
                    let is_top = below.as_os_str().is_empty();
                    let real_path = if is_top { real_top.clone() } else { real_top.join(below) };
                    if seen.insert(real_path.clone()) {
                        let name = relative(entry.path(), base);
                        files.push(SourceFile::new(&name, entry.into_path(), real_path));
                    }
                }
                Ok(_) => {}
                Err(error) => report_error(walk_error(&error, base)),
            }
        }
    }
    Ok(files)
}

/// Returns true if a missing path is an image, and not a path with a typo.
fn is_image(path: &Path) -> bool {
    let image = path.to_str().and_then(|path| path.parse::<RawReference>().ok());
    image.is_some_and(|image| image.tag.is_some() || image.digest.is_some())
}

/// Reads files. The files of one folder follow each other, so that the folder is opened once.
#[derive(Default)]
pub(crate) struct FileReader {
    folder: Option<(PathBuf, Folder)>,
}

impl FileReader {
    /// Reads a file. Returns `None` if it is not text.
    ///
    /// # Errors
    /// Error line that names the file.
    pub(crate) fn read(&mut self, file: &SourceFile) -> Result<Option<Vec<u8>>, String> {
        let read = self.open(&file.real_path).and_then(read_text);
        read.map_err(|error| format!("{} cannot be read: {}.", file.display_name, display::io_error(&error)))
    }

    fn open(&mut self, path: &Path) -> io::Result<File> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
        let parent = path.parent().ok_or_else(invalid)?;
        let folder = match self.folder.take() {
            Some(open) if open.0 == parent => open,
            _ => (parent.to_owned(), Folder::open(parent)?),
        };
        let (_, folder) = self.folder.insert(folder);
        folder.open_file(path.file_name().ok_or_else(invalid)?)
    }
}

fn read_text(mut file: File) -> io::Result<Option<Vec<u8>>> {
    let size = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(BINARY_CHECK_BYTES as u64).read_to_end(&mut bytes)?;
    if bytes.contains(&0) && !is_utf16(&bytes) {
        return Ok(None);
    }
    if size > MAX_FILE_BYTES {
        let limit = MAX_FILE_BYTES >> 20;
        return Err(io::Error::other(format!("it is larger than {limit} MiB; exclude it with --exclude")));
    }
    bytes.reserve_exact((usize::try_from(size).unwrap_or_default() + 1).saturating_sub(bytes.len()));
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Returns true if the content starts with a UTF-16 byte order mark. Some editors and shells of Windows
/// write it.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

fn walk_error(error: &ignore::Error, base: &Path) -> String {
    match (path_of(error), error.io_error()) {
        (Some(path), Some(cause)) => {
            // The crate `ignore` wraps the system's error.
            let inner = cause.source().and_then(|inner| inner.downcast_ref::<io::Error>());
            let cause_text = display::io_error(inner.unwrap_or(cause));
            format!("{} cannot be read: {cause_text}. It was skipped.", relative_name(path, base))
        }
        _ => format!("{}. It was skipped.", SanitizedText::from(error.to_string())),
    }
}

fn path_of(error: &ignore::Error) -> Option<&Path> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path),
        ignore::Error::WithDepth { err, .. } => path_of(err),
        _ => None,
    }
}

fn walk(top: &Path, base: &Path, matcher: &Override) -> ignore::Walk {
    let in_git = is_in_git(top);
    let (base, matcher) = (base.to_owned(), matcher.clone());
    let is_skipped = move |entry: &DirEntry| {
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        entry.file_name() == ".git" || matcher.matched(relative(entry.path(), &base), is_folder).is_ignore()
    };
    let mut builder = WalkBuilder::new(top);
    builder
        // Names of pipeline and compose files often start with a dot.
        .hidden(false)
        .ignore(false)
        .git_global(false)
        // A .gitignore applies outside of git too, but not that of a parent folder such as the home folder.
        .require_git(in_git)
        .parents(in_git)
        .filter_entry(move |entry| !is_skipped(entry))
        .sort_by_file_name(Ord::cmp);
    builder.build()
}

fn is_in_git(top: &Path) -> bool {
    top.canonicalize().is_ok_and(|top| top.ancestors().any(|folder| folder.join(".git").exists()))
}

/// Returns true for a regular file, and for a symbolic link that the user named.
///
/// Other links are skipped: their target is found at its own path, or is outside of the tree.
fn is_file(entry: &DirEntry) -> bool {
    let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
    is_file || (entry.depth() == 0 && entry.path().is_file())
}

/// Builds the matcher of `--exclude`.
///
/// # Errors
/// Reason of the rejection, as a clause.
pub(crate) fn exclude_matcher(base: &Path, globs: &[String]) -> Result<Override, String> {
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let mut builder = OverrideBuilder::new(base);
    // The pattern is left out, because it has an exclamation mark that the user did not type.
    let reason = |error| match error {
        ignore::Error::Glob { err, .. } => err,
        other => other.to_string(),
    };
    for glob in globs {
        builder.add(&format!("!{}", below(base, glob))).map_err(reason)?;
    }
    builder.build().map_err(reason)
}

/// Returns a pattern that starts with `./` or with the path of `base` as a pattern below `base`: `/docs` for
/// `./docs`. The syntax of .gitignore has no such patterns, and they would match nothing.
fn below<'a>(base: &Path, glob: &'a str) -> Cow<'a, str> {
    let mut rest = glob;
    while let Some(path) = rest.strip_prefix("./") {
        rest = path.trim_start_matches('/');
    }
    if rest.len() < glob.len() {
        return format!("/{rest}").into();
    }
    let Some(absolute) = Some(glob).filter(|glob| Path::new(glob).is_absolute()) else { return glob.into() };
    let named = env::current_dir().map(|here| here.join(base));
    let folders = [named.ok(), base.canonicalize().ok()].into_iter().flatten();
    let is_normal = |part: &Component<'_>| !matches!(part, Component::CurDir);
    let folders = folders.map(|folder| folder.components().filter(is_normal).collect::<PathBuf>());
    let rests = folders.filter_map(|folder| absolute.strip_prefix(folder.to_str()?));
    let mut rests = rests.filter(|rest| rest.starts_with('/') && rest.len() > 1);
    rests.next().unwrap_or(glob).into()
}

/// Returns true if a path argument is excluded, by its own name or by a parent folder.
fn is_excluded(path: &Path, is_folder: bool, matcher: &Override) -> bool {
    let is_below = path.components().all(|part| matches!(part, Component::Normal(_)));
    let mut folders = path.ancestors().skip(1).filter(|folder| is_below && !folder.as_os_str().is_empty());
    let is_itself = path.file_name().is_some() && matcher.matched(path, is_folder).is_ignore();
    is_itself || folders.any(|folder| matcher.matched(folder, true).is_ignore())
}

fn relative_name(path: &Path, base: &Path) -> String {
    display::path(&relative(path, base))
}

/// Returns the path relative to `base` or to the current directory, without `.` components.
fn relative(path: &Path, base: &Path) -> PathBuf {
    let path = path.strip_prefix(base).unwrap_or(path);
    let path = match path.is_absolute().then(env::current_dir) {
        Some(Ok(here)) => path.strip_prefix(here).unwrap_or(path),
        _ => path,
    };
    path.components().filter(|part| !matches!(part, Component::CurDir)).collect()
}

#[cfg(test)]
mod tests;
