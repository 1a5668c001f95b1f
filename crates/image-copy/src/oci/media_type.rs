//! Media types of manifests and configs.

use super::ParseError;

/// OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker's index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's image manifest, schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// OCI image config.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker's image config.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// All manifests, in the order in which they are asked for.
pub const ALL: [&str; 4] = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST];

/// Maximum length of a type or subtype in characters (RFC 6838, section 4.2).
const NAME_CHARS: usize = 127;

/// Maximum length of a media type with its parameters in characters.
const MAX_CHARS: usize = 2 * NAME_CHARS + 1;

/// Checks `type/subtype` against RFC 6838, section 4.2. Parameters can follow: sigstore's bundles have one
/// (<https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto>).
pub(super) fn checked(text: &str) -> Result<&str, ParseError> {
    const EXPECTED: &str = "a media type: expected type/subtype, such as application/json";
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_name = |name: &str| {
        let rest = |b: u8| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b);
        name.len() <= NAME_CHARS
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(rest)
    };
    let is_valid = text.len() <= MAX_CHARS
        && essence
            .trim_end_matches(' ')
            .split_once('/')
            .is_some_and(|(top, sub)| is_name(top) && is_name(sub))
        && parameters.bytes().all(|b| matches!(b, b' '..=b'~'));
    if is_valid { Ok(text) } else { Err(ParseError::new(text, EXPECTED)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_grammar_and_nothing_else() {
        let long = |length| format!("a/{}", "b".repeat(length));
        for valid in [
            OCI_INDEX,
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "application/vnd.dev.sigstore.bundle+json;version=0.2",
            "text/plain; charset=\"utf-8\"",
            "x/y",
            &long(127),
        ] {
            assert_eq!(checked(valid), Ok(valid));
        }
        for invalid in [
            "application",
            "/json",
            "a/",
            "a/b/c",
            "a b/c",
            "a/b\n",
            "a/\u{1b}[31m",
            "a/b;\u{202e}",
            "-a/b",
            "ä/b",
            &long(128),
            &format!("a/b;{}", "c".repeat(300)),
        ] {
            let error = checked(invalid).unwrap_err().to_string();
            assert!(error.chars().count() < 250 && error.chars().all(crate::text::is_visible), "{error}");
        }
    }
}
