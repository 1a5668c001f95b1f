//! Paths in an image.

use super::error::quoted;

/// Maximum length of a path in bytes (`PATH_MAX` of Linux).
const MAX_BYTES: usize = 4095;

/// Maximum length of a name in bytes (`NAME_MAX` of Linux).
const MAX_NAME_BYTES: usize = 255;

/// Directories that are symbolic links in many images. Docker's overlay2 driver extracts each layer separately, so
/// that a directory in a later layer replaces the link and hides its content.
const LINKS: [(&str, &str); 8] = [
    ("/bin", "/usr/bin"),
    ("/sbin", "/usr/sbin"),
    ("/lib", "/usr/lib"),
    ("/lib32", "/usr/lib32"),
    ("/lib64", "/usr/lib64"),
    ("/libx32", "/usr/libx32"),
    ("/var/run", "/run"),
    ("/var/lock", "/run/lock"),
];

/// Directories that the runtime mounts
/// (<https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#default-filesystems>).
const MOUNTS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Directories of the Filesystem Hierarchy Standard, which exist in most images
/// (<https://refspecs.linuxfoundation.org/FHS_3.0/fhs/index.html>). An entry in a layer would replace their
/// mode and owner, such as those of `/tmp` and `/root`.
const STANDARD: [&str; 32] = [
    "/",
    "/boot",
    "/etc",
    "/etc/opt",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/tmp",
    "/usr",
    "/usr/bin",
    "/usr/include",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local",
    "/usr/local/bin",
    "/usr/local/etc",
    "/usr/local/lib",
    "/usr/local/sbin",
    "/usr/local/share",
    "/usr/sbin",
    "/usr/share",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/opt",
    "/var/spool",
    "/var/tmp",
];

/// Returns the absolute path without `.`, `..` and repeated slashes. `directory` is the absolute path that a
/// relative path starts from.
///
/// # Errors
/// If the path is empty, leaves the image, or is not valid in a layer.
pub(super) fn clean(directory: &str, path: &str) -> Result<String, String> {
    let invalid = |reason: &str| Err(format!("the path {} {reason}", quoted(path)));
    if path.is_empty() {
        return invalid("is empty");
    }
    if path.chars().any(char::is_control) {
        return invalid("has a control character");
    }
    let start = if path.starts_with('/') { "" } else { directory };
    let mut names: Vec<&str> = Vec::new();
    for name in start.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            ".." if names.pop().is_none() => return invalid("leaves the root directory"),
            ".." => {}
            _ if name.len() > MAX_NAME_BYTES => return invalid("has a name of more than 255 bytes"),
            // Such an entry deletes a file of the base
            // (https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts).
            _ if name.starts_with(".wh.") => return invalid("has a name that starts with .wh."),
            _ => names.push(name),
        }
    }
    let cleaned = format!("/{}", names.join("/"));
    if cleaned.len() > MAX_BYTES {
        return invalid("has more than 4095 bytes");
    }
    Ok(cleaned)
}

/// Returns true if the directory exists in most images. It gets no entry in the layer.
pub(super) fn is_standard_directory(path: &str) -> bool {
    STANDARD.contains(&path) || LINKS.iter().any(|(link, _)| *link == path) || MOUNTS.contains(&path)
}

/// Returns the directory above the path. The directory above the root is the root.
pub(super) fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((parent, _)) => parent,
    }
}

/// Checks that a layer can have an entry for the path.
///
/// # Errors
/// If a directory above it is often a symbolic link, or is mounted by the runtime.
pub(super) fn check_writable(path: &str) -> Result<(), String> {
    let is_below = |directory: &str| {
        path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if path == "/" {
        return Err("the root directory cannot be changed".into());
    }
    if let Some((link, target)) = LINKS.iter().find(|(link, _)| is_below(link)) {
        let problem = format!("{link} is a symbolic link in many images. Use {target}");
        return Err(format!("{} cannot be written, because {problem}", quoted(path)));
    }
    match MOUNTS.iter().find(|mount| is_below(mount)) {
        Some(mount) => Err(format!("{} cannot be written, because the runtime mounts {mount}", quoted(path))),
        None => Ok(()),
    }
}
