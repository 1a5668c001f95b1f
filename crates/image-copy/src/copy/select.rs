//! Which image of an index is meant.

use crate::oci::{Descriptor, Manifest, Platform};

/// The first child for the platform, as the specification wants it
/// (<https://github.com/opencontainers/image-spec/blob/main/image-index.md>). Never an attestation.
pub(super) fn image_for<'a>(index: &'a Manifest, wanted: &Platform) -> Option<&'a Descriptor> {
    images(index).find(|child| child.platform.as_ref().is_some_and(|platform| platform.satisfies(wanted)))
}

/// Children that say which platform they are for.
pub(super) fn images(index: &Manifest) -> impl Iterator<Item = &Descriptor> {
    index.children().iter().filter(|child| {
        !child.is_attestation() && child.platform.as_ref().is_some_and(|platform| !platform.is_unknown())
    })
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
    fn takes_the_first_match_and_never_an_attestation() {
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
        let found = image_for(&index, &"linux/amd64".parse().unwrap()).unwrap();
        assert_eq!(found.digest, subject);
        assert!(image_for(&index, &"linux/386".parse().unwrap()).is_none());
        assert_eq!(images(&index).count(), 3);
    }
}
