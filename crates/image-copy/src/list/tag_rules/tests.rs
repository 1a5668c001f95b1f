use super::*;

/// Tags like those of public repositories.
const TAGS: [&str; 17] = [
    "latest",
    "3",
    "3.9",
    "3.13",
    "3.13.0",
    "3.13.1",
    "v3.13.1",
    "3.14.0rc1",
    "3.14.0-rc.2",
    "3.13-slim",
    "3.13.1-slim",
    "3.13.1-slim-bookworm",
    "bookworm",
    "bookworm-20240904",
    "20240807",
    "2.7.18",
    "4.0.0",
];

/// Parses rules, each as `name=value`.
fn rules(texts: &[&str]) -> TagRules {
    let mut rules = TagRules::default();
    for text in texts {
        match text.split_once('=').unwrap() {
            ("exact", value) => rules.exact.push(value.parse().unwrap()),
            ("semver", value) => rules.semver.push(value.parse().unwrap()),
            ("include", value) => rules.include.push(value.parse().unwrap()),
            ("exclude", value) => rules.exclude.push(value.parse().unwrap()),
            ("suffix", value) => rules.suffix = Some(value.into()),
            ("newest", value) => rules.newest = Some(value.parse().unwrap()),
            (name, _) => panic!("{name}"),
        }
    }
    rules
}

fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Checks the tags that are in.
#[track_caller]
fn check(texts: &[&str], expected: &[&str]) {
    let (rules, tags) = (rules(texts), tags(&TAGS));
    let decisions = rules.decide(&tags);
    let selected: Vec<&str> = tags
        .iter()
        .zip(&decisions)
        .filter(|(_, decision)| decision.is_in())
        .map(|(tag, _)| tag.as_str())
        .collect();
    assert_eq!(selected, expected, "{texts:?}");
}

/// Checks the decision for one tag and its reason.
#[track_caller]
fn check_reason(texts: &[&str], tag: &str, is_in: bool, reason: &str) {
    let (rules, tags) = (rules(texts), tags(&[tag]));
    let decision = rules.decide(&tags)[0];
    assert_eq!((decision.is_in(), decision.to_string().as_str()), (is_in, reason), "{texts:?} {tag}");
}

#[test]
fn selects_tags() {
    check(&[], &TAGS);
    check(&["exact=latest", "exact=3"], &["latest", "3"]);
    check(&["exclude=*"], &[]);
    check(&["exclude=*", "exact=latest", "exact=gone"], &["latest"]);
    check(&["include=3.9", "include=book*"], &["3.9", "bookworm", "bookworm-20240904"]);
    check(&["include=3.13*", "exclude=*slim*"], &["3.13", "3.13.0", "3.13.1"]);
    check(&["semver=^3.10"], &["3.13", "3.13.0", "3.13.1", "v3.13.1"]);
    check(&["semver=>=3"], &["3", "3.9", "3.13", "3.13.0", "3.13.1", "v3.13.1", "4.0.0"]);
    check(&["semver=~3.9", "semver=^4"], &["3.9", "4.0.0"]);
    check(&["semver=>=3.13.1, <4", "exclude=v*"], &["3.13.1"]);
    check(&["semver=^3", "include=*.*.*"], &["3.13.0", "3.13.1", "v3.13.1"]);
    check(&["semver=^3", "suffix=-slim"], &["3.13-slim", "3.13.1-slim"]);
    check(&["semver=^3", "include=*-slim"], &["3.13-slim", "3.13.1-slim"]);
    check(&["semver=^3", "include=3.13.1*"], &["3.13.1"]);
    check(&["semver=^3.13.1", "include=*", "include=*-slim"], &["3.13.1", "v3.13.1", "3.13.1-slim"]);
    check(&["suffix=-slim-bookworm"], &["3.13.1-slim-bookworm"]);
    check(&["semver=>=3.14.0-rc.0, <3.15"], &["3.14.0rc1", "3.14.0-rc.2"]);
    check(&["semver=>=3.14.0-rc.2"], &["3.14.0-rc.2", "4.0.0"]);
    check(&["semver=>=20240000"], &["20240807"]);
    check(&["semver=>=20240000", "include=bookworm-*"], &["bookworm-20240904"]);
    check(&["newest=1"], &["4.0.0"]);
    check(&["newest=2"], &["3.13.1", "v3.13.1", "4.0.0"]);
    check(&["newest=2", "exact=latest", "exact=4.0.0"], &["latest", "3.13.0", "3.13.1", "v3.13.1", "4.0.0"]);
    check(&["newest=1", "semver=^3"], &["3.13.1", "v3.13.1"]);
    check(&["newest=2", "include=3.*"], &["3.13.0", "3.13.1"]);
    check(&["newest=1", "suffix=-slim"], &["3.13.1-slim"]);
    check(&["newest=1", "include=bookworm-*"], &["bookworm-20240904"]);
    check(&["newest=1", "semver=>=3.14.0-rc.0, <3.15"], &["3.14.0-rc.2"]);
    check(
        &["newest=100"],
        &["3", "3.9", "3.13", "3.13.0", "3.13.1", "v3.13.1", "20240807", "2.7.18", "4.0.0"],
    );
    check(&["semver=^9"], &[]);
}

#[test]
fn each_decision_has_one_reason() {
    check_reason(&[], "latest", true, "is not excluded");
    check_reason(&["exclude=*", "exact=3.13"], "3.13", true, "is an exact tag");
    check_reason(&["exact=3"], "3.13", false, "is not an exact tag");
    check_reason(&["exclude=*-rc*"], "1.0-rc1", false, "is excluded by *-rc*");
    check_reason(&["include=3.*", "exclude=*"], "3.13", false, "is excluded by *");
    check_reason(&["include=3.*", "include=4"], "4", true, "matches 4");
    check_reason(&["include=3.*"], "4", false, "matches no included pattern");
    check_reason(&["semver=^3"], "3.13", true, "is in the range ^3");
    check_reason(&["semver=^3", "semver=^4"], "4", true, "is in the range ^4");
    check_reason(&["semver=^3"], "4", false, "is outside the range");
    check_reason(&["semver=^3"], "latest", false, "has no version");
    check_reason(&["semver=^3"], "3f1a9c0be2d7", false, "has no version");
    check_reason(&["semver=^3"], "sha-123456", false, "has no version");
    check_reason(&["semver=^3"], "bookworm-3", false, "has bookworm- before its version");
    check_reason(&["semver=^3", "include=*-3"], "bookworm-3", false, "has bookworm- before its version");
    check_reason(&["semver=^3", "include=bookworm-*"], "bookworm-3", true, "is in the range ^3");
    check_reason(&["semver=^3"], "3.13-slim", false, "has the suffix -slim");
    check_reason(&["semver=^3", "include=3.*"], "3.13-slim", false, "has the suffix -slim");
    check_reason(&["semver=^3", "suffix=-slim"], "3.13", false, "has no suffix -slim");
    check_reason(&["semver=^3", "suffix=-slim"], "3.13-slim", true, "is in the range ^3");
    check_reason(&["suffix=-slim"], "3.13-slim", true, "has the suffix -slim");
    check_reason(&["suffix=-slim"], "3.13-slim-bookworm", false, "has the suffix -slim-bookworm");
    check_reason(&["suffix=-jdk"], "17.0.3_7-jdk", true, "has the suffix -jdk");
    check_reason(&["semver=^17", "include=*-jdk"], "17.0.3_7-jdk", true, "is in the range ^17");
    check_reason(&["suffix=-jdk"], "17.0.3_7-jre", false, "has the suffix _7-jre");
    check_reason(&["newest=1"], "24.0.1-0", false, "has the suffix -0");
    check_reason(&["newest=1", "include=*-"], "24.0.1-0", false, "matches no included pattern");
    check_reason(&["newest=1"], "2023-10-01", true, "is version 1 of the newest 1");
    check_reason(&["newest=1"], "pr-12", false, "has no version");
    check_reason(&["semver=*"], "3.14.0rc1", false, "is a pre-release");
    check_reason(&["semver=>=3.14.0-rc.1"], "3.14.0rc1", true, "is in the range >=3.14.0-rc.1");
    check_reason(&["semver=>=3.14.0-rc.1"], "3.15.0rc1", false, "is outside the range");
    check_reason(&["newest=1"], "3.14.0rc1", false, "is a pre-release");
    check_reason(&["semver=>=3"], "20240807", false, "is a date");
    check_reason(&["newest=2"], "3.13", true, "is version 1 of the newest 2");
    check_reason(&["newest=2"], "latest", false, "has no version");
    let (rules, tags) = (rules(&["newest=1"]), tags(&["1.0", "1.1"]));
    let decisions = rules.decide(&tags);
    assert_eq!(decisions[0].to_string(), "is older than the newest 1");
    assert_eq!(decisions[1].to_string(), "is version 1 of the newest 1");
}

/// The newest build of a version is the newest.
#[test]
fn builds_order_tags_of_the_same_version() {
    let (rules, tags) = (
        rules(&["newest=2", "suffix=-jdk"]),
        tags(&["17.0.3_7-jdk", "17.0.9_9-jdk", "17.0.9_10-jdk", "17.0.10_7-jdk", "17.0.10_7-jre"]),
    );
    let decisions = rules.decide(&tags);
    let selected = tags.iter().zip(&decisions).filter(|(_, decision)| decision.is_in());
    let selected: Vec<&str> = selected.map(|(tag, _)| tag.as_str()).collect();
    assert_eq!(selected, ["17.0.9_10-jdk", "17.0.10_7-jdk"]);
}

#[test]
fn the_order_of_the_repository_does_not_matter() {
    let (rules, mut tags) = (rules(&["newest=3", "exclude=4*"]), tags(&TAGS));
    let selected = |tags: &[Tag]| -> Vec<Tag> {
        let decisions = rules.decide(tags);
        let mut selected: Vec<Tag> = tags
            .iter()
            .zip(&decisions)
            .filter(|(_, decision)| decision.is_in())
            .map(|(tag, _)| tag.clone())
            .collect();
        selected.sort();
        selected
    };
    let expected = selected(&tags);
    tags.reverse();
    assert_eq!(selected(&tags), expected);
    assert_eq!(expected.len(), 4);
}
