//! Finds values of keys, options and calls that take an image: `image: a:1`, `--image=a:1`, `withImage("a:1")`.

use std::ops::Range;

use super::word::{self, Word};
use crate::scan::{Evidence, keys};

/// Maximum length of a key, and of the text between a key and its value.
const LOOK_BYTES: usize = 128;

/// Calls whose first argument is an image, with or without a tag.
const CALLS: [&str; 6] = [
    "ContainerImage.fromRegistry",
    "ContainerImage.from_registry",
    "ContainerImage_FromRegistry",
    "DockerImageName",
    "DockerImageName.parse",
    "GenericContainer",
];

/// Last parts of calls whose argument is an image if it has a tag. `Container` is an ending, because each module
/// of Testcontainers has its own class.
const CALLS_WITH_TAG: [&str; 5] =
    ["ImagePull", "containers.create", "containers.run", "docker.pull", "images.pull"];

/// Methods of a container in Dagger, whose argument is an image if it has a tag: `container().from("a:1")`. Other
/// objects have methods with these names too, as in `Buffer.from("user:secret")`.
const CONTAINER_METHODS: [&str; 3] = ["from", "From", "from_"];

/// Programs whose option `--image` is that of a virtual machine or of a system container.
const MACHINE_PROGRAMS: [&str; 8] =
    ["doctl", "hcloud", "incus", "limactl", "lxc", "multipass", "nova", "openstack"];

/// Returns the image of the key or the call whose name contains the byte at `at`.
pub(super) fn value_at(bytes: &[u8], at: usize) -> Option<Word> {
    let name = name_around(bytes, at)?;
    let text = std::str::from_utf8(&bytes[name.clone()]).ok()?;
    let before = name.start.checked_sub(1).map(|at| bytes[at]);
    let after = bytes.get(name.end).copied();
    if let Some(arguments) = arguments(bytes, name.end) {
        return call(bytes, &name, text, arguments);
    }
    if is_instruction(bytes, text, &name) {
        let found = word::value(bytes, skip_blanks(bytes, name.end)).filter(Word::has_version)?;
        let rest = &bytes[found.range.end..bytes.len().min(found.range.end + LOOK_BYTES)];
        let rest = rest[skip_blanks(rest, 0)..].to_ascii_lowercase();
        return (rest.starts_with(b"as ") || is_rest_of_line(&rest)).then_some(found);
    }
    let is_option = text.starts_with("--");
    if !(keys::is_image_key(text) || text == "--from")
        || matches!(before, Some(b'$' | b'{')) && after == Some(b'}')
    {
        return None;
    }
    if before == Some(b'<') {
        // <image>a:1</image>
        return (after == Some(b'>')).then(|| complete(bytes, name.end + 1, Style::Separated)).flatten();
    }
    let (at, quote) = skip_quote(bytes, name.end);
    let blank = skip_blanks(bytes, at);
    let (start, style) = match &bytes[blank..] {
        [b',', ..] if is_option && quote => (blank + 1, Style::Quoted),
        _ if is_option && blank > at && !quote => (blank, Style::Option),
        // Groovy and Ruby call a method without parentheses: image 'a:1'.
        [b'"' | b'\'', ..] if blank > at && !quote && is_statement(bytes, &name) => (blank, Style::Quoted),
        rest => {
            let length = separator(rest)?;
            let is_tight =
                blank == at && bytes.get(blank + length).is_some_and(|byte| !byte.is_ascii_whitespace());
            let is_assignment = rest[0] == b'=' && is_tight;
            (blank + length, if is_assignment || is_option { Style::Option } else { Style::Separated })
        }
    };
    let found = complete(bytes, skip_type(bytes, start), style).filter(Word::has_version)?;
    if is_ambiguous(bytes, &name, text) && Evidence::of_host(&found.image).is_none() {
        return None;
    }
    // A message such as "image: a:1" is not a key.
    let is_message =
        !quote && matches!(before, Some(b'"' | b'\'')) && bytes.get(found.range.end).copied() == before;
    (!is_message || bytes[at] == b'=').then_some(found)
}

/// Returns true for a name that often has other values, so that only a name with a host is an image: `container`,
/// attributes of HTML such as `data-image`, `--from` outside of instructions, and `--image` of virtual machines.
fn is_ambiguous(bytes: &[u8], name: &Range<usize>, text: &str) -> bool {
    let before = &bytes[name.start.saturating_sub(LOOK_BYTES)..name.start];
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let has_word = |words: &[&str]| {
        let mut parts = line.split(|byte| !byte.is_ascii_alphanumeric());
        parts.any(|part| words.iter().any(|word| word.as_bytes() == part))
    };
    match text {
        "--from" => !has_word(&["COPY", "ADD"]),
        "--image" => has_word(&MACHINE_PROGRAMS),
        _ => text.starts_with("data-") || is_container(text),
    }
}

/// Returns true if the last part of a name is only the word `container`.
fn is_container(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|last| last.trim_start_matches('-').eq_ignore_ascii_case("container"))
}

/// Returns the value of `--destination`, the option of builders such as kaniko, for the range of its name.
pub(super) fn destination(bytes: &[u8], name: Range<usize>) -> Option<Range<usize>> {
    if !bytes[name.clone()].starts_with(b"--") {
        return None;
    }
    let is_gap = |byte: &&u8| byte.is_ascii_whitespace() || b"=\"',".contains(byte);
    let start = name.end + bytes[name.end..].iter().take(LOOK_BYTES).take_while(is_gap).count();
    Some(start..word::run_end(bytes, start))
}

/// Marks the end of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Quotes are required.
    Quoted,
    /// A quote, or the end of the line. A comment can follow.
    Separated,
    /// A quote or a blank.
    Option,
}

/// Returns the argument of a call: `("a:1"`, `(ctx, "a:1"`, `(jsii.String("a:1")`.
fn call(bytes: &[u8], name: &Range<usize>, text: &str, at: usize) -> Option<Word> {
    let last = text.rsplit(['.', ':']).next().unwrap_or(text);
    let is_listed = |calls: &[&str]| calls.iter().any(|call| ends_with_part(text, call));
    let is_image_call = is_listed(&CALLS);
    let takes_tag = is_listed(&CALLS_WITH_TAG)
        || last.ends_with("Container")
        || keys::is_image_key(last)
        || (CONTAINER_METHODS.contains(&last) && is_method_of_container(bytes, name));
    let before = bytes[..name.start].trim_ascii_end();
    // A name that an image is compatible with is not pulled.
    if (!is_image_call && !takes_tag) || before.ends_with(b"asCompatibleSubstituteFor(") {
        return None;
    }
    let mut at = skip_blanks_and_lines(bytes, at);
    if let Some(rest) =
        bytes[at..].strip_prefix(b"ctx,").or_else(|| bytes[at..].strip_prefix(b"context.Background(),"))
    {
        at = skip_blanks(bytes, bytes.len() - rest.len());
    }
    let found = complete(bytes, at, Style::Quoted)?;
    // Other functions have these short names too, as in container("div").
    let is_ambiguous = !is_image_call && (text == "image" || text == "container");
    if is_ambiguous && Evidence::of_host(&found.image).is_none() {
        return None;
    }
    (is_image_call || found.has_version()).then_some(found)
}

/// Returns true if the object of the method is the result of a call whose name ends with `container`.
fn is_method_of_container(bytes: &[u8], name: &Range<usize>) -> bool {
    let before = bytes[name.start.saturating_sub(LOOK_BYTES)..name.start].trim_ascii_end();
    let object = match bytes[name.start] {
        b'.' => before,
        _ => before.strip_suffix(b".").unwrap_or_default().trim_ascii_end(),
    };
    let mut depth = 0_i32;
    let open = object.iter().rposition(|byte| {
        depth += i32::from(*byte == b')') - i32::from(*byte == b'(');
        depth == 0
    });
    let is_container =
        |name: &[u8]| name.last_chunk::<9>().is_some_and(|end| end.eq_ignore_ascii_case(b"container"));
    open.is_some_and(|open| object[open] == b'(' && is_container(&object[..open]))
}

/// Returns the start of the arguments after a name, which can have a type: `Container<>("a:1")`.
fn arguments(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..bytes.len().min(at + LOOK_BYTES)];
    let is_type = |byte: &&u8| byte.is_ascii_alphanumeric() || b"<>_, ?".contains(byte);
    let length = if rest.starts_with(b"<") { rest.iter().take_while(is_type).count() } else { 0 };
    (rest.get(length) == Some(&b'(')).then_some(at + length + 1)
}

/// Returns true if only blanks, a brace or another statement are before a name in its line.
fn is_statement(bytes: &[u8], name: &Range<usize>) -> bool {
    let before = bytes[..name.start].trim_ascii_end();
    bytes[before.len()..name.start].contains(&b'\n') || matches!(before.last(), None | Some(b'{' | b';'))
}

/// Returns true if a dotted name ends with a part, which can have dots itself.
fn ends_with_part(name: &str, part: &str) -> bool {
    name.strip_suffix(part).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Returns true for `FROM` at the start of a line.
fn is_instruction(bytes: &[u8], name: &str, range: &Range<usize>) -> bool {
    if name != "FROM" || !bytes.get(range.end).is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return false;
    }
    let before = &bytes[range.start.saturating_sub(LOOK_BYTES)..range.start];
    let line = before.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    line.trim_ascii().is_empty()
}

/// Returns the complete value at `at`.
fn complete(bytes: &[u8], at: usize, style: Style) -> Option<Word> {
    let at = skip_wrapper(bytes, skip_blanks(bytes, at));
    let escaped = usize::from(bytes.get(at) == Some(&b'\\'));
    let quote = bytes.get(at + escaped).copied().filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    if let Some(quote) = quote {
        let count = bytes[at + escaped..].iter().take(3).take_while(|byte| **byte == quote).count();
        let found = word::value(bytes, at + escaped + count)?;
        let end = default_end(bytes, found.range.end);
        let end = end + usize::from(escaped == 1 && bytes.get(end) == Some(&b'\\'));
        return (bytes.get(end) == Some(&quote)).then_some(found);
    }
    if style == Style::Quoted {
        return None;
    }
    let found = word::value(bytes, at)?;
    let end = default_end(bytes, found.range.end);
    let rest = &bytes[end..bytes.len().min(end + LOOK_BYTES)];
    let is_end = match rest.first() {
        None
        | Some(
            b'\n' | b'\r' | b',' | b'}' | b']' | b')' | b';' | b'"' | b'\'' | b'`' | b'|' | b'<' | b'\\',
        ) => true,
        Some(b' ' | b'\t') => style == Style::Option || is_rest_of_line(&rest[skip_blanks(rest, 0)..]),
        _ => false,
    };
    is_end.then_some(found)
}

/// Returns true if nothing but a comment or the end of an element follows.
fn is_rest_of_line(rest: &[u8]) -> bool {
    let ends: [&[u8]; 12] = [b"\n", b"\r", b"#", b"//", b"/*", b"--", b"}", b"]", b",", b";", b"|", b"\\"];
    rest.is_empty() || ends.iter().any(|end| rest.starts_with(end))
}

/// Returns the end of `${NAME:-…}` for the end of its default, else the same end.
fn default_end(bytes: &[u8], mut end: usize) -> usize {
    while bytes.get(end) == Some(&b'}')
        && bytes.get(end + 1).is_some_and(|byte| b"}\"'\n\r \t".contains(byte))
    {
        end += 1;
    }
    end
}

/// Returns the name with letters, digits, dots and hyphens around `at`.
fn name_around(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let is_name = |byte: &&u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let before = bytes[..at].iter().rev().take(LOOK_BYTES).take_while(is_name).count();
    let after = bytes[at..].iter().take(LOOK_BYTES).take_while(is_name).count();
    (before < LOOK_BYTES && after < LOOK_BYTES).then_some(at - before..at + after)
}

/// Returns the length of the separator between a key and its value.
fn separator(rest: &[u8]) -> Option<usize> {
    let operators: [&[u8]; 5] = [b"::=", b":=", b"?=", b"=>", b"="];
    let length = match operators.iter().find(|operator| rest.starts_with(operator)) {
        Some(operator) => operator.len(),
        None if rest.starts_with(b":") && rest.get(1) != Some(&b':') => 1,
        None => return None,
    };
    let is_comparison = rest.starts_with(b"=") && rest.get(1).is_some_and(|byte| matches!(byte, b'=' | b'~'));
    (!is_comparison).then_some(length)
}

/// Skips a quote, also one with a backslash.
fn skip_quote(bytes: &[u8], at: usize) -> (usize, bool) {
    let escaped = usize::from(bytes.get(at) == Some(&b'\\'));
    match bytes.get(at + escaped) {
        Some(b'"' | b'\'') => (at + escaped + 1, true),
        _ => (at, false),
    }
}

fn skip_blanks(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take(LOOK_BYTES).take_while(|byte| matches!(byte, b' ' | b'\t')).count()
}

fn skip_blanks_and_lines(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take(LOOK_BYTES).take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Skips the type between a name and its value: `image: &str = "a:1"`.
fn skip_type(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..bytes.len().min(at + LOOK_BYTES)];
    let is_type = |byte: &&u8| byte.is_ascii_alphanumeric() || b" &_<>[]?'.".contains(byte);
    let length = rest.iter().take_while(is_type).count();
    match &rest[length..] {
        [b'=', b' ', b'"' | b'\'', ..] if length > 0 => at + length + 1,
        _ => at,
    }
}

/// Skips a call or a prefix around a string: `String("a:1")`, `f"a:1"`.
fn skip_wrapper(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..bytes.len().min(at + LOOK_BYTES)];
    let length =
        rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || b"_.:&".contains(byte)).count();
    match &rest[length..] {
        [b'(', b'"' | b'\'' | b'`', ..] if length > 0 => at + length + 1,
        [b'"' | b'\'', ..] if (1..=2).contains(&length) => at + length,
        _ => at,
    }
}
