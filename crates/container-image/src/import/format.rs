//! Recognizes the format of a file by its content.

use clap::ValueEnum;
use image_copy::list::is_yaml;
use image_copy::yaml::{Id, Tree};

use super::mapping::is_null;
use super::{skopeo, terraform};

/// Format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text with references, such as the output of `docker images` or `kubectl`
    Lines,
    /// A list of `sync`
    List,
    /// YAML of regsync
    Regsync,
    /// YAML of `skopeo sync`
    Skopeo,
    /// Terraform with the lists `containers` and `build_commands` of a module
    Terraform,
    /// Kubernetes objects, in YAML or JSON
    Kubernetes,
    /// Compose file
    Compose,
}

/// Returns the format of a file that is not YAML or JSON.
pub(super) fn of_text(name: &str, content: &str) -> Option<Format> {
    if name.ends_with(".tf") || name.ends_with(".tfvars") || terraform::is_terraform(content) {
        return Some(Format::Terraform);
    }
    (!is_yaml(content)).then_some(Format::Lines)
}

/// Returns the format of a YAML document.
pub(super) fn of_document(tree: &Tree, root: Id) -> Option<Format> {
    let has = |key: &str| tree.get(root, key).is_some_and(|value| !is_null(tree, value));
    if has("apiVersion") && has("kind") {
        return Some(Format::Kubernetes);
    }
    // `kubectl … | jq .items` writes an array of objects.
    let is_object = |item: &Id| tree.get(*item, "kind").or(tree.get(*item, "containers")).is_some();
    if tree.items(root).and_then(<[Id]>::first).is_some_and(is_object) {
        return Some(Format::Kubernetes);
    }
    let is_sequence = |key: &str| tree.get(root, key).is_some_and(|value| tree.items(value).is_some());
    if has("services") {
        Some(Format::Compose)
    } else if is_sequence("sync") || has("creds") {
        Some(Format::Regsync)
    } else if is_sequence("images") {
        Some(Format::List)
    } else if skopeo::is_skopeo(tree, root) {
        Some(Format::Skopeo)
    } else {
        None
    }
}
