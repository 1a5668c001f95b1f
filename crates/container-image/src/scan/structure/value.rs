//! Values that hold one image.

use std::ops::Range;

use super::format::Role;
use crate::scan::RawReference;

/// URLs of images, as in `uses: docker://alpine:3.20`.
const SCHEMES: [&str; 2] = ["docker://", "docker-image://"];

/// Words that are no images where a name without a tag is allowed.
const WORDS: [&str; 10] =
    ["true", "false", "yes", "no", "on", "off", "null", "none", "scratch", "dockerfile"];

/// Extensions of pictures and disks.
const OTHER_FILES: [&str; 11] =
    ["png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "iso", "qcow2", "img"];

/// Returns true for the URL of an image.
pub(super) fn is_image_url(value: &str) -> bool {
    SCHEMES.iter().any(|scheme| value.trim_start().starts_with(scheme))
}

/// Returns the image in a value, and its place in the value.
pub(super) fn image(value: &str, role: Role) -> Option<(RawReference, Range<usize>)> {
    let text = default_value(value.trim())?;
    let text = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    // Another program adds the end.
    if text.ends_with(['-', '_', '.']) {
        return None;
    }
    let image: RawReference = text.parse().ok()?;
    let is_tagged = image.tag.is_some() || image.digest.is_some();
    let is_image = match role {
        Role::Image => is_tagged || is_short_name(&image.name),
        Role::TaggedImage => is_tagged,
        Role::Text | Role::Skipped | Role::Built => false,
    };
    let start = text.as_ptr() as usize - value.as_ptr() as usize;
    (is_image && is_image_name(&image)).then_some((image, start..start + text.len()))
}

/// Returns the default in `${NAME:-default}` and `${NAME-default}`, or the value itself.
fn default_value(mut value: &str) -> Option<&str> {
    while let Some(expression) = value.strip_prefix("${") {
        let expression = expression.strip_suffix('}')?;
        let end = expression.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let rest = &expression[end..];
        value = rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'))?;
    }
    Some(value)
}

/// Returns true if a registry can have the image. Ratios such as `16:9` and IDs of local images are none.
pub(super) fn is_image_name(image: &RawReference) -> bool {
    image.name.contains(|c: char| c.is_ascii_alphabetic())
        && !image.is_codebuild_image()
        && !matches!(image.name.as_str(), "scratch" | "sha256" | "sha512")
}

/// Returns true if a name without a tag is the name of an image.
fn is_short_name(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let is_other_file = extension.is_some_and(|extension| OTHER_FILES.contains(&extension));
    let parts: Vec<&str> = name.split('/').collect();
    // Docker Hub has no deeper names. Amazon machine images have.
    let has_host = parts.len() > 1 && (parts[0].contains(['.', ':']) || parts[0] == "localhost");
    !is_other_file && (has_host || parts.len() <= 2) && !WORDS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, role: Role, expected: Option<&str>) {
        let found = image(value, role);
        assert_eq!(found.as_ref().map(|(_, range)| &value[range.clone()]), expected, "{value}");
        assert_eq!(found.map(|(image, _)| image.to_string()).as_deref(), expected, "{value}");
    }

    #[test]
    fn reads_references_defaults_and_urls() {
        for (value, expected) in [
            ("nginx:1", "nginx:1"),
            (" docker://alpine:3 ", "alpine:3"),
            ("${IMAGE:-nginx:1}", "nginx:1"),
            ("${MY_IMAGE-localhost:5000/a/b:1}", "localhost:5000/a/b:1"),
            ("${A:-${B-nginx:1}}", "nginx:1"),
        ] {
            check(value, Role::Image, Some(expected));
            check(value, Role::TaggedImage, Some(expected));
        }
        for value in ["nginx", "ghcr.io/a/b", "ghcr.io/a/b/c/d", "${IMAGE:-nginx}"] {
            check(value, Role::TaggedImage, None);
        }
        check("ghcr.io/a/b/c/d", Role::Image, Some("ghcr.io/a/b/c/d"));
        check("${IMAGE:-nginx}", Role::Image, Some("nginx"));
    }

    #[test]
    fn ignores_other_values() {
        for value in [
            "${IMAGE}",
            "${IMAGE:?nginx:1}",
            "nginx:${TAG:-1}",
            "${REGISTRY:-docker.io}/a/b:1",
            "${A:-a:1}-${B:-b:1}",
            "{{ image }}:1",
            "$(image):1",
            "<IMAGE>",
            "16:9",
            "sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "acme/app:1-",
            "true",
            "null",
            "logo.png",
            "img/logo.svg",
            "https://acme.example/logo:1",
            "099720109477/ubuntu/images/hvm-ssd/ubuntu-focal-20.04-amd64-server",
            "aws/codebuild/standard:7.0",
            "scratch",
        ] {
            check(value, Role::Image, None);
        }
    }
}
