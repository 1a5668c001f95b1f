//! Media types of manifests and configs.

use super::ParseError;

/// OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker manifest list.
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// All supported manifests and indexes, in the order of the `Accept` headers.
pub const MANIFEST_TYPES: [&str; 4] = [OCI_INDEX, DOCKER_MANIFEST_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/// Maximum length of a media type in characters: two names of 127 (RFC 6838, section 4.2) and a slash.
const MAX_CHARS: usize = 255;

/// Checks that a media type is safe in a header and in a message. Its grammar is not checked, because
/// registries store artifacts whose media types have no subtype or several slashes.
pub(super) fn validate(text: &str) -> Result<&str, ParseError> {
    const EXPECTED: &str = "a media type: expected at most 255 printable ASCII characters";
    let is_valid = text.len() <= MAX_CHARS && text.bytes().all(|b| matches!(b, b' '..=b'~'));
    if is_valid { Ok(text) } else { Err(ParseError::new(text, EXPECTED)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_printable_ascii_of_bounded_length() {
        for valid in [
            OCI_INDEX,
            "application/vnd.dev.sigstore.bundle+json;version=0.2",
            "text/plain; charset=\"utf-8\"",
            "layer",
            "a/b/c",
            &"b".repeat(255),
        ] {
            assert_eq!(validate(valid), Ok(valid));
        }
        for invalid in ["a/b\n", "a/\u{1b}[31m", "a/b;\u{202e}", "ä/b", &"b".repeat(256)] {
            let error = validate(invalid).unwrap_err().to_string();
            assert!(error.chars().count() < 250 && error.chars().all(crate::text::is_visible), "{error}");
        }
    }
}
