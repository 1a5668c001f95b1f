//! Selects the references to update, and their new tags.

use std::collections::HashMap;

use image_copy::oci::Reference;

use crate::args::UpdateArgs;
use crate::resolve::{Lookup, Resolution};
use crate::scan::{DEFAULT_TAG, RawReference};

/// The selection arguments of the command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    scope: Scope,
    /// Query to the registry. `None` if the arguments already contain the new reference.
    pub(super) lookup: Option<Lookup>,
}

#[derive(Debug, PartialEq, Eq)]
enum Scope {
    /// Every image, with the tag `latest`.
    AllToLatest,
    /// Every image, with its own tag.
    AllKeepTag,
    /// Images with these names, with this reference. If `matching`, the tag must be the same.
    Named { images: HashMap<String, Vec<RawReference>>, matching: bool },
    /// Images with these names, with the newest version of their tags.
    NamedToNewest(Vec<String>),
}

impl Selection {
    /// Converts the arguments.
    ///
    /// # Errors
    /// Error line if the arguments contradict each other, or if a tag is missing.
    pub(super) fn of(args: &UpdateArgs) -> Result<Self, String> {
        let lookup = match (args.resolve_digest, args.resolve_tag, args.latest, &args.semver) {
            (_, _, true, _) => Some(Lookup::NewestTag(None)),
            (_, _, _, Some(range)) => Some(Lookup::NewestTag(Some(range.clone()))),
            (_, true, ..) => Some(Lookup::SpecificTag),
            (true, ..) => Some(Lookup::Digest),
            _ => None,
        };
        let newest = matches!(lookup, Some(Lookup::NewestTag(_)));
        let is_name = |image: &&RawReference| image.tag.is_none() && image.digest.is_none();
        if let Some(name) = args.image_reference.iter().find(is_name).filter(|_| !newest) {
            return Err(format!(
                "--image-reference {name}: expected a tag or a digest, such as {name}:1.2. To move the image to its newest version, add --latest."
            ));
        }
        let scope = match (args.all, args.matching_tag, newest) {
            (true, _, true) | (true, true, _) => Scope::AllKeepTag,
            (true, false, false) => Scope::AllToLatest,
            (false, _, true) => {
                Scope::NamedToNewest(args.image_reference.iter().map(|image| image.name.clone()).collect())
            }
            (false, matching, false) => Scope::named(&args.image_reference, matching)?,
        };
        Ok(Self { scope, lookup })
    }

    /// Returns true if every image moves to the tag `latest`.
    pub(super) fn is_to_latest(&self) -> bool {
        self.scope == Scope::AllToLatest
    }

    /// Returns true if the arguments name the selected images.
    pub(super) fn is_named(&self) -> bool {
        matches!(self.scope, Scope::Named { .. } | Scope::NamedToNewest(_))
    }

    /// Returns the new reference before a registry is queried, or `None` if the image is not selected.
    ///
    /// A reference with only a digest is selected by its name only, because its tag is not known.
    pub(super) fn target(&self, found: &RawReference) -> Option<RawReference> {
        match &self.scope {
            Scope::AllToLatest => found.effective_tag().map(|_| found.with_tag(DEFAULT_TAG)),
            Scope::AllKeepTag => found.effective_tag().map(|tag| found.with_tag(tag)),
            Scope::NamedToNewest(names) if !names.contains(&found.name) => None,
            Scope::NamedToNewest(_) => found.effective_tag().map(|tag| found.with_tag(tag)),
            Scope::Named { images, matching } => {
                let of_name = images.get(&found.name)?;
                of_name
                    .iter()
                    .find(|image| !matching || image.effective_tag() == found.effective_tag())
                    .cloned()
            }
        }
    }
}

impl Scope {
    fn named(images: &[RawReference], matching: bool) -> Result<Self, String> {
        let mut by_name: HashMap<String, Vec<RawReference>> = HashMap::new();
        for image in images {
            let of_name = by_name.entry(image.name.clone()).or_default();
            let conflict = of_name.iter().find(|other| {
                *other != image && (!matching || other.effective_tag() == image.effective_tag())
            });
            if let Some(conflict) = conflict {
                return Err(format!(
                    "--image-reference has two values for {}: {conflict} and {image}. Remove one, or add --matching-tag.",
                    image.name
                ));
            }
            of_name.push(image.clone());
        }
        Ok(Self::Named { images: by_name, matching })
    }
}

/// Returns the reference to resolve, or `None` if `target` has a digest.
pub(super) fn reference_to_query(target: &RawReference) -> Option<Reference> {
    target.digest.is_none().then(|| target.normalized())
}

/// Returns the target with its resolution, or `None` if it stays unchanged.
pub(super) fn apply_resolution(
    target: &RawReference,
    lookup: &Lookup,
    resolution: &Resolution,
) -> Option<RawReference> {
    let Resolution::Tag { tag, digest, .. } = resolution else { return None };
    let tagged = target.with_tag(tag.as_str());
    Some(match lookup {
        Lookup::SpecificTag => tagged,
        Lookup::Digest | Lookup::NewestTag(_) => tagged.with_digest(digest.as_str()),
    })
}

/// Returns true if `wanted` differs from `found` in more than an implicit `latest`.
pub(super) fn is_change(found: &RawReference, wanted: &RawReference) -> bool {
    let is_implicit =
        found.digest.is_none() && wanted.digest.is_none() && found.effective_tag() == wanted.effective_tag();
    found != wanted && !is_implicit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Args, Command};
    use clap::Parser as _;

    fn selection(arguments: &str) -> Result<Selection, String> {
        let all = ["container-image", "update"].into_iter().chain(arguments.split_whitespace());
        let Command::Update(update) = Args::try_parse_from(all).unwrap().command else { unreachable!() };
        Selection::of(&update)
    }

    const DIGEST: &str = "sha256:70d23423bdb3e4e63255cf62747b5cbfce53210778ca2fc3a2544595a0fce3c6";

    #[track_caller]
    fn check(arguments: &str, found: &str, expected: Option<&str>) {
        let with_digest = |text: &str| text.replace('#', &format!("@{DIGEST}"));
        let found: RawReference = with_digest(found).parse().unwrap();
        let target = selection(arguments).unwrap().target(&found);
        let change = target.filter(|target| is_change(&found, target)).map(|target| target.to_string());
        assert_eq!(change, expected.map(with_digest), "{arguments} {found}");
    }

    #[test]
    fn moves_all_to_latest_unless_the_tag_must_match() {
        check("--all", "a/b:1", Some("a/b:latest"));
        check("--all", "a/b:1#", Some("a/b:latest"));
        check("--all", "a/b#", None);
        check("--all", "python", None);
        check("--all --matching-tag", "a/b:1#", Some("a/b:1"));
        check("--all --matching-tag", "a/b:1", None);
        check("--all --matching-tag", "a/b#", None);
    }

    #[test]
    fn moves_named_images_to_the_given_reference() {
        let given = "--image-reference gcr.io/a/b:2";
        check(given, "gcr.io/a/b:1", Some("gcr.io/a/b:2"));
        check(given, "gcr.io/a/b:2", None);
        check(given, "gcr.io/a/b#", Some("gcr.io/a/b:2"));
        check(given, "gcr.io/a/b:2#", Some("gcr.io/a/b:2"));
        check(given, "gcr.io/a/c:1", None);
        check("--image-reference docker.io/nginx:2", "docker.io/library/nginx:1", None);
        check("--matching-tag --image-reference gcr.io/a/b:2", "gcr.io/a/b:1", None);
        check("--matching-tag --image-reference gcr.io/a/b:2", "gcr.io/a/b:2#", Some("gcr.io/a/b:2"));
        check("--matching-tag --image-reference gcr.io/a/b:2", "gcr.io/a/b#", None);
        check("--latest --image-reference gcr.io/a/b:2", "gcr.io/a/b:1#", Some("gcr.io/a/b:1"));
        check("--latest --image-reference gcr.io/a/b:2", "gcr.io/a/c:1#", None);
        check("--latest --image-reference gcr.io/a/b", "gcr.io/a/b:1#", Some("gcr.io/a/b:1"));
        check("--semver ^1 --image-reference postgres", "postgres:1#", Some("postgres:1"));
    }

    #[test]
    fn rejects_contradictory_arguments() {
        let both = "--image-reference gcr.io/a/b:2 --image-reference gcr.io/a/b:3";
        assert!(selection(both).unwrap_err().contains("--matching-tag"));
        assert!(selection(&format!("{both} --matching-tag")).is_ok());
        assert!(selection("--image-reference a/b --matching-tag").unwrap_err().contains("expected a tag"));
        assert!(selection(&format!("{both} --image-reference gcr.io/a/b:2 --matching-tag")).is_ok());
    }
}
