use super::*;

/// Checks prefix, numbers, pre-release, suffix, variant and builds.
#[track_caller]
fn check(tag: &str, expected: &str) {
    let version = TagVersion::parse(tag).unwrap_or_else(|| panic!("{tag}"));
    let pre_release = version.pre_release.as_ref().map(|one| format!("{}{:?}", one.kind, one.numbers));
    let TagVersion { prefix, numbers, suffix, variant, builds, .. } = &version;
    let pre_release = pre_release.unwrap_or_default();
    let found = format!("{prefix}|{numbers:?}|{pre_release}|{suffix}|{variant}|{builds:?}");
    assert_eq!(found.replace(", ", " "), expected, "{tag}");
}

#[test]
fn splits_tags_into_parts() {
    check("v1.27.0-rc.2-alpine3.19", "v|[1 27 0]|rc[2]|-alpine3.19|-alpine3.19|[]");
    check("3.13.0rc1", "|[3 13 0]|rc[1]|||[]");
    check("3.9-slim-bookworm", "|[3 9]||-slim-bookworm|-slim-bookworm|[]");
    check("bookworm-20240904", "bookworm-|[20240904]||||[]");
    check("8-jdk", "|[8]||-jdk|-jdk|[]");
    check("1.2-b", "|[1 2]||-b|-b|[]");
    check("17.0.3_7-jdk", "|[17 0 3]||_7-jdk|-jdk|[7]");
    check("8u392-b08-jdk", "|[8]||u392-b08-jdk|-jdk|[392 8]");
    check("1.27.0-debian-12-r3", "|[1 27 0]||-debian-12-r3|-debian-12-r3|[3]");
    check("1.24.0-r7-ls256", "|[1 24 0]||-r7-ls256||[7 256]");
    check("2023-10-01", "|[2023 10 1]||||[]");
    check("2023-10", "|[2023 10]||||[]");
    check("2023-13-01", "|[2023]||-13-01||[13 1]");
    check("RELEASE.2024-01-02T03-04-05Z", "RELEASE.|[2024 1 2 3 4 5]||Z|Z|[]");
    check("20240807T101500Z", "|[20240807 101500]||Z|Z|[]");
    check("1.40.1.8227-c0dd5a73e-ls203", "|[1 40 1 8227]||-c0dd5a73e-ls203||[203]");
    check("10.8.13ubu2204-ls20", "|[10 8 13]||ubu2204-ls20|ubu2204-ls20|[20]");
    check("1.0.0-alpha.1.2", "|[1 0 0]|alpha[1 2]|||[]");
    check("1.2-SNAPSHOT", "|[1 2]|snapshot[0]|||[]");
    check("3.12-dev", "|[3 12]||-dev|-dev|[]");
    check("3.0-dev5", "|[3 0]|dev[5]|||[]");
    check("3.0.0-M1", "|[3 0 0]|m[1]|||[]");
    check("python3.12-1.5", "python3.12-|[1 5]||||[]");
    check("x86_64-22.04-x86_64", "x86_64-|[22 4]||-x86_64|-x86_64|[]");
    check("release-v1.2", "release-v|[1 2]||||[]");
    check("server-b4291", "server-b|[4291]||||[]");
}

#[test]
fn tags_without_a_version() {
    for tag in [
        "latest",
        "bookworm",
        "3f1a9c0be2d7",
        "sha-123456",
        "pr-12",
        "1.1.1b",
        "99999999999999999999",
        "1.2-99999999999999999999",
        "ltsc2022",
        "alpine3.19",
        "lts-jdk17",
        "20H2",
        "17jdk",
        "_1",
        "a-.b",
    ] {
        assert_eq!(TagVersion::parse(tag), None, "{tag}");
    }
}

#[test]
fn reports_a_new_major_version() {
    for (from, to, expected) in [
        ("3.13", "4.0", true),
        ("v1", "v2", true),
        ("4.0", "3.13", false),
        ("3.13", "3.14", false),
        ("22.04", "24.04", true),
        ("2019-latest", "2022-latest", true),
        ("2023-10-01", "2024-01-01", false),
        ("2024.10", "2025.1", false),
        ("20240807", "20250101", false),
        ("20240807.1", "20250101.2", false),
        ("999", "1007", false),
        ("RELEASE.2024-01-02T03-04-05Z", "RELEASE.2025-01-02T03-04-05Z", false),
    ] {
        let parse = |tag| TagVersion::parse(tag).unwrap();
        assert_eq!(parse(from).is_new_major(&parse(to)), expected, "{from} {to}");
    }
}

#[test]
fn orders_versions_by_age() {
    let ordered = [
        "20240807",
        "bookworm-20241016",
        "0.9",
        "3",
        "3.9",
        "3.13",
        "3.13.0a2",
        "3.13.0rc1",
        "3.13.0rc2",
        "3.13.0",
        "v3.13.1-slim",
        "2024.10",
    ];
    let versions: Vec<_> = ordered.iter().map(|tag| TagVersion::parse(tag).unwrap()).collect();
    for pair in versions.windows(2) {
        assert_eq!(pair[0].compare(&pair[1]), Ordering::Less, "{pair:?}");
    }
    assert_eq!(versions[3].compare(&TagVersion::parse("v3-slim").unwrap()), Ordering::Equal);
}

#[test]
fn a_pre_release_is_semantic() {
    let semantic = |tag| TagVersion::parse(tag).unwrap().semantic().to_string();
    assert_eq!(semantic("3.14rc1"), "3.14.0-rc.1");
    assert_eq!(semantic("v1.27.0-rc.2-alpine3.19"), "1.27.0-rc.2");
    assert_eq!(semantic("3"), "3.0.0");
}

/// The table in the documentation is the table in the code.
#[test]
fn the_documentation_lists_all_words() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/versions.md");
    let page = std::fs::read_to_string(path).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("Words\n")).unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: Vec<Vec<&str>> =
        rows.map(|row| row.split_once("` |").unwrap().0.split("`, `").collect()).collect();
    let words: Vec<Vec<&str>> = words::WORDS.iter().map(|(_, words)| words.to_vec()).collect();
    assert_eq!(documented, words);
    for ((meaning, _), row) in words::WORDS.iter().zip(section.lines().filter(|line| line.starts_with("| `")))
    {
        let is_pre_release = matches!(meaning, words::Meaning::PreRelease { .. });
        assert_eq!(row.contains("| pre-release"), is_pre_release, "{row}");
    }
}

/// Every sequence of four parts, in any order, is either a version with all its parts or none.
#[test]
fn parses_any_sequence_of_parts() {
    let parts = ["1", "20240102", "2024", "02", "v", "a", "rc", "T", "Z", "r", "1a2b3c4", ".", "-", "_"];
    let count = parts.len();
    let mut versions = 0;
    for number in 0..count.pow(4) {
        let at = |position: u32| parts[number / count.pow(position) % count];
        let tag = format!("{}{}{}{}", at(0), at(1), at(2), at(3));
        let Some(version) = TagVersion::parse(&tag) else { continue };
        versions += 1;
        assert!(tag.starts_with(version.prefix) && tag.ends_with(version.suffix), "{tag}: {version:?}");
        assert!(
            version.suffix.ends_with(version.variant) && !version.numbers.is_empty(),
            "{tag}: {version:?}"
        );
        let orders = [version.compare(&version), version.compare_in_scheme(&version)];
        assert_eq!(orders, [Ordering::Equal; 2], "{tag}: {version:?}");
        assert!(!version.is_new_major(&version), "{tag}: {version:?}");
    }
    assert!(versions > count.pow(4) / 4, "{versions}");
}
