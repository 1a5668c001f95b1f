//! Scopes of tokens (<https://distribution.github.io/distribution/spec/auth/scope/>).

use std::collections::HashSet;

/// Scopes of one token, such as `repository:library/python:pull`.
pub(super) type Scopes = Vec<String>;

/// Returns the scopes to request in turn: all needed scopes, only the first one (without the source of a
/// mount), and the scopes of the challenge.
pub(super) fn scope_candidates(needed: Scopes, stated: &[String]) -> Vec<Scopes> {
    let mut candidates: Vec<Scopes> = Vec::new();
    let first = needed.get(..1).unwrap_or_default().to_vec();
    for scopes in [needed, first, stated.to_vec()] {
        let is_known = candidates.iter().any(|known| normalized(known) == normalized(&scopes));
        if !is_known && (candidates.is_empty() || !scopes.is_empty()) {
            candidates.push(scopes);
        }
    }
    candidates
}

/// Returns true if `stated` is empty or equal to `sent`.
pub(super) fn is_empty_or_equal(stated: &[String], sent: &[String]) -> bool {
    stated.is_empty() || normalized(stated) == normalized(sent)
}

/// Returns scopes in a form for comparison that ignores the order of scopes and actions.
fn normalized(scopes: &[String]) -> HashSet<(String, Vec<String>)> {
    let parts = |scope: &String| {
        let (resource, actions) = scope.rsplit_once(':').unwrap_or((scope, ""));
        let mut actions: Vec<String> = actions.split(',').map(str::to_owned).collect();
        actions.sort_unstable();
        (resource.to_owned(), actions)
    };
    scopes.iter().map(parts).collect()
}

/// Returns true if the scopes name no repository, such as ECR Public's `aws`.
pub(super) fn have_no_repository(scopes: &[String]) -> bool {
    !scopes.is_empty() && !scopes.iter().any(|scope| scope.starts_with("repository:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn candidates_start_with_the_needed_scopes_and_are_unique() {
        for (needed, stated, expected) in [
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
            let found: Vec<String> = scope_candidates(scopes(needed), &scopes(stated))
                .iter()
                .map(|scopes| scopes.join(" "))
                .collect();
            assert_eq!(found, expected, "{needed}, {stated}");
        }
    }
}
