use super::*;

const BARE: &str = r#"{"username": "me", "password": "planted-1"}"#;
const TOKEN: &str = r#"{"username": "me", "accessToken": "planted-2", "note": 3}"#;
const OF_GHCR: &str = r#"{"username": "me", "password": "planted-1", "registry": "GHCR.io"}"#;
const OF_TWO: &str =
    r#"{"username": "me", "password": "planted-1", "registry": ["ghcr.io", "https://index.docker.io/v1/"]}"#;
// "me:planted-1"
const CONFIG: &str = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "bWU6cGxhbnRlZC0x"},
    "quay.io": {"username": "me", "password": "planted-2"}}}"#;

/// Returns the repository with this name, or one of the registry.
fn repository(name: &str) -> Repository {
    let (host, path) = name.split_once('/').unwrap_or((name, "acme/app"));
    Repository::new(host.parse().unwrap(), path).unwrap()
}

/// Returns the password for a registry, or the error.
fn password(text: &str, registry: &str, listed: &[&str]) -> Result<String, String> {
    let listed: Vec<Registry> = listed.iter().map(|host| host.parse().unwrap()).collect();
    let secret = RegistrySecret::parse(&text.into(), None).map_err(|error| error.to_string())?;
    let credentials =
        secret.credentials_for(&repository(registry), &listed).map_err(|error| error.to_string())?;
    assert_eq!(credentials.username, "me");
    Ok(credentials.password.expose_secret().to_owned())
}

#[test]
fn credentials_are_returned_only_for_their_registries() {
    let hub = ["docker.io", "index.docker.io", "registry-1.docker.io"];
    let others = ["ghcr.io", "quay.io", "public.ecr.aws", "evil.example", "docker.io.evil.example"];
    for (text, listed, expected) in [
        (BARE, &[][..], &hub[..]),
        (TOKEN, &[], &hub),
        // The installer's list replaces Docker Hub.
        (BARE, &["quay.io"], &["quay.io"]),
        (OF_GHCR, &[], &["ghcr.io"]),
        (OF_GHCR, &["quay.io"], &["ghcr.io", "quay.io"]),
        (OF_TWO, &[], &[&hub[..], &["ghcr.io"]].concat()),
        (CONFIG, &[], &[&hub[..], &["quay.io"]].concat()),
        // A config.json lists its hosts.
        (CONFIG, &["ghcr.io"], &[&hub[..], &["quay.io"]].concat()),
    ] {
        for host in hub.iter().chain(&others) {
            let found = password(text, host, listed);
            assert_eq!(found.is_ok(), expected.contains(host), "{host} {listed:?} {text} {found:?}");
        }
    }
    assert_eq!(password(TOKEN, "docker.io", &[]).unwrap(), "planted-2");
    assert_eq!(password(CONFIG, "docker.io", &[]).unwrap(), "planted-1");
    assert_eq!(password(CONFIG, "quay.io", &[]).unwrap(), "planted-2");
}

const PARTS: &str = r#"{"auths": {"quay.io/acme": {"username": "me", "password": "planted-acme"},
    "quay.io/acme/app": {"username": "me", "password": "planted-app"},
    "docker.io/library": {"username": "me", "password": "planted-hub"}}}"#;
const OF_A_PART: &str = r#"{"username": "me", "password": "planted-1", "registry": ["quay.io/acme"]}"#;

#[test]
fn credentials_for_a_path_prefix_are_returned_only_for_it() {
    for (text, name, expected) in [
        (PARTS, "quay.io/acme/app", Ok("planted-app")),
        (PARTS, "quay.io/acme/tool", Ok("planted-acme")),
        (PARTS, "docker.io/library/python", Ok("planted-hub")),
        (
            PARTS,
            "quay.io/acme-two/app",
            Err("no credentials for quay.io/acme-two/app in its docker config.json"),
        ),
        (PARTS, "docker.io/acme/app", Err("no credentials for docker.io/acme/app in its docker config.json")),
        (PARTS, "ghcr.io/acme/app", Err("no credentials for ghcr.io in its docker config.json")),
        (OF_A_PART, "quay.io/acme/app", Ok("planted-1")),
        (OF_A_PART, "quay.io/other/app", Err("other registries, but not for quay.io/other/app")),
        (OF_A_PART, "docker.io/acme/app", Err("other registries, but not for docker.io")),
    ] {
        let found = password(text, name, &[]);
        match expected {
            Ok(password) => assert_eq!(found.unwrap(), password, "{name}"),
            Err(message) => {
                let error = found.unwrap_err();
                assert!(error.ends_with(message) && !error.contains("planted"), "{error}");
            }
        }
    }
}

#[test]
fn parses_secrets_as_tools_and_editors_write_them() {
    for text in [
        format!("\u{feff}{BARE}\r\n"),
        format!("{BARE}\0\0"),
        r#"{"username": "me", "password": "planted-1", "registry": null}"#.into(),
        r#"{"username": "me", "password": "planted-1", "registry": ""}"#.into(),
        r#"{"username": "me", "password": null, "accessToken": "planted-1", "auths": null}"#.into(),
        r#"{"username": "me", "password": "planted-1", "registry": "docker.io\n"}"#.into(),
        r#"{"auths": {"docker.io": {"auth": "bWU6cGxhbnRlZC0x", "username": "", "password": ""},
            "quay.io": null}, "credHelpers": null, "credsStore": "desktop", "username": 3}"#
            .into(),
    ] {
        assert_eq!(password(&text, "docker.io", &[]).as_deref(), Ok("planted-1"), "{text}");
        assert!(password(&text, "quay.io", &[]).is_err(), "{text}");
    }
    let error = password(&format!("{BARE}{}", " ".repeat(1 << 20)), "docker.io", &[]).unwrap_err();
    assert_eq!(error, "has no usable credentials: it is larger than 1 MiB");
}

#[test]
fn remedies_contain_the_json_to_add() {
    let gcr = repository("gcr.io");
    for (text, message, remedy) in [
        (
            BARE,
            "has credentials without a registry, which are only for docker.io and not for gcr.io",
            r#"If they are for gcr.io, add "registry": "gcr.io" to the secret."#,
        ),
        (
            OF_GHCR,
            "has credentials for other registries, but not for gcr.io",
            r#"If they are for gcr.io too, add "gcr.io" to "registry" in the secret."#,
        ),
        (
            CONFIG,
            "has no credentials for gcr.io in its docker config.json",
            r#"Add "gcr.io" with "auth" to "auths" in it, because credential helpers cannot run here."#,
        ),
    ] {
        let error =
            RegistrySecret::parse(&text.into(), None).unwrap().credentials_for(&gcr, &[]).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.remedy().as_str()), (message, remedy));
    }
}

#[test]
fn errors_do_not_contain_the_value() {
    for (text, expected) in [
        ("planted", "is not a JSON object"),
        ("\"planted\"", "is not a JSON object"),
        ("[\"planted\"]", "is not a JSON object"),
        ("{\"username\": \"planted\"", "is not a JSON object"),
        ("", "is not a JSON object"),
        ("{}", "has no usable credentials: username is missing"),
        (r#"{"username": "planted"}"#, "has no usable credentials: password and accessToken are missing"),
        (r#"{"username": "planted", "password": ""}"#, "has no usable credentials: password and"),
        (r#"{"username": "me", "password": ["planted"]}"#, "has no usable credentials: username, password"),
        (
            r#"{"username": "me", "password": "planted", "registry": {}}"#,
            "has no usable credentials: username",
        ),
        (r#"{"auths": ["planted"]}"#, "has an invalid docker config.json: its section auths"),
        (r#"{"auths": {"docker.io": {"auth": "planted!"}}}"#, "has an invalid docker config.json: "),
    ] {
        let error = password(text, "docker.io", &[]).unwrap_err();
        assert!(error.starts_with(expected), "{text} {error}");
        assert!(!error.contains("planted") && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_key_selects_one_of_several_values() {
    let text = format!(r#"{{"hub": {BARE}, "text": {}, "n": 3}}"#, serde_json::json!(OF_GHCR));
    let parse = |key| RegistrySecret::parse(&text.as_str().into(), Some(key));
    let (hub, ghcr) = (repository("docker.io"), repository("ghcr.io"));
    assert!(parse("hub").unwrap().credentials_for(&hub, &[]).is_ok());
    assert!(parse("text").unwrap().credentials_for(&ghcr, &[]).is_ok());
    assert_eq!(parse("n").unwrap_err(), UnusableSecret::NotJson);
    let error = parse("absent").unwrap_err().to_string();
    assert_eq!(error, "has no key \"absent\", to which its ARN refers");
}

#[test]
fn debug_output_contains_no_password() {
    for text in [BARE, TOKEN, OF_GHCR, OF_TWO, CONFIG] {
        let shown = format!("{:?}", RegistrySecret::parse(&text.into(), None).unwrap());
        assert!(!shown.contains("planted") && !shown.contains("bWU6"), "{shown}");
    }
}
