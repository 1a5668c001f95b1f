//! The config of an image (<https://github.com/opencontainers/image-spec/blob/main/config.md>), and the fields
//! that Docker adds (<https://github.com/moby/docker-image-spec/blob/main/spec.md>).

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::object::Object;

/// Shell of `CMD` and `ENTRYPOINT` in shell form, if the base has no other.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The config of an image. Unknown fields stay.
pub(super) struct ImageConfig {
    /// The whole document, except `config`, `history` and `diff_ids`.
    document: Object,
    /// The runtime configuration.
    pub(super) runtime: Object,
    history: Vec<Box<RawValue>>,
    rootfs: Object,
    diff_ids: Vec<String>,
    /// Variables as `name=value`.
    pub(super) variables: Vec<String>,
}

impl ImageConfig {
    /// Parses a config.
    ///
    /// # Errors
    /// If it is not the config of a Linux image, or if fields have unexpected types.
    pub(super) fn parse(config: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(config).map_err(|_| "it is not UTF-8")?;
        let document = Object::parse(text)?;
        let os: String = document.get_as("os")?.unwrap_or_default();
        if !os.is_empty() && !os.eq_ignore_ascii_case("linux") {
            return Err("it is not for Linux".into());
        }
        let (runtime, rootfs) = (document.object("config")?, document.object("rootfs")?);
        Ok(Self {
            history: document.get_as("history")?.unwrap_or_default(),
            diff_ids: rootfs.get_as("diff_ids")?.ok_or("its rootfs has no diff_ids")?,
            variables: runtime.get_as("Env")?.unwrap_or_default(),
            runtime,
            rootfs,
            document,
        })
    }

    /// Sets variables. A variable with the same name is replaced in its place.
    pub(super) fn set_variables(&mut self, pairs: &[(String, String)]) {
        for (name, value) in pairs {
            let new = format!("{name}={value}");
            let is_same = |old: &&mut String| old.split('=').next() == Some(name);
            match self.variables.iter_mut().find(is_same) {
                Some(old) => *old = new,
                None => self.variables.push(new),
            }
        }
        self.runtime.set("Env", &self.variables);
    }

    /// Sets keys of a map, such as `Labels`. The map is parsed once, because it can have many keys.
    pub(super) fn set_keys(&mut self, map: &str, pairs: &[(String, impl Serialize)]) -> Result<(), String> {
        if pairs.is_empty() {
            return Ok(());
        }
        let mut object = self.runtime.object(map)?;
        for (key, value) in pairs {
            object.set(key, value);
        }
        self.runtime.set(map, &object);
        Ok(())
    }

    /// Returns the working directory.
    pub(super) fn directory(&self) -> Result<String, String> {
        let directory: String = self.runtime.get_as("WorkingDir")?.unwrap_or_default();
        Ok(if directory.is_empty() { "/".into() } else { directory })
    }

    /// Returns the user, which can be empty.
    pub(super) fn user(&self) -> Result<String, String> {
        Ok(self.runtime.get_as("User")?.unwrap_or_default())
    }

    /// Returns a command in shell form as its words.
    pub(super) fn shell_form(&self, command: &str) -> Result<Vec<String>, String> {
        let shell: Vec<String> = self.runtime.get_as("Shell")?.unwrap_or_default();
        let shell = if shell.is_empty() { SHELL.map(str::to_owned).to_vec() } else { shell };
        Ok(shell.into_iter().chain([command.to_owned()]).collect())
    }

    /// Adds an entry to the history. Its time is that of the base.
    pub(super) fn add_history(&mut self, text: &str, is_empty_layer: bool) -> Result<(), String> {
        let mut entry = Object::default();
        if let Some(created) = self.document.get_as::<String>("created")? {
            entry.set("created", &created);
        }
        entry.set("created_by", &text);
        if is_empty_layer {
            entry.set("empty_layer", &true);
        }
        self.history.extend(serde_json::value::to_raw_value(&entry));
        Ok(())
    }

    /// Adds the digest of a layer before compression.
    pub(super) fn add_layer(&mut self, diff_id: &str) {
        self.diff_ids.push(diff_id.into());
    }

    /// Returns the document.
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.rootfs.set("diff_ids", &self.diff_ids);
        self.document.set("config", &self.runtime);
        self.document.set("rootfs", &self.rootfs);
        self.document.set("history", &self.history);
        // Only maps with other keys than text cannot be serialized.
        serde_json::to_vec(&self.document).unwrap_or_default()
    }
}

/// Returns the value of a key in a map of names, such as `Volumes`.
pub(super) fn present() -> serde_json::Value {
    json!({})
}
