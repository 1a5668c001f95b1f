//! Patches of files with any name and content.

use super::*;

const NO_END: &str = "\\ No newline at end of file\n";

#[track_caller]
fn check_patch(name: &[u8], content: &[u8], changes: &[(&str, &str)], style: PatchStyle, expected: &str) {
    let mut from = 0;
    let change = |(old, new): &(&str, &str)| {
        let at = from + content[from..].windows(old.len()).position(|part| part == old.as_bytes()).unwrap();
        from = at + old.len();
        Change { range: at..from, text: (*new).to_owned() }
    };
    let changes: Vec<Change> = changes.iter().map(change).collect();
    let patch = diff_of_changes(name, content, &changes, style);
    assert_eq!(String::from_utf8(patch).unwrap(), expected);
}

#[test]
fn prints_a_valid_patch() {
    let expected =
        format!("--- a/a/b.yaml\n+++ b/a/b.yaml\n@@ -1,2 +1,2 @@\n x\r\n-y: 1\n{NO_END}+y: 2\n{NO_END}");
    check_patch(b"a/b.yaml", b"x\r\ny: 1", &[("1", "2")], PatchStyle::Plain, &expected);
    let many = "1\n2\n3\n4\n5\n6\n7\n8\n9\na\nb\nc\nd\ne\nf\ng\n";
    let hunks = "--- a/a\n+++ b/a\n@@ -1,11 +1,11 @@\n-1\n-2\n+one\n+two\n 3\n 4\n 5\n 6\n 7\n-8\n+eight\n 9\n a\n b\n@@ -13,4 +13,4 @@\n d\n e\n f\n-g\n+sixteen\n";
    let changes = [("1", "one"), ("2", "two"), ("8", "eight"), ("c", "c"), ("g", "sixteen")];
    check_patch(b"a", many.as_bytes(), &changes, PatchStyle::Plain, hunks);
    let colored = "\u{1b}[1m--- a/a\u{1b}[0m\n\u{1b}[1m+++ b/a\u{1b}[0m\n\u{1b}[36m@@ -1 +1 @@\u{1b}[0m\n\u{1b}[31m-1\u{1b}[0m\n\u{1b}[32m+2\u{1b}[0m\n";
    check_patch(b"a", b"1\n", &[("1", "2")], PatchStyle::Colored, colored);
}

#[test]
fn escapes_invisible_characters_only_for_terminals() {
    let old = "\ty\u{1b}[2J: 1\r\n".as_bytes();
    let patch =
        |line: &str, end: &str| format!("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-{line}1{end}\n+{line}2{end}\n");
    check_patch(b"a", old, &[("1", "2")], PatchStyle::Plain, &patch("\ty\u{1b}[2J: ", "\r"));
    check_patch(b"a", old, &[("1", "2")], PatchStyle::Escaped, &patch("\ty\\u{1b}[2J: ", ""));
}

#[test]
fn quotes_names() {
    for (name, expected) in [
        (&b"a.txt"[..], "a.txt"),
        ("é/-x".as_bytes(), "é/-x"),
        (b"my file", "my file\t"),
        (b"my file ", "\"my file \""),
        (b" ", "\" \""),
        ("a\t\"\u{202e}.txt".as_bytes(), "\"a\\011\\042\\342\\200\\256.txt\""),
        (b"a\\b c\xff", "\"a\\134b c\\377\""),
    ] {
        let header = |side: char| match expected.strip_prefix('"') {
            Some(quoted) => format!("\"{side}/{quoted}"),
            None => format!("{side}/{expected}"),
        };
        let patch = format!("--- {}\n+++ {}\n@@ -1 +1 @@\n-1\n+2\n", header('a'), header('b'));
        check_patch(name, b"1\n", &[("1", "2")], PatchStyle::Plain, &patch);
    }
}

#[test]
fn compares_texts() {
    let expected = "--- a/a\n+++ b/a\n@@ -1,3 +1,4 @@\n 1\n-2\n+two\n 3\n+4\n";
    assert_eq!(diff("a", b"1\n2\n3\n", b"1\ntwo\n3\n4\n", PatchStyle::Plain), expected);
    assert_eq!(
        diff("a", b"", b"1", PatchStyle::Plain),
        format!("--- a/a\n+++ b/a\n@@ -0,0 +1 @@\n+1\n{NO_END}")
    );
}

#[test]
fn a_large_file_with_many_changes_has_a_patch() {
    const LINES: usize = 200_000;
    let content = "a/b:1\n".repeat(LINES);
    let change = |line: usize| Change { range: 6 * line + 4..6 * line + 5, text: format!("{line}") };
    let changes: Vec<Change> = (0..LINES).step_by(2).map(change).collect();
    let patch = diff_of_changes(b"a", content.as_bytes(), &changes, PatchStyle::Plain);
    assert_eq!(patch.split_inclusive(|byte| *byte == b'\n').count(), 3 + LINES + LINES / 2);
}

#[test]
fn shared_texts_change_once_or_not_at_all() {
    let change = |range: Range<usize>, text: &str| Change { range, text: text.into() };
    let ordered = in_order(vec![change(4..5, "b"), change(0..1, "a"), change(4..5, "b")]).unwrap();
    assert_eq!(ordered, [change(0..1, "a"), change(4..5, "b")]);
    assert!(in_order(vec![change(4..5, "b"), change(4..5, "c")]).is_err());
    assert!(in_order(vec![change(0..5, "b"), change(4..9, "c")]).is_err());
}

#[cfg(target_os = "linux")]
mod programs {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// A name of a file, below a folder with the same name.
    fn name() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            8 => "[a-z.-]{1,3}".prop_map(String::into_bytes),
            8 => "[ \t\"'\\\\\r\x07\x0c{}$*?#:&|;<>%!~^()\\[\\]=+,@`-]{1,2}".prop_map(String::into_bytes),
            4 => "[ ]{1,2}".prop_map(String::into_bytes),
            4 => "[é\u{2028}\u{202e}\u{a0}\u{feff}😀]".prop_map(String::into_bytes),
            1 => prop::collection::vec(128u8..=255, 1..3),
            1 => Just(b"2020-01-02 03:04:05.000 +0000".to_vec()),
            1 => Just(b"dev/null".to_vec()),
        ];
        let name = prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat());
        name.prop_filter("a file name", |name| {
            !name.starts_with(b".") && !name.ends_with(b".") && !name.windows(2).any(|two| two == b"/.")
        })
    }

    /// Lines with any end.
    fn content() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            4 => "[a-z /:.@\\\\+#é-]{0,12}".prop_map(String::into_bytes),
            1 => "[\t\x0c\x0b\u{85}\u{2028} ]{0,3}".prop_map(String::into_bytes),
            1 => Just(b"--- a/x".to_vec()),
            1 => Just(b"@@ -1 +1 @@".to_vec()),
            1 => Just(b"\\ No newline at end of file".to_vec()),
            1 => Just(b"diff --git a/x b/x".to_vec()),
            1 => prop::collection::vec(1u8..=255, 0..6),
        ];
        let end = prop_oneof![5 => Just(&b"\n"[..]), 3 => Just(&b"\r\n"[..]), 2 => Just(&b"\r"[..])];
        let lines = prop::collection::vec((line, end).prop_map(|(line, end)| [&line, end].concat()), 1..40);
        (lines, any::<bool>()).prop_map(|(lines, has_end)| {
            let mut text = lines.concat();
            while !has_end && text.ends_with(b"\n") {
                text.pop();
            }
            text
        })
    }

    /// Replaces parts of lines. References contain no line feed.
    fn changes_of(content: &[u8], places: &[(prop::sample::Index, usize, String)]) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for (at, length, text) in places {
            let start = at.index(content.len());
            let in_line = content[start..].iter().take_while(|byte| **byte != b'\n').count();
            changes.push(Change { range: start..start + in_line.min(*length), text: text.clone() });
        }
        changes.sort_by_key(|change| change.range.start);
        let mut end = 0;
        changes.retain(|change| {
            let is_free = change.range.start >= end;
            if is_free {
                end = change.range.end + 1;
            }
            is_free
        });
        changes
    }

    /// Applies a patch to a file in an empty folder. Returns the new content.
    fn applied(program: &str, arguments: &[&str], name: &Path, content: &[u8], patch: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::write(folder.path().join("patch"), patch).unwrap();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path().join("tree")).stdin(Stdio::null());
        command.env("HOME", folder.path()).env("GIT_CONFIG_NOSYSTEM", "1").env_remove("GIT_DIR");
        let output = command.output().unwrap();
        let shown = String::from_utf8_lossy(patch);
        assert!(output.status.success(), "{program}: {output:?}\n{shown}\n{content:?}");
        fs::read(path).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn patches_apply_to_files_with_any_name_and_content(
            name in name(),
            content in content(),
            places in prop::collection::vec((any::<prop::sample::Index>(), 0usize..9, "[a-z0-9@:/.-]{1,90}"), 1..9),
        ) {
            prop_assume!(!content.is_empty());
            let changes = changes_of(&content, &places);
            let new = apply(&content, &changes);
            prop_assume!(new != content);
            let patch = diff_of_changes(&name, &content, &changes, PatchStyle::Plain);
            let path = Path::new(OsStr::from_bytes(&name));
            prop_assert_eq!(&applied("git", &["apply", "../patch"], path, &content, &patch), &new);
            if has_patch() {
                prop_assert_eq!(&applied("patch", &["-p1", "-i", "../patch"], path, &content, &patch), &new);
            }
        }
    }

    /// Only .ci/run installs the program for certain.
    fn has_patch() -> bool {
        let is_installed = Command::new("patch").arg("--version").output().is_ok();
        assert!(is_installed || std::env::var_os("REQUIRE_PATCH").is_none(), "patch is not installed");
        is_installed
    }
}
