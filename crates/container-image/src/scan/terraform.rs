//! Images in blocks of Terraform, whose attributes do not name an image themselves.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use super::keys::is_image_key;
use super::outputs::{self, Place};
use super::{Evidence, ImageMatch, Spelling, text};

/// Maximum length in bytes of the header of a block, and of a name before a value.
const LOOK_BYTES: usize = 512;

/// Adds the images of blocks, and removes those that the file builds or pushes.
pub(super) fn add(path: &Path, bytes: &[u8], images: &mut Vec<ImageMatch>) {
    let extension = path.extension().and_then(|extension| extension.to_str());
    if !matches!(extension, Some("tf" | "tofu")) {
        return;
    }
    let mut written = HashSet::new();
    for word in ["variable", "resource", "data"] {
        for body in outputs::ranges(bytes, word, Place::Block) {
            let header = &bytes[body.start.saturating_sub(LOOK_BYTES)..body.start];
            let header = header.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
            let header = String::from_utf8_lossy(header);
            let label = header.split('"').nth(1).unwrap_or_default();
            let is_built = || entry(bytes, &body, "build").is_some();
            // https://registry.terraform.io/providers/kreuzwerker/docker/latest/docs
            let (attribute, is_written) = match (word, label) {
                ("variable", name) if is_image_key(name) => ("default", false),
                ("resource", "docker_image") => ("name", is_built()),
                ("resource", "docker_registry_image") => ("name", true),
                ("data", "docker_image" | "docker_registry_image") => ("name", false),
                _ => continue,
            };
            let value = entry(bytes, &body, attribute).and_then(|at| string(bytes, at));
            let Some(image) = value.and_then(|range| image(bytes, range)) else { continue };
            if is_written {
                written.insert(image.image.to_string());
            } else {
                images.push(image);
            }
        }
    }
    images.extend(variables(bytes));
    // A field is stronger than a host. The sort is stable.
    images.sort_by_key(|one| (one.start(), one.evidence));
    images.dedup_by_key(|one| one.start());
    images.retain(|one| !written.contains(&one.image.to_string()));
}

/// Returns the images of variables: `name = "APP_IMAGE"`, and then `value = "a:1"`.
fn variables(bytes: &[u8]) -> impl Iterator<Item = ImageMatch> {
    outputs::ranges(bytes, "value", Place::Value).into_iter().filter_map(|range| {
        let before = &bytes[range.start.saturating_sub(LOOK_BYTES)..range.start];
        let before = before.trim_ascii_end().strip_suffix(b"=")?.trim_ascii_end().strip_suffix(b"value")?;
        let before = before.trim_ascii_end();
        let before = before.strip_suffix(b",").unwrap_or(before).trim_ascii_end().strip_suffix(b"\"")?;
        let open = before.iter().rposition(|byte| *byte == b'"')?;
        let name = std::str::from_utf8(&before[open + 1..]).ok()?;
        let key = before[..open].trim_ascii_end().strip_suffix(b"=")?.trim_ascii_end();
        let is_name = key.ends_with(b"name") && is_image_key(name);
        is_name.then(|| string_at(bytes, range.start)).flatten().and_then(|value| image(bytes, value))
    })
}

/// Returns the end of a name in a block. Inner blocks are not read.
fn entry(bytes: &[u8], body: &Range<usize>, name: &str) -> Option<usize> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let mut at = body.start + 1;
    while at < body.end {
        match bytes[at] {
            b'{' | b'[' | b'(' | b'"' => at = outputs::end_of_expression(bytes, at),
            b'#' | b'/' if is_comment(&bytes[at..]) => {
                at += memchr::memchr(b'\n', &bytes[at..]).unwrap_or(bytes.len());
            }
            byte if is_name(&&byte) => {
                let end = at + bytes[at..body.end].iter().take_while(is_name).count();
                if bytes[at..end] == *name.as_bytes() {
                    return Some(end);
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

fn is_comment(rest: &[u8]) -> bool {
    rest.starts_with(b"#") || rest.starts_with(b"//")
}

/// Returns the content of the string in an assignment.
fn string(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let at = outputs::skip_space(bytes, at);
    bytes.get(at).filter(|byte| **byte == b'=')?;
    string_at(bytes, outputs::skip_space(bytes, at + 1))
}

/// Returns the content of the string at an offset.
fn string_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    bytes.get(at).filter(|byte| **byte == b'"')?;
    let end = outputs::end_of_expression(bytes, at);
    bytes[at + 1..end].ends_with(b"\"").then(|| at + 1..end - 1)
}

/// Returns the image with a tag or a digest that is a complete string.
fn image(bytes: &[u8], range: Range<usize>) -> Option<ImageMatch> {
    let (image, part) = text::value(std::str::from_utf8(&bytes[range.clone()]).ok()?)?;
    let spelling = Spelling::Whole(range.start + part.start..range.start + part.end);
    let is_tagged = image.tag.is_some() || image.digest.is_some();
    is_tagged.then_some(ImageMatch { image, evidence: Evidence::Field, spelling })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let scan = crate::scan::scan(Path::new("main.tf"), text.as_bytes());
        let found: Vec<&str> = scan.images.iter().map(|one| &text[one.range()]).collect();
        assert_eq!(found, expected, "{text}");
        assert!(scan.images.iter().all(|one| one.evidence == Evidence::Field), "{text}");
    }

    #[test]
    fn reads_blocks() {
        check(
            "variable \"nginx_image\" {\n  # The default\n  type = string\n  default = \"nginx:1.27.0\"\n}",
            &["nginx:1.27.0"],
        );
        check("variable \"image\" { default = \"ghcr.io/acme/a:1\" }", &["ghcr.io/acme/a:1"]);
        check("variable \"image\" {\n  // The default\n  default = \"redis:7\"\n}", &["redis:7"]);
        check("resource \"docker_image\" \"a\" {\n  name = \"redis:7.4\"\n}", &["redis:7.4"]);
        check("data \"docker_registry_image\" \"a\" { name = \"postgres:16\" }", &["postgres:16"]);
        check("set {\n  name  = \"sidecar.image\"\n  value = \"busybox:1.36\"\n}", &["busybox:1.36"]);
        check("environment = [{ name = \"APP_IMAGE\", value = \"a/b:1\" }]", &["a/b:1"]);
        for text in [
            "variable \"address\" { default = \"redis:6379\" }",
            "variable \"image\" { default = \"nginx:${var.tag}\" }",
            "variable \"image\" { validation { default = \"nginx:1\" } }",
            "variable \"image\" { default = \"nginx\" }",
            "resource \"docker_image\" \"a\" {\n  name = \"ghcr.io/acme/a:1\"\n  build { context = \".\" }\n}",
            "resource \"docker_registry_image\" \"a\" { name = \"ghcr.io/acme/a:1\" }",
            "resource \"aws_instance\" \"a\" { name = \"a:1\" }",
            "set {\n  name = \"image.tag\"\n  value = \"a:1\"\n}",
            "set {\n  name = \"image\"\n}\nset {\n  value = \"a:1\"\n}",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn reads_open_blocks_in_linear_time() {
        for text in
            ["variable \"image\" {", "data \"a\" \"", "value = \"", "variable \"image\" { \"", "{ name"]
        {
            check(&text.repeat(1 << 16), &[]);
        }
    }
}
