//! Scopes of tokens (<https://distribution.github.io/distribution/spec/auth/scope/>).

use std::collections::HashSet;

/// Scopes of one token, such as `repository:library/python:pull`.
pub(super) type Scopes = Vec<String>;

/// Returns the scopes to request one after the other: those wanted, the first of them alone (without the
/// source of a mount), and those of the challenge.
pub(super) fn candidates(wanted: Scopes, stated: &[String]) -> Vec<Scopes> {
    let mut candidates: Vec<Scopes> = Vec::new();
    let first = wanted.get(..1).unwrap_or_default().to_vec();
    for scopes in [wanted, first, stated.to_vec()] {
        let is_known = candidates.iter().any(|known| normalized(known) == normalized(&scopes));
        if !is_known && (candidates.is_empty() || !scopes.is_empty()) {
            candidates.push(scopes);
        }
    }
    candidates
}

/// Returns true if `stated` grants nothing that `sent` does not.
pub(super) fn is_covered(stated: &[String], sent: &[String]) -> bool {
    stated.is_empty() || normalized(stated) == normalized(sent)
}

/// Returns scopes in a comparable form: the order of scopes and of actions does not matter.
fn normalized(scopes: &[String]) -> HashSet<(String, Vec<String>)> {
    let parts = |scope: &String| {
        let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        let mut actions: Vec<String> = actions.split(',').map(str::to_owned).collect();
        actions.sort_unstable();
        (resource.to_owned(), actions)
    };
    scopes.iter().map(parts).collect()
}

/// Returns true if the scopes name no repository, as ECR Public's `aws`.
pub(super) fn name_no_repository(scopes: &[String]) -> bool {
    !scopes.is_empty() && !scopes.iter().any(|scope| scope.starts_with("repository:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_wanted_scopes_come_first_and_none_twice() {
        for (wanted, stated, expected) in [
            ("repository:a:pull", "", &["repository:a:pull"][..]),
            ("repository:a:push,pull", "repository:a:pull,push", &["repository:a:push,pull"]),
            ("repository:a:pull,push", "repository:a:pull", &["repository:a:pull,push", "repository:a:pull"]),
            (
                "repository:a:pull,push repository:b:pull",
                "repository:a:pull,push",
                &["repository:a:pull,push repository:b:pull", "repository:a:pull,push"],
            ),
            ("", "", &[""]),
        ] {
            let found: Vec<String> =
                candidates(scopes(wanted), &scopes(stated)).iter().map(|scopes| scopes.join(" ")).collect();
            assert_eq!(found, expected, "{wanted}, {stated}");
        }
    }
}
