use super::*;
use std::fs;

fn named(host: &str) -> Repository {
    Repository::new(host.parse().unwrap(), "acme/app").unwrap()
}

#[tokio::test]
async fn reads_the_first_file_with_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        AuthFile::default_path(path)
    };
    // "me:x" and "you:y".
    let first = file("1", r#"{"auths": {"a.example": {"auth": "bWU6eA=="}, "b.example": {}}}"#);
    let second = file("2", r#"{"auths": {"b.example": {"auth": "eW91Onk="}}}"#);
    let third = file("3", r#"{"auths": {"c.example": {"auth": "c2VjcmV0"}}}"#);
    let auth_files = AuthFiles::new(vec![first, second, third]);
    let user = async |host| {
        auth_files.credentials_for(&named(host), None).await.unwrap().map(|found| found.username)
    };
    assert_eq!(user("a.example").await.as_deref(), Some("me"));
    assert_eq!(user("b.example").await.as_deref(), Some("you"));
    assert_eq!(user("d.example").await, None);
    let unusable = auth_files.credentials_for(&named("c.example"), None).await.unwrap_err().to_string();
    assert!(unusable.contains("/3: the login for c.example cannot be used"), "{unusable}");
}

#[tokio::test]
async fn an_invalid_file_is_an_error_without_a_quote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, r#"{"auths": {"a": "hunter2"}}"#).unwrap();
    let auth_files = AuthFiles::new(vec![AuthFile::default_path(path)]);
    let error = auth_files.credentials_for(&named("a"), None).await.unwrap_err().to_string();
    assert!(error.contains("config.json: the login for a cannot be used: it is not an object"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[tokio::test]
async fn reports_an_empty_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    for text in ["", "\n "] {
        fs::write(&path, text).unwrap();
        let auth_files = AuthFiles::new(vec![AuthFile::default_path(path.clone())]);
        let error = auth_files.credentials_for(&named("a"), None).await.unwrap_err().to_string();
        assert!(error.ends_with("config.json cannot be read: it is empty, where {} would do"), "{error}");
    }
}

#[tokio::test]
async fn does_not_retry_a_failed_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let auth_files = AuthFiles::new(vec![AuthFile { path: path.clone(), kind: Kind::Explicit }]);
    let first = auth_files.credentials_for(&named("a"), None).await.unwrap_err();
    fs::write(&path, "{}").unwrap();
    assert_eq!(auth_files.credentials_for(&named("a"), None).await.unwrap_err(), first);
    assert!(auth_files.credentials_for(&named("b"), None).await.unwrap().is_none());
}

#[tokio::test]
async fn a_missing_file_is_an_error_only_if_the_user_named_it() {
    let missing = |kind| AuthFiles::new(vec![AuthFile { path: "/nonexistent/auth.json".into(), kind }]);
    assert!(missing(Kind::Default).credentials_for(&named("a"), None).await.unwrap().is_none());
    assert!(
        missing(Kind::Explicit)
            .credentials_for(&named("a"), None)
            .await
            .unwrap_err()
            .to_string()
            .contains("/nonexistent/auth.json")
    );
}

#[test]
fn files_are_searched_in_the_order_of_containers_auth_json() {
    let user = rustix::process::getuid().as_raw();
    let of_user = format!("/run/containers/{user}/auth.json");
    for (variables, expected) in [
        ("HOME=/h DOCKER_CONFIG=/d XDG_RUNTIME_DIR=/r XDG_CONFIG_HOME=/c REGISTRY_AUTH_FILE=/a", "/a"),
        (
            "HOME=/h DOCKER_CONFIG=/d XDG_RUNTIME_DIR=/r",
            "/r/containers/auth.json /h/.config/containers/auth.json /d/config.json /h/.dockercfg",
        ),
        ("HOME=/h", "UID /h/.config/containers/auth.json /h/.docker/config.json /h/.dockercfg"),
        ("DOCKER_CONFIG=/d", "UID /d/config.json"),
        (
            "HOME=/h XDG_RUNTIME_DIR=/h/.config XDG_CONFIG_HOME=/h/.config",
            "/h/.config/containers/auth.json /h/.docker/config.json /h/.dockercfg",
        ),
        ("", "UID"),
    ] {
        let variables: HashMap<_, _> = variables.split(' ').filter_map(|one| one.split_once('=')).collect();
        let found = auth_files(|name| variables.get(name).map(PathBuf::from));
        let found: Vec<_> = found.iter().map(|file| file.path.to_str().unwrap()).collect();
        assert_eq!(found.join(" "), expected.replace("UID", &of_user));
    }
}

#[tokio::test]
async fn prefers_credentials_for_a_part_of_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let entry = |user: &str| format!(r#"{{"username": "{user}", "password": "x"}}"#);
    let text = format!(
        r#"{{"auths": {{"quay.io": {}, "quay.io/acme": {}}}, "credHelpers": {{"quay.io": ""}}}}"#,
        entry("all"),
        entry("acme")
    );
    fs::write(&path, text).unwrap();
    let auth_files = AuthFiles::new(vec![AuthFile::default_path(path)]);
    for (name, expected) in [("acme/app", "acme"), ("other/app", "all"), ("acme", "acme")] {
        let repository = Repository::new("quay.io".parse().unwrap(), name).unwrap();
        assert_eq!(auth_files.credentials_for(&repository, None).await.unwrap().unwrap().username, expected);
    }
}

#[tokio::test]
async fn reads_the_legacy_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".dockercfg");
    fs::write(&path, r#"{"https://a.example/v1/": {"auth": "bWU6eA==", "email": "a@example.org"}}"#).unwrap();
    let auth_files = AuthFiles::new(vec![AuthFile { path, kind: Kind::Legacy }]);
    assert_eq!(auth_files.credentials_for(&named("a.example"), None).await.unwrap().unwrap().username, "me");
}
