use super::*;

/// "me:x"
const AUTH: &str = r#"{"auth": "bWU6eA=="}"#;

fn config(text: &str) -> DockerConfig {
    DockerConfig::parse(&text.into()).unwrap()
}

fn repository(name: &str) -> Repository {
    let (host, path) = name.split_once('/').unwrap_or((name, "acme/app"));
    Repository::new(host.parse().unwrap(), path).unwrap()
}

#[track_caller]
fn check(text: &str, name: &str, expected: Option<(&str, &str)>) {
    let found = config(text).credentials_for(&repository(name)).unwrap();
    let found = found
        .as_ref()
        .map(|credentials| (credentials.username.as_str(), credentials.password.expose_secret()));
    assert_eq!(found, expected, "{name} in {text}");
}

#[test]
fn reads_credentials_of_docker_and_other_tools() {
    // "me:pa:ss", "me:secret\0", "me:x" without padding, and "me:".
    let text = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "bWU6cGE6c3M="},
        "quay.io": {"auth": "bWU6c2VjcmV0AA=="},
        "registry.example:5000": {"auth": "bWU6eA"},
        "lines.example": {"auth": "bWU6\r\neA==\n"},
        "ghcr.io": {"username": "you", "password": "token", "auth": ""},
        "acme.azurecr.io": {"auth": "bWU6", "identitytoken": "refresh"},
        "empty.example": {}
    }, "HttpHeaders": {"User-Agent": "Docker"}}"#;
    check(text, "docker.io", Some(("me", "pa:ss")));
    check(text, "quay.io", Some(("me", "secret")));
    check(text, "registry.example:5000", Some(("me", "x")));
    check(text, "lines.example", Some(("me", "x")));
    check(text, "ghcr.io", Some(("you", "token")));
    check(text, "acme.azurecr.io", Some(("<token>", "refresh")));
    check(text, "empty.example", None);
    check(text, "registry.example", None);
}

#[test]
fn auth_has_priority_over_username_and_password() {
    for (entry, expected) in [
        (r#"{"auth": "bWU6eA==", "username": "", "password": ""}"#, Some(("me", "x"))),
        (r#"{"auth": "bWU6eA==", "username": "me", "password": ""}"#, Some(("me", "x"))),
        (r#"{"auth": "bWU6eA==", "username": "old", "password": "old"}"#, Some(("me", "x"))),
        (r#"{"auth": "bWU6eA==", "identitytoken": ""}"#, Some(("me", "x"))),
        (r#"{"auth": "bWU6eA==", "identitytoken": null, "email": 3}"#, Some(("me", "x"))),
        (r#"{"auth": null, "username": "me", "password": "x"}"#, Some(("me", "x"))),
        (r#"{"auth": "bWU6eA==", "unknown": {"a": []}}"#, Some(("me", "x"))),
        (r#"{"auth": "", "identitytoken": "t"}"#, Some(("<token>", "t"))),
        (r#"{"username": "me", "password": ""}"#, None),
        (r#"{"username": "", "password": "x"}"#, None),
        (r#"{"auth": "bWU6"}"#, None),
        (r#"{"auth": null, "username": null, "password": null, "identitytoken": null}"#, None),
        ("null", None),
        // The last field wins, as in Go's parser.
        (r#"{"auth": "b2xkOm9sZA==", "auth": "bWU6eA=="}"#, Some(("me", "x"))),
    ] {
        check(&format!(r#"{{"auths": {{"quay.io": {entry}}}}}"#), "quay.io", expected);
    }
}

#[test]
fn ignores_null_duplicates_and_wrong_types_of_other_entries() {
    for text in [
        r#"{"auths": {"quay.io": AUTH}, "credHelpers": null, "credsStore": null}"#,
        r#"{"auths": {"quay.io": AUTH, "other.example": null}, "credHelpers": {"x": null}}"#,
        r#"{"auths": {"quay.io": AUTH, "other.example": "planted", "a": {"auth": 3}}, "plugins": 3}"#,
        r#"{"auths": {"quay.io": AUTH}, "credHelpers": {"ghcr.io": 3}, "credsStore": []}"#,
        r#"{"auths": {"quay.io": {"auth": "b2xkOm9sZA=="}, "quay.io": AUTH}, "psFormat": null}"#,
        r#"{"auths": {"quay.io": AUTH}, "auths": {"other.example": {}}}"#,
        r#"{"auths": {"other.example": {}}, "auths": null, "credSstore": "desktop", "auths": {"quay.io": AUTH}}"#,
        "\u{feff}{\r\n\"auths\": {\"quay.io\": AUTH}\r\n}\r\n\0\0",
    ] {
        check(&text.replace("AUTH", AUTH), "quay.io", Some(("me", "x")));
    }
    for text in ["{}", "null", r#"{"auths": null}"#, r#"{"auths": {}}"#, r#"{"auths": {"quay.io": null}}"#] {
        check(text, "quay.io", None);
    }
}

/// Returns the user names for a repository in the order of priority.
fn user_names(keys: &[&str], name: &str) -> Vec<String> {
    let entries = keys.iter().map(|key| format!(r#""{key}": {{"username": "{key}", "password": "x"}}"#));
    let text = format!(r#"{{"auths": {{{}}}}}"#, entries.collect::<Vec<_>>().join(", "));
    let config = config(&text);
    let stored = config.matching_entries(&repository(name));
    stored.iter().map(|(_, stored)| stored.credentials().unwrap().unwrap().username).collect()
}

#[test]
fn the_longest_path_wins_and_then_the_spelling() {
    let preferred = [
        "quay.io/acme/app",
        "quay.io/acme",
        "quay.io",
        "QUAY.io",
        "quay.io:443",
        "https://quay.io",
        "https://quay.io/v1/",
        "https://quay.io/v2/",
        "http://quay.io",
    ];
    let others = ["quay.io/acme/ap", "quay.io/other", "ghcr.io"];
    let mut keys = [&preferred[..], &others].concat();
    for _ in 0..keys.len() {
        keys.rotate_left(1);
        assert_eq!(user_names(&keys, "quay.io/acme/app"), preferred);
    }
    let hub = ["docker.io", "index.docker.io", "https://index.docker.io/v1/"];
    assert_eq!(user_names(&hub, "docker.io/library/app"), hub);
    let with_empty_entries = r#"{"auths": {"docker.io": {}, "docker.io/acme": {}, "index.docker.io": AUTH}}"#;
    check(&with_empty_entries.replace("AUTH", AUTH), "docker.io/acme/app", Some(("me", "x")));
}

#[test]
fn errors_name_the_key_but_not_the_content() {
    for (entry, reason) in [
        (r#"{"auth": "cGxhbnRlZA=="}"#, "it is not base64 of username:password"),
        (r#"{"auth": "planted!"}"#, "it is not base64 of username:password"),
        (r#"{"auth": ["planted"]}"#, "its auth is not a string"),
        (r#""planted""#, "it is not an object"),
    ] {
        let found = config(&format!(r#"{{"auths": {{"a.example": {entry}}}}}"#));
        let error = found.credentials_for(&repository("a.example")).unwrap_err();
        assert_eq!(error, format!("the login for a.example cannot be used: {reason}"));
        assert!(found.credentials_for(&repository("b.example")).unwrap().is_none());
    }
    for (text, expected) in [
        (r#"{"auths": {"a": "planted"}"#, "line 1, column "),
        (r#"{"auths": ["planted"]}"#, "its section auths is not an object"),
        (r#"{"credHelpers": "planted"}"#, "its section credHelpers is not an object"),
        ("\u{feff} \r\n\0", "it is empty"),
        (r#"["planted"]"#, "it is not a JSON object"),
        (r#"{"auths" "planted"}"#, "line 1, column 10 is invalid JSON: expected `:`"),
        (&format!("{{}}{}", " ".repeat(MAX_SIZE)), "it is larger than 1 MiB"),
    ] {
        let error = DockerConfig::parse(&text.into()).unwrap_err();
        assert!(error.starts_with(expected) && !error.contains("planted"), "{error}");
    }
    let shown = format!("{:?}", config(r#"{"auths": {"a": {"auth": "planted", "password": "planted"}}}"#));
    assert!(!shown.contains("planted"), "{shown}");
}

/// Returns the sources for a repository: helpers as `name key`, entries as their key.
fn sources(text: &str, name: &str) -> Result<Vec<String>, String> {
    let (config, repository) = (config(text), repository(name));
    let description = |source: &CredentialSource<'_>| match source {
        CredentialSource::Helper(helper) => format!("{} {}", helper.name, helper.key),
        CredentialSource::Stored(stored) => stored.key.to_owned(),
    };
    config.credential_sources(&repository).map(|sources| sources.iter().map(description).collect())
}

#[test]
fn helpers_and_entries_have_a_fixed_order() {
    let text = r#"{"auths": {"quay.io": {}, "quay.io/acme": {}, "off.example": {}, "ghcr.io": {}},
        "credHelpers": {"ghcr.io": "gh", "https://ghcr.io": "old", "off.example": "", "null.example": null,
            "quay.io/acme": "of-a-part", "wrong.example": 3}, "credsStore": "desktop"}"#;
    for (name, expected) in [
        ("ghcr.io", &["gh ghcr.io"][..]),
        ("quay.io/acme/app", &["quay.io/acme", "desktop quay.io", "quay.io"]),
        ("quay.io/other/app", &["desktop quay.io", "quay.io"]),
        ("off.example", &["off.example"]),
        ("null.example", &[]),
        ("docker.io", &["desktop https://index.docker.io/v1/"]),
    ] {
        assert_eq!(sources(text, name).unwrap(), expected, "{name}");
    }
    assert_eq!(sources(text, "wrong.example").unwrap_err(), "the helper for wrong.example is not a string");
    for store in ["\"\"", "null"] {
        let text = format!(r#"{{"auths": {{"quay.io": {{}}}}, "credsStore": {store}}}"#);
        assert_eq!(sources(&text, "quay.io").unwrap(), ["quay.io"]);
    }
    assert_eq!(sources(r#"{"credsStore": 3}"#, "quay.io").unwrap_err(), "credsStore is not a string");
}

#[test]
fn reads_a_legacy_file_without_sections() {
    let text = format!(r#"{{"https://index.docker.io/v1/": {AUTH}, "quay.io": null}}"#);
    let config = DockerConfig::parse_legacy(&text.as_str().into()).unwrap();
    assert_eq!(config.credentials_for(&repository("docker.io")).unwrap().unwrap().username, "me");
    assert!(config.credentials_for(&repository("quay.io")).unwrap().is_none());
}
