//! Tests completions with the shell itself.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed setup fails the test")]

use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_container-image");

/// Returns the completions of bash for the last word.
fn bash_completions(words: &[&str]) -> Vec<String> {
    const SCRIPT: &str = r#"
        set -e
        source <("$1" completions bash)
        shift
        COMP_WORDS=("$@")
        COMP_CWORD=$(($# - 1))
        function_name=$(complete -p container-image | sed 's/.* -F \([^ ]*\) .*/\1/')
        "$function_name" container-image "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut bash = Command::new("bash");
    let output = bash.args(["--norc", "-c", SCRIPT, "bash", PROGRAM]).args(words).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_and_their_options() {
    assert_eq!(bash_completions(&["container-image", "up"]), ["update"]);
    assert_eq!(bash_completions(&["container-image", "update", "--mat"]), ["--matching-tag"]);
    assert_eq!(bash_completions(&["container-image", "pi"]), ["pin"]);
    assert_eq!(bash_completions(&["container-image", "pin", "--git"]), ["--git-repo"]);
    assert_eq!(bash_completions(&["container-image", "update", "--all", "--check", "--dry"]), ["--dry-run"]);
    assert_eq!(bash_completions(&["container-image", "copy", "--incl"]), ["--include-referrers"]);
    assert_eq!(bash_completions(&["container-image", "list", "--no-f"]), ["--no-filename"]);
    assert_eq!(bash_completions(&["container-image", "completions", "elv"]), ["elvish"]);
    assert_eq!(bash_completions(&["container-image", "help", "up"]), ["update"]);
}
