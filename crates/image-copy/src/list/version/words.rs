//! Words in tags that have a meaning.

/// Meaning of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The word after the version makes it a pre-release. Pre-releases of a lower rank are older.
    PreRelease {
        rank: u8,
        /// Marks that the tag must have. Without them, the word is a variant.
        needs: Needs,
    },
    /// The number after the word counts builds of the same version.
    Build,
    /// The number after the word identifies a change in the source. Such a tag has no version.
    Change,
}

/// Marks of a pre-release. Without them, its word can be a variant, such as `-dev` and `-b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// A number after the word: `3.0-dev5`, but not `3.12-dev`.
    Number,
    /// A number after the word, and no separator before it: `3.14b1`, but not `8u412-b08`.
    NumberWithoutSeparator,
    /// A number after the word, and a separator before it: `3.0.0-M1`.
    NumberAndSeparator,
}

const fn pre_release(rank: u8, needs: Needs) -> Meaning {
    Meaning::PreRelease { rank, needs }
}

/// All words with a meaning. Any other word must only be the same in two tags, at the same place.
/// docs/versions.md has the same table.
///
/// Pre-releases are compared without regard to case. The case of other words counts: `CU12` is an update of SQL
/// Server, and `cu121` a version of CUDA.
pub(super) const WORDS: &[(Meaning, &[&str])] = &[
    (pre_release(0, Needs::Nothing), &["snapshot"]),
    (pre_release(0, Needs::Number), &["dev"]),
    (pre_release(1, Needs::Nothing), &["alpha"]),
    (pre_release(1, Needs::NumberWithoutSeparator), &["a"]),
    (pre_release(2, Needs::Nothing), &["beta"]),
    (pre_release(2, Needs::NumberWithoutSeparator), &["b"]),
    (pre_release(3, Needs::Nothing), &["milestone", "ea", "pre", "preview"]),
    (pre_release(3, Needs::NumberAndSeparator), &["m"]),
    (pre_release(4, Needs::Nothing), &["rc", "cr"]),
    (
        Meaning::Build,
        &["r", "rev", "revision", "b", "build", "u", "update", "p", "patch", "post", "hotfix", "sp"],
    ),
    // GitLab, SQL Server, Kubernetes of vendors, LinuxServer.
    (Meaning::Build, &["ce", "ee", "CU", "GDR", "eksbuild", "gke", "k3s", "rancher", "ls"]),
    (
        Meaning::Change,
        &[
            "sha",
            "sha256",
            "git",
            "commit",
            "pr",
            "pull",
            "mr",
            "issue",
            "feature",
            "feat",
            "bugfix",
            "fix",
            "dependabot",
            "renovate",
        ],
    ),
];

/// Returns the rank of a pre-release, or `None` if the word is not one.
pub(super) fn pre_release_rank(word: &str, has_separator: bool, has_number: bool) -> Option<u8> {
    WORDS.iter().find_map(|(meaning, words)| match meaning {
        Meaning::PreRelease { rank, needs } => {
            let fits = match needs {
                Needs::Nothing => true,
                Needs::Number => has_number,
                Needs::NumberWithoutSeparator => has_number && !has_separator,
                Needs::NumberAndSeparator => has_number && has_separator,
            };
            (fits && words.iter().any(|one| one.eq_ignore_ascii_case(word))).then_some(*rank)
        }
        _ => None,
    })
}

/// Returns true if a number after the word counts builds.
pub(super) fn is_build(word: &str) -> bool {
    has_meaning(word, Meaning::Build)
}

/// Returns true if a number after the word identifies a change.
pub(super) fn is_change(word: &str) -> bool {
    has_meaning(word, Meaning::Change)
}

fn has_meaning(word: &str, wanted: Meaning) -> bool {
    WORDS.iter().any(|(meaning, words)| *meaning == wanted && words.contains(&word))
}
