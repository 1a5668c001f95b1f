//! Finds references in any text, as cru does: a name with a slash, and a tag or a digest.
//!
//! The syntax of the file is not known. Excluded are URLs, ARNs, file names with a line number, and names
//! that contain a variable.

use std::ops::Range;

use super::{Evidence, ImageMatch, RawReference, Spelling};

/// Returns the references in a part of a file, in file order. Ranges are those of the file, and bytes outside
/// of the part are not read.
pub(super) fn find_in(bytes: &[u8], part: Range<usize>) -> Vec<ImageMatch> {
    let mut found = find(&bytes[part.clone()]);
    for one in &mut found {
        let Spelling::Whole(range) = &mut one.spelling else { continue };
        *range = part.start + range.start..part.start + range.end;
    }
    found
}

/// Returns the references in file order. Each has a slash, and searching slashes is fast.
pub(super) fn find(bytes: &[u8]) -> Vec<ImageMatch> {
    let mut found = Vec::new();
    let mut scanned = 0;
    for slash in memchr::memchr_iter(b'/', bytes) {
        if slash < scanned {
            continue;
        }
        let before = bytes[scanned..slash].iter().rposition(|byte| !is_word(*byte));
        let start = before.map_or(scanned, |at| scanned + at + 1);
        let length = bytes[slash..].iter().position(|byte| !is_word(*byte));
        let end = length.map_or(bytes.len(), |length| slash + length);
        found.extend(reference_in(bytes, start, end));
        scanned = end;
    }
    found
}

/// Maximum length of a word in bytes. A name has at most 255, a tag 128 and a SHA-512 digest 135. Longer
/// words are minified code or base64.
const MAX_WORD_BYTES: usize = 1024;

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'@')
}

/// Returns the reference in a run of reference characters.
fn reference_in(bytes: &[u8], start: usize, end: usize) -> Option<ImageMatch> {
    let word = &bytes[start..end];
    if word.len() > MAX_WORD_BYTES || memchr::memchr2(b':', b'@', word).is_none() {
        return None;
    }
    let word = std::str::from_utf8(word).ok()?;
    let before = start.checked_sub(1).map(|at| bytes[at]);
    // A shell, a template engine or CloudFormation fills in the other part.
    if matches!(before, Some(b'$' | b'}' | b'%'))
        || matches!(bytes.get(end), Some(b'$' | b'{' | b'%' | b'*' | b'+'))
    {
        return None;
    }
    let candidate = candidate(word, before == Some(b'\\'))?;
    // Skips most words early.
    if !candidate[candidate.rfind('/')?..].contains([':', '@']) {
        return None;
    }
    let image: RawReference = candidate.parse().ok()?;
    if (image.tag.is_none() && image.digest.is_none()) || is_other_syntax(&image) {
        return None;
    }
    let start = start + (candidate.as_ptr() as usize - word.as_ptr() as usize);
    let evidence = Evidence::of_host(&image).unwrap_or(Evidence::Guess);
    Some(ImageMatch { image, evidence, spelling: Spelling::Whole(start..start + candidate.len()) })
}

/// Returns the part of a word that can be a reference.
fn candidate(word: &str, escaped: bool) -> Option<&str> {
    // The letter belongs to an escape sequence, as in "\ngcr.io/…".
    let word = if escaped { word.strip_prefix(['n', 't', 'r'])? } else { word };
    let word = match word.split_once("://") {
        Some((scheme, rest)) => {
            let is_image = ["docker", "docker-image"].iter().any(|known| {
                scheme.strip_suffix(known).is_some_and(|rest| rest.is_empty() || rest.ends_with(':'))
            });
            is_image.then_some(rest)?
        }
        None => word,
    };
    // A default value in a shell or compose file: ${IMAGE:-gcr.io/a/b:1}.
    let word = word.rsplit_once(":-").map_or(word, |(_, default)| default);
    // The end of a sentence.
    let word = word.trim_end_matches(['.', ':', '@']);
    let host = word.split('/').next()?;
    match host.split_once(':') {
        _ if host.contains('@') => None,
        None => Some(word),
        Some((_, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !port.is_empty() => Some(word),
        // An ARN, or a part of one.
        Some((_, rest)) if rest.contains(':') => None,
        // A key, as in image:gcr.io/a/b:1.
        Some((key, _)) => Some(&word[key.len() + 1..]),
    }
}

/// First words of ARN resources. No organization has such a name.
const ARN_RESOURCES: [&str; 8] = [
    "repository",
    "task-definition",
    "log-group",
    "instance-profile",
    "function",
    "layer",
    "role",
    "parameter",
];

/// Extensions of source files, which messages name with a line number.
const SOURCE_EXTENSIONS: [&str; 22] = [
    "c", "cc", "cpp", "cs", "css", "go", "h", "html", "java", "js", "json", "md", "php", "py", "rb", "rs",
    "sh", "tf", "ts", "tsx", "yaml", "yml",
];

fn is_other_syntax(image: &RawReference) -> bool {
    let Some((first, rest)) = image.name.split_once('/') else { return true };
    if ARN_RESOURCES.contains(&first) || image.is_codebuild_image() {
        return true;
    }
    let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/');
    // A date or a fraction, followed by a time or a port.
    if only_digits(first) && only_digits(rest) {
        return true;
    }
    let is_source =
        rest.rsplit_once('.').is_some_and(|(_, extension)| SOURCE_EXTENSIONS.contains(&extension));
    image.digest.is_none() && is_source && image.tag.as_deref().is_some_and(only_digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = find(text.as_bytes());
        let texts: Vec<&str> = found.iter().map(|found| &text[found.range()]).collect();
        assert_eq!(texts, expected, "{text}");
        for one in found {
            assert_eq!(one.image.to_string(), text[one.range()], "{text}");
        }
    }

    const DIGEST: &str = "sha256:70d23423bdb3e4e63255cf62747b5cbfce53210778ca2fc3a2544595a0fce3c6";

    #[test]
    fn finds_references_in_common_syntaxes() {
        check("FROM docker.io/library/nginx:1.27-alpine AS x", &["docker.io/library/nginx:1.27-alpine"]);
        check("image = \"gcr.io/acme/app:v0.3.1\"", &["gcr.io/acme/app:v0.3.1"]);
        check("image: 'acme/app:1', acme/b:2", &["acme/app:1", "acme/b:2"]);
        check("localhost:5000/app:x registry:443/a/b:1", &["localhost:5000/app:x", "registry:443/a/b:1"]);
        check(&format!("a/b@{DIGEST}?"), &[&format!("a/b@{DIGEST}")]);
        check(&format!("(quay.io/a/b:1@{DIGEST})"), &[&format!("quay.io/a/b:1@{DIGEST}")]);
        check("docker://gcr.io/acme/app:1", &["gcr.io/acme/app:1"]);
        check("image:gcr.io/acme/app:1", &["gcr.io/acme/app:1"]);
        check("${IMAGE:-gcr.io/acme/app:1}", &["gcr.io/acme/app:1"]);
        check("\"a\\ngcr.io/acme/app:1\\n\"", &["gcr.io/acme/app:1"]);
        check("<image>gcr.io/acme/app:1</image>", &["gcr.io/acme/app:1"]);
    }

    #[test]
    fn finds_references_that_cru_misses() {
        check("docker.io/library/nginx:3", &["docker.io/library/nginx:3"]);
        check("ghcr.io/foo/bar.baz:1.2", &["ghcr.io/foo/bar.baz:1.2"]);
        check("my_org/app:1.0", &["my_org/app:1.0"]);
        check("Use gcr.io/acme/app:1.2.", &["gcr.io/acme/app:1.2"]);
    }

    #[test]
    fn ignores_other_syntaxes() {
        for text in [
            "nginx:3 python:3.9",
            "http://foo.com/bar:8080 https://me:pw@foo.com/bar:1 s3://bucket/key:1 ssh://git@h/p:1",
            "arn:aws:ecr:eu-west-1:123456789012:repository/python:latest",
            "arn:${AWS::Partition}:ecr:${AWS::Region}:${AWS::AccountId}:repository/python:latest",
            "- repository/python:latest",
            "${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/app:1.0",
            "$REGISTRY/app:1.0 {{ registry }}/app:1.0 $(REGISTRY)/app:1.0 %REG%/app:1",
            "gcr.io/acme/app:$TAG gcr.io/acme/app:1.0-${SUFFIX} gcr.io/acme/app:1.*",
            "git@github.com:acme/app.git user@host:a/b:1 actions/checkout@v4",
            "actions/checkout@8f4b7f84864484a7bf31766abe9204da3cbe65b3",
            "/usr/bin/x:/usr/local ./data/app:1 ../a/b:2 ~/a/b:3 ./data:/data:ro data/app:/app:ro",
            "crates/app/src/main.rs:12 src/main.py:10:5 docs/a.md:3",
            "12/05:30 2026/11/21:08 C:/foo/bar:1",
            "mvanholsteijn/paas-monitor acme/App:1 a/b: aws/codebuild/standard:7.0",
            "a/b@sha256:123 a/b@sha1:8f4b7f84864484a7bf31766abe9204da3cbe65b3",
        ] {
            check(text, &[]);
        }
    }

    #[test]
    fn reads_any_bytes() {
        let mut bytes = b"\xff\xfe acme/app:1 \x80acme/b:2\xff".to_vec();
        assert_eq!(find(&bytes).len(), 2);
        bytes.extend(vec![b'/'; 1 << 20]);
        bytes.extend(b":1");
        assert_eq!(find(&bytes).len(), 2);
    }
}
