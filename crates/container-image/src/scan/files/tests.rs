use super::*;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    folder
}

#[track_caller]
fn listed(base: &Path, paths: &[&str], exclude: &[&str]) -> Vec<String> {
    let paths: Vec<PathBuf> = paths.iter().map(PathBuf::from).collect();
    let exclude: Vec<String> = exclude.iter().map(|&glob| glob.into()).collect();
    let files = list(base, &paths, &exclude, |line| panic!("{line}")).unwrap();
    files.into_iter().map(|file| file.display_name).collect()
}

#[test]
fn skips_git_folders_and_ignored_files() {
    let tree = tree(&["a.yaml", ".github/w.yml", ".git/config", "out/x.json", "sub/b.tf", "sub/c.log"]);
    fs::write(tree.path().join(".gitignore"), "out/\n").unwrap();
    fs::write(tree.path().join("sub/.gitignore"), "*.log\n").unwrap();
    let all = listed(tree.path(), &["."], &[]);
    assert_eq!(all, [".github/w.yml", ".gitignore", "a.yaml", "sub/.gitignore", "sub/b.tf"]);
    assert_eq!(listed(tree.path(), &["out/x.json"], &[]), ["out/x.json"], "path argument");
    let some = listed(tree.path(), &["."], &["*.tf", ".*", "sub/.gitignore"]);
    assert_eq!(some, ["a.yaml"]);
    let once = listed(tree.path(), &["sub/b.tf", "./sub", "a.yaml"], &[]);
    assert_eq!(once, ["sub/b.tf", "sub/.gitignore", "a.yaml"]);
}

#[test]
fn excludes_path_arguments() {
    let tree = tree(&["a.yaml", "vendor/b.yaml", "sub/vendor/c.yaml", "sub/d.yaml"]);
    let all = ["a.yaml", "vendor/b.yaml", "sub/vendor/c.yaml", "sub/d.yaml"];
    assert_eq!(listed(tree.path(), &all, &["a.*", "sub/d.yaml"]), all[1..3]);
    assert_eq!(listed(tree.path(), &all, &["vendor/"]), ["a.yaml", "sub/d.yaml"]);
    assert_eq!(listed(tree.path(), &all, &["/vendor"]), ["a.yaml", all[2], all[3]]);
    assert_eq!(listed(tree.path(), &["./vendor", "sub"], &["vendor"]), ["sub/d.yaml"]);
    let absolute = tree.path().join("vendor").display().to_string();
    for glob in ["./vendor", "./vendor/", ".//vendor", "././vendor/*.yaml", &absolute] {
        assert_eq!(listed(tree.path(), &all, &[glob]), ["a.yaml", all[2], all[3]], "{glob}");
        assert_eq!(listed(tree.path(), &["."], &[glob]), ["a.yaml", all[3], all[2]], "{glob}");
    }
    assert_eq!(listed(tree.path(), &all, &["./*.yaml"]), all[1..]);
    let absolute = tree.path().join("sub/vendor").display().to_string();
    assert_eq!(listed(tree.path(), &[&absolute], &["sub/vendor/c.yaml"]), [""; 0]);
    let above = listed(&tree.path().join("sub"), &["../vendor", "../a.yaml"], &[".*", "a.yaml"]);
    assert_eq!(above, ["../vendor/b.yaml"], "parent folders are not matched");
    assert_eq!(listed(tree.path(), &["."], &["*"]), [""; 0]);
}

#[test]
fn ignores_gitignore_files_of_parent_folders() {
    let home = tree(&["plain/a.yaml", "repo/.git/config", "repo/sub/b.yaml", "repo/c.yaml"]);
    fs::write(home.path().join(".gitignore"), "*\n").unwrap();
    fs::write(home.path().join("repo/.gitignore"), "sub/\n").unwrap();
    assert_eq!(listed(&home.path().join("plain"), &["."], &[]), ["a.yaml"]);
    assert_eq!(listed(&home.path().join("repo"), &["."], &[]), [".gitignore", "c.yaml"]);
    assert_eq!(listed(&home.path().join("repo"), &["sub"], &[]), ["sub/b.yaml"], "path argument");
}

#[cfg(unix)]
#[test]
fn follows_only_symbolic_links_in_arguments() {
    let (tree, outside) = (tree(&["a.yaml"]), tree(&["secret.yaml"]));
    let link = |target: &Path, name| std::os::unix::fs::symlink(target, tree.path().join(name)).unwrap();
    link(&outside.path().join("secret.yaml"), "file");
    link(outside.path(), "folder");
    link(tree.path(), "circle");
    assert_eq!(listed(tree.path(), &["."], &[]), ["a.yaml"]);
    assert_eq!(listed(tree.path(), &["file"], &[]), ["file"]);
    assert_eq!(listed(tree.path(), &["folder"], &[]), ["folder/secret.yaml"]);
    let named = list(tree.path(), &["file".into(), "folder".into()], &[], |line| panic!("{line}"));
    let target = outside.path().canonicalize().unwrap().join("secret.yaml");
    assert!(named.unwrap().iter().all(|file| file.real_path == target));
}

#[test]
fn recognizes_text_files() {
    let folder = tree(&["a"]);
    let file = |name: &str| {
        let real_path = folder.path().canonicalize().unwrap().join(name);
        SourceFile::new(Path::new(name), folder.path().join(name), real_path)
    };
    let mut reader = FileReader::default();
    for (bytes, is_text) in [(&b"abc"[..], true), (b"", true), (b"\xe9", true), (b"\x7fELF\0", false)] {
        fs::write(folder.path().join("a"), bytes).unwrap();
        assert_eq!(reader.read(&file("a")).unwrap().is_some(), is_text, "{bytes:?}");
    }
    assert!(reader.read(&file("b")).unwrap_err().starts_with("b cannot be read: "));
    // A database or a disk image in the tree is skipped at any size. The rest of the file is a hole.
    for (start, expected) in [
        (&b"SQLite format 3\0"[..], Ok(None)),
        (
            &[b'x'; BINARY_CHECK_BYTES],
            Err("a cannot be read: it is larger than 256 MiB; exclude it with --exclude."),
        ),
    ] {
        fs::write(folder.path().join("a"), start).unwrap();
        File::options()
            .write(true)
            .open(folder.path().join("a"))
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert_eq!(reader.read(&file("a")).as_ref().map(Option::as_deref).map_err(String::as_str), expected);
    }
}

#[test]
fn reports_a_missing_path() {
    let error = list(Path::new("/"), &["no/such".into()], &[], |_| {}).unwrap_err();
    assert!(error.starts_with("no/such does not exist"), "{error}");
    // A shell's process substitution is neither, and cannot be replaced.
    let error = list(Path::new("/"), &["dev/null".into()], &[], |_| {}).unwrap_err();
    assert!(error.starts_with("dev/null does not exist, or is neither"), "{error}");
    let error = list(Path::new("/"), &[], &["a[".into()], |_| {}).unwrap_err();
    assert_eq!(error, "--exclude has an invalid pattern: unclosed character class; missing ']'.");
}
