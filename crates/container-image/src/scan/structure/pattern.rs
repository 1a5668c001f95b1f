//! Paths to values, and patterns for them.

/// Part of a path for an item of a list.
pub(super) const ITEM: &str = "[]";

/// A pattern for paths, such as `jobs.*.services.*.image`.
///
/// `*` is any key, `**` any number of keys and items, and `[]` any item of a list. A part can also start or
/// end with `*`.
pub(super) struct Pattern<'a> {
    parts: Vec<&'a str>,
}

impl<'a> Pattern<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut parts = Vec::new();
        for part in text.split('.') {
            match part.strip_suffix(ITEM) {
                Some("") => parts.push(ITEM),
                Some(key) => parts.extend([key, ITEM]),
                None => parts.push(part),
            }
        }
        Self { parts }
    }

    pub(super) fn matches(&self, path: &[&str]) -> bool {
        matches(&self.parts, path)
    }
}

/// Compares from the end, where most paths differ.
fn matches(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_last(), path.split_last()) {
        (None, None) => true,
        (Some((&"**", [])), _) => true,
        (Some((&"**", before)), _) => (0..=path.len()).rev().any(|end| matches(before, &path[..end])),
        (Some((part, before)), Some((key, above))) => part_matches(part, key) && matches(before, above),
        _ => false,
    }
}

/// Compares a word with a pattern that has at most one asterisk, or one at each end.
pub(super) fn part_matches(pattern: &str, word: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(""), _) => true,
        (Some(end), None) => word.ends_with(end),
        (None, Some(start)) => word.starts_with(start),
        (Some(_), Some(_)) => word.contains(pattern.trim_matches('*')),
        (None, None) => pattern == word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_paths() {
        for (pattern, path, expected) in [
            ("image", "image", true),
            ("image", "a.image", false),
            ("**.image", "image", true),
            ("**.image", "a.[].image", true),
            ("**.image", "image.a", false),
            ("jobs.*.container", "jobs.a.container", true),
            ("jobs.*.container", "jobs.container", false),
            ("x-*.**.image", "x-a.b.c.image", true),
            ("x-*.**.image", "x-a.image", true),
            ("x-*.**.image", "a.image", false),
            ("**.docker[].image", "jobs.a.docker.[].image", true),
            ("**.docker[].image", "jobs.a.docker.b.image", false),
            ("**.*docker_image.name", "[].tasks.[].community.docker_image.name", true),
            ("*.services[]", "a.services.[]", true),
            ("status.**", "status.a.[].b", true),
            ("status.**", "spec.status", false),
        ] {
            let path: Vec<&str> = path.split('.').collect();
            assert_eq!(Pattern::new(pattern).matches(&path), expected, "{pattern} {path:?}");
        }
        assert!(part_matches("*compose*", "docker-compose.ci") && !part_matches("compose*", "a-compose"));
    }
}
