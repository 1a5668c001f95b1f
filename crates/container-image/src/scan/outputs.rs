//! Images that the configuration of a build tool writes. A pinned name breaks the build.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use super::ImageMatch;

/// Place of an image after a word.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// A string or a list after `=`, in a call, or after a blank: `tags = ["a:1"]`, `set("a:1")`.
    Value,
    /// A block in braces, also after labels in quotes.
    Block,
    /// The first argument of a call.
    Argument,
    /// The rest of the line, and the lines that continue it.
    Line,
    /// The content of an XML element.
    Element,
}

/// A build tool.
struct Tool {
    /// Start and end of the names of its files.
    files: &'static [(&'static str, &'static str)],
    words: &'static [(&'static str, Place)],
}

const TOOLS: &[Tool] = &[
    // https://docs.docker.com/build/bake/reference
    Tool {
        files: &[("docker-bake", ".hcl")],
        words: &[
            ("tags", Place::Value),
            ("cache-from", Place::Value),
            ("cache-to", Place::Value),
            ("output", Place::Value),
        ],
    },
    // https://github.com/GoogleContainerTools/jib/tree/master/jib-gradle-plugin,
    // https://docs.spring.io/spring-boot/gradle-plugin/packaging-oci-image.html
    Tool {
        files: &[("", ".gradle"), ("", ".gradle.kts")],
        words: &[
            ("to", Place::Block),
            ("jib.to", Place::Block),
            ("to.image", Place::Value),
            ("jib.to.image", Place::Value),
            ("imageName", Place::Value),
            ("imageName.set", Place::Value),
            ("tags", Place::Value),
        ],
    },
    // https://github.com/GoogleContainerTools/jib/tree/master/jib-maven-plugin,
    // https://docs.spring.io/spring-boot/maven-plugin/build-image.html
    Tool { files: &[("pom", ".xml")], words: &[("to", Place::Element), ("name", Place::Element)] },
    // https://docs.earthly.dev/docs/earthfile
    Tool { files: &[("Earthfile", "")], words: &[("SAVE IMAGE", Place::Line)] },
    // https://docs.tilt.dev/api.html
    Tool {
        files: &[("Tiltfile", ""), ("", ".tilt"), ("", ".Tiltfile")],
        words: &[("docker_build", Place::Argument), ("custom_build", Place::Argument)],
    },
];

/// Removes the images that a build tool writes, also at other places of the file.
pub(super) fn remove(path: &Path, bytes: &[u8], images: &mut Vec<ImageMatch>) {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let is_file = |(start, end): &(&str, &str)| name.starts_with(start) && name.ends_with(end);
    let Some(tool) = TOOLS.iter().find(|tool| tool.files.iter().any(is_file)) else { return };
    let ranges: Vec<Range<usize>> =
        tool.words.iter().flat_map(|(word, place)| ranges(bytes, word, *place)).collect();
    let is_output = |one: &ImageMatch| ranges.iter().any(|range| range.contains(&one.start()));
    let names: HashSet<String> =
        images.iter().filter(|one| is_output(one)).map(|one| one.image.to_string()).collect();
    images.retain(|one| !names.contains(&one.image.to_string()));
}

/// Returns the places after a word, in file order and without overlap.
pub(super) fn ranges(bytes: &[u8], word: &str, place: Place) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for start in memchr::memmem::find_iter(bytes, word) {
        let end = start + word.len();
        let is_part = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_-.$".contains(byte))
        };
        let is_read = ranges.last().is_some_and(|last| start < last.end);
        if is_read || is_part(start.checked_sub(1).map(|at| &bytes[at])) || is_part(bytes.get(end)) {
            continue;
        }
        let range = match place {
            Place::Element => element(bytes, start..end),
            Place::Line => Some(end..end_of_line(bytes, end)),
            Place::Value => value(bytes, end),
            Place::Block => block(bytes, end),
            Place::Argument => argument(bytes, end),
        };
        ranges.extend(range);
    }
    ranges
}

pub(super) fn skip_space(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

fn value(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let open = skip_space(bytes, at);
    match bytes.get(open)? {
        b'=' => {
            let start = skip_space(bytes, open + 1);
            Some(start..end_of_expression(bytes, start))
        }
        b'(' | b'"' | b'\'' => Some(open..end_of_expression(bytes, open)),
        _ => None,
    }
}

/// Maximum length in bytes of the label of a block.
const MAX_LABEL_BYTES: usize = 128;

fn block(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let mut open = skip_space(bytes, at);
    for _ in 0..2 {
        if bytes.get(open) == Some(&b'"') {
            let label = bytes[open + 1..].iter().take(MAX_LABEL_BYTES);
            open = skip_space(bytes, open + label.take_while(|byte| **byte != b'"').count() + 2);
        }
    }
    (bytes.get(open) == Some(&b'{')).then(|| open..end_of_expression(bytes, open))
}

fn argument(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let start = bytes.get(at..)?.strip_prefix(b"(")?;
    let start = skip_space(bytes, bytes.len() - start.len());
    matches!(bytes.get(start), Some(b'"' | b'\'')).then(|| start..end_of_expression(bytes, start))
}

/// Maximum size of the description of an image in bytes.
const MAX_ELEMENT_BYTES: usize = 4096;

/// Returns the content of an element. A `name` is the first element of an image that is not only started.
fn element(bytes: &[u8], name: Range<usize>) -> Option<Range<usize>> {
    let before = bytes[..name.start].strip_suffix(b"<")?;
    let rest = bytes[name.end..].strip_prefix(b">")?;
    let word = &bytes[name.clone()];
    if word == b"name" {
        let rest = &rest[..rest.len().min(MAX_ELEMENT_BYTES)];
        let find = |text: &[u8], word: &str| memchr::memmem::find(text, word.as_bytes());
        let image = &rest[..find(rest, "</image>")?];
        let is_only_started = find(image, "<run>").is_some() && find(image, "<build>").is_none();
        if is_only_started || !before.trim_ascii_end().ends_with(b"<image>") {
            return None;
        }
    }
    let length = memchr::memmem::find(rest, &[b"</", word, b">"].concat());
    Some(name.end..length.map_or(bytes.len(), |length| name.end + length))
}

fn end_of_line(bytes: &[u8], mut at: usize) -> usize {
    loop {
        let line = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |length| at + length);
        if line == bytes.len() || !bytes[at..line].trim_ascii_end().ends_with(b"\\") {
            return line;
        }
        at = line + 1;
    }
}

/// Returns the end of a string, of a group in brackets, or of the line.
pub(super) fn end_of_expression(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), _) if open == byte || byte == b'\n' => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'[' | b'{' | b'(') => depth += 1,
            (None, b']' | b'}' | b')') => depth = depth.saturating_sub(1),
            (None, b'\n' | b';') if depth == 0 => return at,
            (None, _) => {}
        }
        at += 1;
        if depth == 0 && quote.is_none() && b"\"'])}".contains(&byte) {
            return at.min(bytes.len());
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_that_a_build_tool_writes_are_not_listed() {
        for (name, text, expected) in [
            (
                "docker-bake.hcl",
                r#"target "a" { contexts = { base = "docker-image://alpine:3" }
  tags = ["ghcr.io/acme/a:1", "${REGISTRY}/a:1",
    "ghcr.io/acme/a:2"]
  cache-from = ["type=registry,ref=ghcr.io/acme/a:3"]
  cache-to = ["type=registry,ref=ghcr.io/acme/a:4"]
  output = ["type=image,name=ghcr.io/acme/a:5"]
  args = { BASE_IMAGE = "debian:12", OTHER = "ghcr.io/acme/base:1", SAME = "ghcr.io/acme/a:1" }
}"#,
                vec!["alpine:3", "debian:12", "ghcr.io/acme/base:1"],
            ),
            ("main.hcl", r#"tags = ["ghcr.io/acme/a:1"]"#, vec!["ghcr.io/acme/a:1"]),
            (
                "build.gradle",
                "jib { from { image = 'temurin:21' }; to { auth { username = 'a' }; image = 'ghcr.io/acme/a:1' } }
bootBuildImage { builder = 'ghcr.io/acme/builder:1'; imageName = \"acme/b:1\"; runImage = 'acme/run:1' }
jib.to.image = 'acme/c:1'
jib.from.image = 'acme/d:1'",
                vec!["temurin:21", "ghcr.io/acme/builder:1", "acme/run:1", "acme/d:1"],
            ),
            (
                "build.gradle.kts",
                "jib { from { image = \"temurin:21\" }\n to {\n image = \"acme/a:1\"\n tags = setOf(\"b\") } }
tasks.named<BootBuildImage>(\"bootBuildImage\") { imageName.set(\"acme/b:1\"); runImage.set(\"acme/run:1\") }",
                vec!["temurin:21"],
            ),
            (
                "pom.xml",
                "<from><image>temurin:21</image></from><to><image>acme/a:1</image></to>
<image>\n<name>ghcr.io/acme/b:1</name><runImage>acme/run:1</runImage></image>
<images><image><name>ghcr.io/acme/c:1</name><build><from>a</from></build><run></run></image>
<image><name>quay.io/acme/db:1</name><run></run></image></images>",
                vec!["temurin:21", "acme/run:1", "quay.io/acme/db:1"],
            ),
            (
                "Earthfile",
                "b:\n  FROM alpine:3\n  SAVE IMAGE --push \\\n    ghcr.io/acme/a:1 ghcr.io/acme/a:2\n  # quay.io/acme/b:1",
                vec!["alpine:3", "quay.io/acme/b:1"],
            ),
            (
                "Tiltfile",
                "docker_build('ghcr.io/acme/a:1', '.', build_args={'BASE_IMAGE': 'node:20'})
custom_build(\n  \"ghcr.io/acme/b:1\", 'make', [])\ndocker_compose('a', image='quay.io/acme/c:1')",
                vec!["node:20", "quay.io/acme/c:1"],
            ),
            (
                ".goreleaser.yaml",
                "dockers: [{image_templates: ['ghcr.io/acme/a:1'], dockerfile: Dockerfile}]
docker_manifests: [{name_template: 'ghcr.io/acme/b:1', image_templates: ['ghcr.io/acme/c:1']}]
kos: [{repositories: ['ghcr.io/acme/d:1'], base_image: cgr.dev/chainguard/static}]",
                vec!["cgr.dev/chainguard/static"],
            ),
            (
                ".ko.yaml",
                "defaultBaseImage: alpine\nbaseImageOverrides: {acme.example/a: 'debian:12'}",
                vec!["alpine", "debian:12"],
            ),
        ] {
            let scan = crate::scan::scan(Path::new(name), text.as_bytes());
            let found: Vec<String> = scan.images.iter().map(|one| one.image.to_string()).collect();
            assert_eq!(found, expected, "{name}\n{text}");
        }
    }

    #[test]
    fn reads_open_groups_in_linear_time() {
        for (name, text) in [
            ("docker-bake.hcl", "tags = ["),
            ("build.gradle", "to { '"),
            ("pom.xml", "<to>"),
            ("pom.xml", "<image><name>"),
            ("Earthfile", "SAVE IMAGE \\\n"),
            ("Tiltfile", "docker_build('"),
        ] {
            let text = text.repeat(1 << 18);
            assert!(crate::scan::scan(Path::new(name), text.as_bytes()).images.is_empty());
        }
    }
}
