//! Files and directories that lines create.

use std::collections::BTreeMap;

use super::arguments::Owner;
use super::error::quoted;
use super::path::{check_writable, is_standard_directory, parent};

/// Maximum size of all files in bytes.
const MAX_CONTENT_BYTES: usize = 1 << 20;

/// Maximum number of files, directories and links.
const MAX_ENTRIES: usize = 1000;

/// Mode of a directory by the umask 022.
const DIRECTORY_MODE: u32 = 0o755;

/// Mode of a file by the umask 022.
pub(super) const FILE_MODE: u32 = 0o644;

/// Files by their absolute path.
#[derive(Debug, Default)]
pub(super) struct Files(BTreeMap<String, Entry>);

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) owner: Owner,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Directory,
    File(String),
    /// A symbolic link with its target.
    Link(String),
}

impl Files {
    /// Returns the entries, sorted by path.
    pub(super) fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.0
    }

    /// Creates a directory and the missing ones above it. A directory that exists stays unchanged.
    pub(super) fn make_directory(
        &mut self,
        path: &str,
        mode: Option<u32>,
        owner: Owner,
    ) -> Result<(), String> {
        match self.0.get(path).map(|entry| &entry.kind) {
            Some(Kind::Directory) => return Ok(()),
            Some(_) => return Err(format!("{} exists, and is not a directory", quoted(path))),
            // Standard directories exist, and keep their mode and owner.
            None if is_standard_directory(path) => return Ok(()),
            None => {}
        }
        self.insert(path, Entry { kind: Kind::Directory, mode: mode.unwrap_or(DIRECTORY_MODE), owner })
    }

    /// Creates a directory. The directory above it must exist.
    pub(super) fn make_new_directory(
        &mut self,
        path: &str,
        mode: Option<u32>,
        owner: Owner,
    ) -> Result<(), String> {
        if self.0.contains_key(path) || self.is_directory(path) {
            return Err(format!("{} exists. Use mkdir -p", quoted(path)));
        }
        if !self.is_directory(parent(path)) {
            let parent = quoted(parent(path));
            return Err(format!("{parent} can be missing in the image. Use mkdir -p"));
        }
        self.make_directory(path, mode, owner)
    }

    /// Creates an empty file. An entry of these lines stays unchanged.
    pub(super) fn touch(&mut self, path: &str, owner: Owner) -> Result<(), String> {
        if self.0.contains_key(path) || self.is_directory(path) {
            return Ok(());
        }
        self.insert(path, Entry { kind: Kind::File(String::new()), mode: FILE_MODE, owner })
    }

    /// Creates or replaces a file.
    pub(super) fn write(
        &mut self,
        path: &str,
        content: String,
        mode: u32,
        owner: Owner,
    ) -> Result<(), String> {
        if self.is_directory(path) {
            return Err(format!("{} is a directory. Add the name of the file", quoted(path)));
        }
        if matches!(self.0.get(path), Some(Entry { kind: Kind::Link(_), .. })) {
            return Err(format!("{} is a symbolic link. Write to its target", quoted(path)));
        }
        self.insert(path, Entry { kind: Kind::File(content), mode, owner })
    }

    /// Creates a symbolic link. Replaces a file of these lines only if `is_forced` is true.
    pub(super) fn link(
        &mut self,
        path: &str,
        target: &str,
        owner: Owner,
        is_forced: bool,
    ) -> Result<(), String> {
        if self.is_directory(path) {
            return Err(format!("{} is a directory. Add the name of the link", quoted(path)));
        }
        if self.0.contains_key(path) && !is_forced {
            return Err(format!("{} exists. Use ln -sf", quoted(path)));
        }
        // Links have all permissions on Linux.
        self.insert(path, Entry { kind: Kind::Link(target.into()), mode: 0o777, owner })
    }

    /// Changes an entry of these lines, and with `is_recursive` all entries below it.
    pub(super) fn change(
        &mut self,
        path: &str,
        is_recursive: bool,
        change: impl Fn(&mut Entry),
    ) -> Result<(), String> {
        match self.0.get(path).map(|entry| &entry.kind) {
            Some(Kind::Directory | Kind::File(_)) => {}
            Some(Kind::Link(_)) => return Err(format!("{} is a symbolic link", quoted(path))),
            None => {
                let name = quoted(path);
                return Err(format!(
                    "{name} is not created by a line before. Only such paths can be changed"
                ));
            }
        }
        let below = format!("{path}/");
        for (name, entry) in &mut self.0 {
            // `chmod -R` and `chown -R` do not follow links. `chmod` skips them.
            let is_link = matches!(entry.kind, Kind::Link(_));
            if name == path || (is_recursive && !is_link && name.starts_with(&below)) {
                change(entry);
            }
        }
        Ok(())
    }

    /// Returns true for a directory of these lines, and for a standard one. A directory without an entry of its own
    /// can have entries below it.
    fn is_directory(&self, path: &str) -> bool {
        let below = format!("{path}/");
        is_standard_directory(path)
            || matches!(self.0.get(path), Some(Entry { kind: Kind::Directory, .. }))
            || self.0.range(below.clone()..).next().is_some_and(|(name, _)| name.starts_with(&below))
    }

    fn insert(&mut self, path: &str, entry: Entry) -> Result<(), String> {
        check_writable(path)?;
        let mut above = parent(path);
        while above != "/" {
            if matches!(self.0.get(above), Some(Entry { kind: Kind::File(_) | Kind::Link(_), .. })) {
                return Err(format!("{} is not a directory", quoted(above)));
            }
            above = parent(above);
        }
        self.0.insert(path.into(), entry);
        if self.0.len() > MAX_ENTRIES {
            return Err(format!("the lines create more than {MAX_ENTRIES} files"));
        }
        let bytes = |entry: &Entry| match &entry.kind {
            Kind::File(content) => content.len(),
            Kind::Directory | Kind::Link(_) => 0,
        };
        if self.0.values().map(bytes).sum::<usize>() > MAX_CONTENT_BYTES {
            return Err("the lines create more than 1 MiB of files. Build the image with a Dockerfile".into());
        }
        Ok(())
    }
}
