//! Selects images of an index by platform.

use std::collections::HashSet;

use crate::oci::{Descriptor, Digest, Manifest, Platform};

/// Returns the first child for the platform, as the specification requires
/// (<https://github.com/opencontainers/image-spec/blob/main/image-index.md>). Never returns an attestation.
#[must_use]
pub fn image_for_platform<'a>(index: &'a Manifest, wanted: &Platform) -> Option<&'a Descriptor> {
    image_children(index)
        .find(|child| child.platform.as_ref().is_some_and(|platform| platform.satisfies(wanted)))
}

/// Returns the children with a platform, without attestations.
pub fn image_children(index: &Manifest) -> impl Iterator<Item = &Descriptor> {
    index.children().iter().filter(|child| child.platform.is_some() && !is_left_out(child))
}

/// Returns true for an attestation, and for other children that are not images. A customization leaves them out.
pub(super) fn is_left_out(child: &Descriptor) -> bool {
    child.is_attestation() || child.platform.as_ref().is_some_and(Platform::is_unknown)
}

/// Returns the number of platforms in an index, and `None` for a single image.
pub(super) fn platform_count(manifest: &Manifest) -> Option<usize> {
    let names: HashSet<String> = image_children(manifest)
        .filter_map(|child| child.platform.as_ref())
        .map(ToString::to_string)
        .collect();
    manifest.is_index().then_some(names.len())
}

/// Returns an index with the images for `wanted` and their attestations, or `None` if the index has no
/// others.
///
/// # Errors
/// The first platform without an image.
pub(super) fn select_children(index: &Manifest, wanted: &[Platform]) -> Result<Option<Manifest>, Platform> {
    let chosen: HashSet<&Digest> = wanted
        .iter()
        .map(|platform| {
            image_for_platform(index, platform).map(|child| &child.digest).ok_or_else(|| platform.clone())
        })
        .collect::<Result<_, _>>()?;
    let kept: Vec<bool> = index
        .children()
        .iter()
        .map(|child| match &child.attestation_subject {
            Some(subject) => chosen.contains(subject),
            None => chosen.contains(&child.digest),
        })
        .collect();
    if kept.iter().all(|kept| *kept) {
        return Ok(None);
    }
    Ok(Some(index.keep_children(&kept)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Digest, media_type};

    fn index(children: &[(&str, &str)]) -> Manifest {
        let entries: Vec<String> = children
            .iter()
            .map(|(platform, seed)| {
                let digest = Digest::of(seed.as_bytes());
                format!(
                    r#"{{"mediaType":"{}","digest":"{digest}","size":1,{platform}}}"#,
                    media_type::OCI_MANIFEST
                )
            })
            .collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        Manifest::parse(text.into(), Some(media_type::OCI_INDEX)).unwrap()
    }

    #[test]
    fn selects_the_first_match_and_never_an_attestation() {
        let subject = Digest::of(b"c");
        let attestation = format!(
            r#""platform":{{"os":"linux","architecture":"amd64"}},"annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{subject}"}}"#
        );
        let index = index(&[
            (&attestation, "a"),
            (r#""platform":{"os":"linux","architecture":"arm64","variant":"v8"}"#, "b"),
            (r#""platform":{"os":"linux","architecture":"amd64"}"#, "c"),
            (r#""platform":{"os":"linux","architecture":"amd64"}"#, "d"),
            (r#""platform":{"os":"unknown","architecture":"unknown"}"#, "e"),
            (r#""urls":[]"#, "f"),
        ]);
        let found = image_for_platform(&index, &"linux/amd64".parse().unwrap()).unwrap();
        assert_eq!(found.digest, subject);
        assert!(image_for_platform(&index, &"linux/386".parse().unwrap()).is_none());
        assert_eq!(image_children(&index).count(), 3);
    }

    #[test]
    fn a_selection_keeps_images_with_their_attestations_byte_for_byte() {
        let subject = Digest::of(b"b");
        let attestation = format!(
            r#""platform":{{"os":"unknown","architecture":"unknown"}},"annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{subject}"}}"#
        );
        let index = index(&[
            (r#""platform":{"os":"linux","architecture":"amd64"}"#, "a"),
            (r#""platform": {"architecture" : "arm64", "os":"linux"}, "x.y":[1]"#, "b"),
            (r#""platform":{"os":"linux","architecture":"s390x"}"#, "c"),
            (&attestation, "d"),
        ]);
        let platforms =
            |names: &[&str]| -> Vec<Platform> { names.iter().map(|name| name.parse().unwrap()).collect() };
        let selected = select_children(&index, &platforms(&["linux/s390x", "linux/arm64"])).unwrap().unwrap();
        let text = std::str::from_utf8(&selected.bytes).unwrap();
        assert!(
            text.contains(r#""platform": {"architecture" : "arm64", "os":"linux"}, "x.y":[1]"#),
            "{text}"
        );
        let digests: Vec<&Digest> = selected.children().iter().map(|child| &child.digest).collect();
        assert_eq!(digests, [&subject, &Digest::of(b"c"), &Digest::of(b"d")], "the index's order");
        let other_order = select_children(&index, &platforms(&["linux/arm64", "linux/s390x", "linux/arm64"]));
        assert_eq!(other_order.unwrap().unwrap().digest, selected.digest);
        let all = platforms(&["linux/arm64", "linux/s390x", "linux/amd64"]);
        assert_eq!(select_children(&index, &all), Ok(None), "the source's own index");
        let missing = select_children(&index, &platforms(&["linux/arm64", "linux/386"])).unwrap_err();
        assert_eq!(missing.to_string(), "linux/386");
        assert_eq!(platform_count(&index), Some(3));
    }
}
