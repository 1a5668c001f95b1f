use std::collections::BTreeSet;

use super::*;

/// Tags of public repositories, with the expected newest tag.
const SCHEMES: &str = include_str!("schemes.txt");

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn newest_name(current: &str, all: &[Tag], requirement: Option<&VersionReq>) -> Option<String> {
    newest(&current.parse().unwrap(), all, requirement).map(|newest| newest.tag.to_string())
}

#[test]
fn finds_the_newest_tag_of_each_scheme() {
    let lines = SCHEMES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut repositories = BTreeSet::new();
    let mut failures = Vec::new();
    for line in lines {
        let (row, names) = line.split_once('|').unwrap();
        let [repository, current, expected] = row.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        repositories.insert(repository);
        let mut all = tags(&names.split_whitespace().collect::<Vec<_>>());
        let expected = match expected {
            "=" => Some(current),
            "?" => None,
            expected => Some(expected),
        };
        assert!(expected.is_none_or(|tag| all.iter().any(|one| one.as_str() == tag)), "{line}");
        let found = newest_name(current, &all, None);
        if found.as_deref() != expected {
            failures.push(format!("{repository}:{current} moves to {found:?} instead of {expected:?}"));
            continue;
        }
        // The order of the registry does not matter, and a second run changes nothing.
        all.reverse();
        assert_eq!(newest_name(current, &all, None), found, "{line}");
        if let Some(found) = found {
            assert_eq!(newest_name(&found, &all, None).as_ref(), Some(&found), "{line}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(repositories.len() >= 80, "{}", repositories.len());
}

#[track_caller]
fn check(current: &str, requirement: &str, expected: Option<&str>) {
    let all = tags(&[
        "3",
        "3.8",
        "3.9",
        "3.10",
        "3.10.4",
        "3.11.0",
        "3.13",
        "4.0",
        "3.9-slim",
        "3.12-slim",
        "3.13-alpine",
        "3.14rc1",
        "3.14rc2",
        "3.14.0rc1",
        "v3.20",
        "20240807",
        "latest",
        "bookworm",
        "3.9-slim-bookworm",
        "2024.10",
        "2023-10-01",
        "2024-05-01",
        "2025-01-01",
    ]);
    let requirement = requirement.parse().unwrap();
    assert_eq!(
        newest_name(current, &all, Some(&requirement)).as_deref(),
        expected,
        "{current} {requirement}"
    );
}

#[test]
fn stays_within_the_range() {
    check("3.9", "^3.9", Some("3.13"));
    check("3.9", "~3.9", Some("3.9"));
    check("3.9", ">=3.9, <3.11", Some("3.10"));
    check("3.9-slim", "^3", Some("3.12-slim"));
    check("3.14rc1", "<4", Some("3.14rc2"));
    check("2023-10-01", "^2024", Some("2024-05-01"));
    check("latest", "^3", None);
    check("3.9", "^7", None);
    check("4.0", "^3", None);
}

#[test]
fn reports_a_newer_version_with_another_base() {
    let check = |current: &str, all: &[&str], expected: Option<&str>| {
        let found = newest(&current.parse().unwrap(), &tags(all), None).unwrap();
        assert_eq!(found.other_base.as_ref().map(Tag::as_str), expected, "{current}");
    };
    let alpine =
        ["3.12-alpine3.19", "3.13-alpine3.19", "3.14-alpine3.21", "3.14-alpine3.22", "3.15rc1-alpine3.22"];
    check("3.12-alpine3.19", &alpine, Some("3.14-alpine3.22"));
    check("3.14-alpine3.21", &alpine, None);
    check("1.0-debian-12-r3", &["1.0-debian-12-r3", "1.1-debian-13-r0"], Some("1.1-debian-13-r0"));
    check("1.0-debian-12-r3", &["1.0-debian-12-r3", "1.1-ubuntu-13-r0", "1.1"], None);
    check("10.0.20348.1", &["10.0.20348.1", "10.0.26100.1"], None);
}

#[test]
fn prefers_the_most_specific_tag() {
    let check = |names: &[&str], current: &str, expected: &[&str]| {
        let found = more_specific(&current.parse().unwrap(), &tags(names));
        assert_eq!(found.iter().map(Tag::as_str).collect::<Vec<_>>(), expected, "{current}");
    };
    let all = ["latest", "3", "3.13-slim", "3.13.1-slim", "3.13.1", "3.13", "stable", "3.14.0rc1"];
    check(&all, "stable", &["3.13.1", "3.13.1-slim", "3.14.0rc1", "3.13", "3.13-slim", "3", "latest"]);
    check(&all, "3.13", &["3.13.1", "3.13.1-slim", "3.14.0rc1"]);
    // A resolved tag stays unchanged.
    check(&all, "3.13.1-slim", &["3.13.1"]);
    check(&all, "3.13.1", &[]);
    check(&["2024-01-02", "20240102", "1.2", "latest"], "latest", &["1.2", "2024-01-02", "20240102"]);
}

#[test]
fn finds_the_newest_tags_of_the_documentation() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/versions.md")).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("Examples\n")).unwrap();
    let rows: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    assert!(rows.len() >= 10, "{rows:?}");
    for row in rows {
        let cells: Vec<Vec<&str>> = row.split(" | ").map(|cell| cell.split('`').collect()).collect();
        let [current, others, newest] = &cells[..] else { panic!("{row}") };
        let others = tags(&others.iter().copied().skip(1).step_by(2).collect::<Vec<_>>());
        assert_eq!(newest_name(current[0], &others, None).as_deref(), Some(newest[1]), "{row}");
    }
}
