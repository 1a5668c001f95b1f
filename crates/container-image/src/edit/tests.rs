mod patch;
mod structures;

use std::fs;
use std::path::Path;

use image_copy::oci::Digest;
use proptest::prelude::*;

use super::*;
use crate::scan::{self, RawReference};

/// Pins every reference of the file, as `update` does. Returns the content, its changes and the references.
fn pinned(path: &Path, content: &[u8]) -> (Vec<u8>, Vec<Change>, Vec<RawReference>) {
    let digest = format!("sha256:{}", "d".repeat(64));
    let found = scan::scan(path, content).images;
    let targets: Vec<RawReference> = found.iter().map(|one| one.image.with_digest(&digest)).collect();
    let changes = found.iter().zip(&targets).flat_map(|(one, target)| one.changes(target));
    let mut changes: Vec<Change> = changes.collect();
    changes.sort_by_key(|change| change.range.start);
    (apply(content, &changes), changes, targets)
}

/// Checks that only references change, that they are found again, and that a second run changes nothing.
/// Returns their number.
fn check(path: &Path, content: &[u8]) -> usize {
    let (after, changes, targets) = pinned(path, content);
    let (mut old, mut new) = (0, 0);
    for change in &changes {
        let kept = change.range.start - old;
        assert_eq!(after[new..new + kept], content[old..change.range.start]);
        new += kept;
        assert_eq!(&after[new..new + change.text.len()], change.text.as_bytes());
        (old, new) = (change.range.end, new + change.text.len());
    }
    assert_eq!(after[new..], content[old..]);
    let again: Vec<RawReference> = scan::scan(path, &after).images.into_iter().map(|one| one.image).collect();
    assert_eq!(again, targets, "{}", String::from_utf8_lossy(&after));
    assert_eq!(pinned(path, &after).0, after);
    targets.len()
}

#[test]
fn only_references_of_files_change() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/files");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert!(check(&path, &fs::read(&path).unwrap()) > 0, "{}", path.display());
        files += 1;
    }
    assert!(files >= 8, "{files}");
    let samples = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples")).unwrap();
    for path in samples.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        check(&path, &fs::read(&path).unwrap());
    }
}

/// Returns a value in one of the YAML styles.
fn written(value: &str, style: u8, indent: &str) -> String {
    match style {
        0 => value.to_owned(),
        1 => format!("'{value}'"),
        2 => format!("\"{value}\""),
        3 => format!("!Sub {value}"),
        4 => format!("&anchor{} '{value}'", indent.len()),
        5 => format!(">-\n{indent}      {value}"),
        6 => format!("!If [Condition, {value}, !Ref AWS::NoValue]"),
        _ => format!("{{\"Fn::Sub\": \"{value}\"}}"),
    }
}

fn image() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-z][a-z0-9]{0,8}",
        "[a-z0-9]{1,6}/[a-z]{1,4}([._][a-z]{1,3})?",
        "[a-z]{2,6}\\.io/[a-z]{1,5}/[a-z]{1,5}"
    ];
    let tag = prop_oneof![
        Just(String::new()),
        "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(-[a-z]{1,6})?".prop_map(|tag| format!(":{tag}"))
    ];
    (name, tag).prop_map(|(name, tag)| name + &tag)
}

fn resource() -> impl Strategy<Value = (String, u8, u8, String)> {
    (image(), 0u8..8, 0u8..3, "[ -~é]{0,20}")
}

/// Returns a template with comments, odd spaces and values that are not images.
fn template(resources: &[(String, u8, u8, String)], ends: &str, last: bool) -> String {
    let mut lines = vec![
        "# docker.io/library/never:1".to_owned(),
        "Description: |".into(),
        "   a/b:1 ".into(),
        "Resources:".into(),
    ];
    for (number, (image, style, kind, comment)) in resources.iter().enumerate() {
        let value = written(image, *style, "      ");
        let comment = if *style == 5 { String::new() } else { format!("  # {comment}") };
        lines.push(format!("  R{number}:"));
        match kind {
            0 => lines.extend([
                "    Type:   Custom::ContainerImage".into(),
                "    Properties:".into(),
                format!("      ImageReference:  {value}{comment}"),
            ]),
            1 => lines.extend([
                "    Type: 'AWS::Lambda::Function'".into(),
                "    Properties:".into(),
                "      Code:".into(),
                format!("        ImageUri: {value}{comment}"),
            ]),
            _ => lines.extend([
                "    Properties:".into(),
                "      ContainerDefinitions:".into(),
                format!("      - Image: {value}{comment}"),
                "        Command: [x/y:1]".into(),
                "    Type: AWS::ECS::TaskDefinition".into(),
            ]),
        }
    }
    let text = lines.join("\n").replace('\n', ends);
    if last { text + ends } else { text }
}

/// Parts of scripts and Dockerfiles, around references.
const PARTS: [&str; 48] = [
    "nginx:1.25",
    "ghcr.io/a/b:1",
    "acme.io/c:2",
    "localhost:5000/d:3",
    "python",
    "image",
    "image: ",
    "IMAGE=",
    "\"image\": ",
    "image(",
    "--image ",
    "docker run ",
    "docker pull ",
    "docker build -t ",
    "docker tag ",
    "-e ",
    "--name=x ",
    "FROM ",
    "FROM a AS ",
    "ARG X=",
    "$X",
    "${X:-",
    "${X-",
    "}",
    "{",
    "\"",
    "'",
    "`",
    "\\",
    "\\\n",
    "\n",
    "\n",
    " ",
    " ",
    "=",
    ":",
    ".",
    ",",
    "-",
    "+",
    "/",
    "@",
    "<<EOF\n",
    "EOF\n",
    "# ",
    "COPY --from=",
    "docker://",
    "(",
];

proptest! {
    #[test]
    fn only_references_of_templates_change(
        resources in prop::collection::vec(resource(), 1..12), windows: bool, last: bool
    ) {
        let text = template(&resources, if windows { "\r\n" } else { "\n" }, last);
        prop_assert_eq!(check(Path::new("t.yaml"), text.as_bytes()), resources.len(), "{}", text);
    }

    #[test]
    fn any_bytes_can_be_read(bytes: Vec<u8>, text in "(Resources: *AWS::)?[ -~\n]{0,200}") {
        check(Path::new("t.yaml"), &bytes);
        check(Path::new("t.json"), text.as_bytes());
        check(Path::new("t.txt"), text.as_bytes());
        check(Path::new("Dockerfile"), text.as_bytes());
    }

    #[test]
    fn only_references_of_scripts_change(parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..24)) {
        let text = parts.concat();
        check(Path::new("t.txt"), text.as_bytes());
        check(Path::new("Dockerfile"), text.as_bytes());
    }
}

async fn replace(path: &Path, expected: &[u8], new: &[u8]) -> Result<(), String> {
    FileSnapshot::read(&path.canonicalize().unwrap(), &Digest::of(expected))?.replace(new.to_vec()).await
}

#[cfg(unix)]
#[tokio::test]
async fn keeps_mode_and_owner_and_leaves_no_temporary_file() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    fs::write(&path, "old").unwrap();
    let other = rustix::process::geteuid().is_root();
    if other {
        chown(&path, Some(12_345), Some(23_456)).unwrap();
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o2640)).unwrap();
    let before = fs::metadata(&path).unwrap();
    replace(&path, b"old", b"new").await.unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!((after.mode(), after.uid(), after.gid()), (before.mode(), before.uid(), before.gid()));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn does_not_overwrite_a_changed_or_read_only_file() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.yaml");
    fs::write(&path, "theirs").unwrap();
    assert!(replace(&path, b"old", b"new").await.unwrap_err().contains("changed it meanwhile"));
    assert_eq!(fs::read(&path).unwrap(), b"theirs");
    let current = FileSnapshot::read(&path.canonicalize().unwrap(), &Digest::of(b"theirs")).unwrap();
    fs::write(&path, "theirs, again").unwrap();
    assert!(current.replace(b"new".to_vec()).await.unwrap_err().contains("changed it meanwhile"));
    fs::write(&path, "theirs").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(replace(&path, b"theirs", b"new").await.unwrap_err(), "it is read-only");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let current = FileSnapshot::read(&path.canonicalize().unwrap(), &Digest::of(b"theirs")).unwrap();
    let moved = folder.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    symlink(&moved, &path).unwrap();
    assert_eq!(
        current.replace(b"new".to_vec()).await.unwrap_err(),
        "it was replaced by a symbolic link meanwhile"
    );
    assert_eq!(fs::read(&moved).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
