//! Compose files (<https://docs.docker.com/reference/compose-file/>).

use std::collections::HashSet;

use image_copy::list::Entry;
use image_copy::oci::Reference;
use image_copy::yaml::{Id, Tree};

use super::found::Found;
use super::mapping::{entries, get, items, key as key_name, text};
use super::text as reference_text;

const IS_BUILT: &str = "is built locally. Add it if a registry has it";

pub(super) fn read(tree: &Tree, root: Id, found: &mut Found) {
    if let Some(include) = get(tree, root, "include") {
        found.note(tree.line(include), "include", "is not read. Import the included files, too");
    }
    if let Some(models) = get(tree, root, "models") {
        found.note(tree.line(models), "models", "has no equivalent");
    }
    let Some(services) = get(tree, root, "services") else { return };
    // Services that start with it hold anchors.
    let is_service = |(name, _): &(&str, Id)| !name.starts_with("x-");
    let services: Vec<(&str, Id)> = entries(tree, services).into_iter().filter(is_service).collect();
    let built: HashSet<Reference> =
        services.iter().filter_map(|(_, service)| built_image(tree, *service)).collect();
    for (name, service) in services {
        read_service(tree, service, &format!("services.{}", key_name(name)), &built, found);
    }
}

/// Returns the image that a service builds.
fn built_image(tree: &Tree, service: Id) -> Option<Reference> {
    get(tree, service, "build")?;
    let image = reference_text::parse(text(tree, service, "image")?).ok()?;
    reference_text::reference(&image.value).ok()
}

fn read_service(tree: &Tree, service: Id, path: &str, built: &HashSet<Reference>, found: &mut Found) {
    for volume in items(tree, service, "volumes") {
        if text(tree, *volume, "type") == Some("image")
            && let Some(source) = text(tree, *volume, "source")
        {
            let line = tree.line(*volume);
            let path = format!("{path}.volumes");
            if let Some(reference) = found.reference(line, &path, source) {
                match built.contains(&reference) {
                    true => found.omit(line, &path, source, IS_BUILT),
                    false => found.image(Entry::new(reference, line)),
                }
            }
        }
    }
    let build = get(tree, service, "build");
    let Some(image) = get(tree, service, "image") else {
        if let Some(build) = build {
            found.note(
                tree.line(build),
                &format!("{path}.build"),
                "is not copied: the image is built locally",
            );
        } else if let Some(extends) = get(tree, service, "extends")
            && text(tree, extends, "file").is_some()
        {
            found.note(tree.line(extends), &format!("{path}.extends"), "is not read. Import the file, too");
        }
        return;
    };
    let (line, written) = (tree.line(image), tree.text(image).unwrap_or_default());
    let path = format!("{path}.image");
    if build.is_some() {
        return found.omit(line, &path, written, IS_BUILT);
    }
    let Some(reference) = found.reference(line, &path, written) else { return };
    if built.contains(&reference) {
        return found.omit(line, &path, written, IS_BUILT);
    }
    let mut entry = Entry::new(reference, line);
    if let Some(platform) = text(tree, service, "platform") {
        let parsed = reference_text::parse(platform).ok().and_then(|platform| platform.value.parse().ok());
        if parsed.is_none() {
            let problem = "is not a platform. All platforms are copied";
            found.note(line, &path.replace(".image", ".platform"), problem);
        }
        entry.platforms = parsed;
    }
    found.image(entry);
}
