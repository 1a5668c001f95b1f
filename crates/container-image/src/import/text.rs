//! References as other tools write them: with variables, and with prefixes of transports.

use image_copy::oci::Reference;

/// Maximum length of a text in bytes. A reference has at most 780: a host, a path, a tag and a digest.
const MAX_BYTES: usize = 2000;

/// Transports in front of references: of image IDs in Kubernetes with Docker, and of skopeo
/// (<https://github.com/containers/image/blob/main/docs/containers-transports.5.md>).
const TRANSPORTS: [&str; 2] = ["docker-pullable://", "docker://"];

/// Problem of an image ID.
pub(super) const IS_IMAGE_ID: &str = "is an image ID without a repository. Add the reference";

/// A text without variables.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) value: String,
    /// Names of the variables that were replaced by their defaults.
    pub(super) variables: Vec<String>,
}

/// Replaces variables by their defaults, as Compose does for variables that are not set
/// (<https://docs.docker.com/reference/compose-file/interpolation/>).
///
/// # Errors
/// The end of a sentence if a variable has no default.
pub(super) fn parse(written: &str) -> Result<Text, String> {
    if written.len() > MAX_BYTES {
        return Err("is too long for a reference".into());
    }
    if written.contains("{{") {
        return Err("contains a template. Render it first, for example with helm template".into());
    }
    let mut text = Text { value: String::new(), variables: Vec::new() };
    replace(written.trim(), &mut text)?;
    Ok(text)
}

fn replace(written: &str, text: &mut Text) -> Result<(), String> {
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('$') {
        text.value.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.value.push('$');
            rest = after;
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = closing_brace(inside).ok_or("has a brace that is not closed. Correct it")?;
            variable(&inside[..end], text)?;
            rest = &inside[end + 1..];
        } else {
            let end = name_length(after);
            variable(&after[..end], text)?;
            rest = &after[end..];
        }
    }
    text.value.push_str(rest);
    Ok(())
}

/// Replaces `NAME`, `NAME:-default` or another form of a variable that is not set.
fn variable(inside: &str, text: &mut Text) -> Result<(), String> {
    let (name, operator) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return Err("has a dollar sign without a variable. Correct it".into());
    }
    let operator = operator.strip_prefix(':').unwrap_or(operator);
    let missing = || {
        let name = super::mapping::key(name);
        Err(format!("has the variable {name} without a default. Replace it, or import rendered files"))
    };
    match operator.chars().next() {
        Some('-' | '=') => {
            text.variables.push(name.into());
            replace(&operator[1..], text)
        }
        // The text is only for variables that are set.
        Some('+') => {
            text.variables.push(name.into());
            Ok(())
        }
        _ => missing(),
    }
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Returns the position of the brace that closes a variable. Defaults can contain variables.
fn closing_brace(inside: &str) -> Option<usize> {
    let mut open = 0_usize;
    for (at, c) in inside.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

/// Parses a reference, without the prefix of a transport.
///
/// # Errors
/// The end of a sentence.
pub(super) fn reference(value: &str) -> Result<Reference, String> {
    let value = value.trim();
    let value = TRANSPORTS.iter().find_map(|prefix| value.strip_prefix(prefix)).unwrap_or(value);
    if is_digest(value) || is_short_id(value) {
        return Err(IS_IMAGE_ID.into());
    }
    // The error repeats the text, which the message already quotes.
    let parsed: Result<Reference, _> = value.parse();
    parsed.map_err(|error| format!("is not {}", error.expected))
}

/// Returns the complete name of a reference, or of a repository, by which a list is sorted.
pub(super) fn sort_key(written: &str) -> String {
    let Ok(complete) = reference(written) else { return written.into() };
    if is_repository(written) { complete.repository.to_string() } else { complete.to_string() }
}

/// Returns true for a reference without tag and digest.
pub(super) fn is_repository(written: &str) -> bool {
    !written.rsplit('/').next().is_some_and(|name| name.contains([':', '@']))
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_sha256)
}

/// Returns true for an image ID of `docker ps`.
fn is_short_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns the image ID that was parsed as a reference: `sha256:…` as repository and tag, or the short form of
/// `docker images --quiet` as a name.
pub(super) fn image_id(source: &Reference) -> Option<String> {
    let name = source.repository.path().strip_prefix("library/")?;
    let tag = source.tag.as_ref().filter(|_| source.repository.registry().is_docker_hub())?.as_str();
    let written = if tag == "latest" { name.to_owned() } else { format!("{name}:{tag}") };
    (is_digest(&written) || is_short_id(&written)).then_some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_variables_by_their_defaults() {
        let value = |text: &str| parse(text).map(|text| text.value);
        for (written, expected) in [
            ("nginx:1", "nginx:1"),
            (" nginx:${TAG:-1.27} ", "nginx:1.27"),
            ("nginx:${TAG-1.27}", "nginx:1.27"),
            ("${REGISTRY:-ghcr.io/${ORG:-acme}}/app:${TAG:=2}", "ghcr.io/acme/app:2"),
            ("nginx:1${SUFFIX:+-alpine}", "nginx:1"),
            ("nginx:1${SUFFIX:-}", "nginx:1"),
            ("a$$b", "a$b"),
        ] {
            assert_eq!(value(written).as_deref(), Ok(expected), "{written}");
        }
        for (written, problem) in [
            ("nginx:${TAG}", "has the variable TAG without a default"),
            ("nginx:$TAG", "has the variable TAG without a default"),
            ("nginx:${TAG:?set it}", "has the variable TAG without a default"),
            ("nginx:${A:-$B}", "has the variable B without a default"),
            ("nginx:${TAG", "has a brace that is not closed"),
            ("nginx:$(TAG)", "has a dollar sign without a variable"),
            ("nginx:${}", "has a dollar sign without a variable"),
            ("nginx:{{ .Values.tag }}", "contains a template"),
        ] {
            assert!(value(written).unwrap_err().starts_with(problem), "{written}");
        }
        assert!(value(&"a".repeat(2001)).is_err());
    }

    #[test]
    fn parses_references_with_transports() {
        let digest = "a".repeat(64);
        let name = |text: &str| reference(text).map(|reference| reference.to_string());
        let nginx = format!("docker.io/library/nginx@sha256:{digest}");
        assert_eq!(name(&format!("docker-pullable://nginx@sha256:{digest}")), Ok(nginx));
        assert_eq!(name("docker://ghcr.io/a/b:1"), Ok("ghcr.io/a/b:1".into()));
        for id in [format!("sha256:{digest}"), format!("docker://sha256:{digest}"), "0a399eb16751".into()] {
            assert!(name(&id).unwrap_err().starts_with("is an image ID"), "{id}");
        }
        assert_eq!(
            name("Nginx").unwrap_err(),
            "is not a repository name: expected lower-case letters and digits, separated by ., _, - or /"
        );
    }
}
