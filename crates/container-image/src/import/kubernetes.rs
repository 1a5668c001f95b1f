//! Kubernetes objects: manifests, the output of `helm template`, and of `kubectl get -o json`.

use std::collections::{HashMap, HashSet};

use image_copy::list::Entry;
use image_copy::oci::{Digest, Reference};
use image_copy::yaml::{Id, Tree};

use super::found::Found;
use super::mapping::{self, entries, is_mapping, items};
use super::text;

/// Keys that contain no image to run: metadata, and the state of objects other than pods.
const SKIPPED: [&str; 4] = ["annotations", "labels", "managedFields", "status"];

/// Containers of a pod, with the key of their state
/// (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>).
const CONTAINERS: [(&str, &str); 3] = [
    ("initContainers", "initContainerStatuses"),
    ("containers", "containerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
];

/// Reads one document. Custom resources have images at any place, so that every key `image` is read.
pub(super) fn read(tree: &Tree, root: Id, found: &mut Found) {
    // No recursion, because aliases can nest deeper than the file. Each node is read once.
    let mut seen = HashSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        let id = tree.resolve(id);
        if !seen.insert(id) {
            continue;
        }
        if let Some(items) = tree.items(id) {
            open.extend(items.iter().rev());
            continue;
        }
        // The schemas in it have keys with the name `image`.
        if mapping::text(tree, id, "kind") == Some("CustomResourceDefinition") {
            continue;
        }
        read_running_containers(tree, id, &mut seen, found);
        let (images, others): (Vec<_>, Vec<_>) =
            entries(tree, id).into_iter().partition(|(key, _)| *key == "image");
        images.into_iter().for_each(|(_, image)| read_image(tree, image, None, found));
        let others = others.into_iter().filter(|(key, _)| !SKIPPED.contains(key));
        // The last one is read first.
        open.extend(others.rev().map(|(_, value)| value));
    }
}

/// Reads the containers of a pod that has a state. The digest of a running image is added to its reference.
fn read_running_containers(tree: &Tree, object: Id, seen: &mut HashSet<Id>, found: &mut Found) {
    let (Some(spec), Some(status)) = (tree.get(object, "spec"), tree.get(object, "status")) else { return };
    for (containers, states) in CONTAINERS {
        let states = items(tree, status, states).iter();
        let digest = |state: &Id| {
            let id = mapping::text(tree, *state, "imageID")?;
            Some((mapping::text(tree, *state, "name")?, text::reference(id).ok()?.digest?))
        };
        let digests: HashMap<&str, Digest> = states.filter_map(digest).collect();
        for container in items(tree, spec, containers) {
            let name = mapping::text(tree, *container, "name").unwrap_or_default();
            let image = mapping::get(tree, *container, "image");
            let (Some(digest), Some(image)) = (digests.get(name), image) else { continue };
            if seen.insert(tree.resolve(*container)) {
                read_image(tree, image, Some(digest), found);
            }
        }
    }
}

/// Reads a reference, or a mapping that contains its parts. `digest` is the digest that runs.
fn read_image(tree: &Tree, value: Id, digest: Option<&Digest>, found: &mut Found) {
    const KEY: &str = "image";
    let line = tree.line(value);
    if is_mapping(tree, value) {
        let part = |key: &str| mapping::text(tree, value, key);
        if let Some(reference) = part("reference") {
            return add(line, "image.reference", reference, None, found);
        }
        if let Some(repository) = part("repository") {
            let registry = part("registry").map(|host| format!("{host}/")).unwrap_or_default();
            let tag = part("tag").map(|tag| format!(":{tag}")).unwrap_or_default();
            let digest = part("digest").map(|digest| format!("@{digest}")).unwrap_or_default();
            add(line, KEY, &format!("{registry}{repository}{tag}{digest}"), None, found);
        }
        return;
    }
    if let Some(text) = tree.text(value).filter(|_| !mapping::is_null(tree, value)) {
        add(line, KEY, text, digest, found);
    }
}

fn add(line: usize, key: &str, text: &str, digest: Option<&Digest>, found: &mut Found) {
    let Some(mut source) = found.reference(line, key, text) else { return };
    if source.digest.is_none() {
        source = Reference { digest: digest.cloned(), ..source };
    }
    found.image(Entry::new(source, line));
}
