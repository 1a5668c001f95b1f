//! Checks what a sample's life has left in ECR and told the stack, against the images themselves.

use std::collections::BTreeSet;

use aws_emulator::Repository;
use aws_emulator::stack::{End, Live, StackStatus, Transcript};
use serde_json::{Value, json};

use crate::release::{Copied, Root};
use crate::deployment::Subject;

/// What was found to be off.
#[derive(Default)]
pub(crate) struct Checks {
    problems: Vec<String>,
}

impl Checks {
    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// Notes a problem where a condition does not hold.
    pub(crate) fn that(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// The stack ended as it should, after just these requests, each with one answer.
    pub(crate) fn operation(&mut self, transcript: &Transcript, status: StackStatus, requests: &[String]) {
        if transcript.status != status {
            let failures = transcript.failures().join("; ");
            self.that(false, || format!("the stack is {}, expected {status}: {failures}", transcript.status));
            return;
        }
        let mut sent = transcript.summary();
        sent.sort();
        self.that(sent == requests, || format!("CloudFormation sent {sent:?}, expected {requests:?}"));
        for turn in &transcript.turns {
            let answered = matches!(turn.end, End::Answered(_)) && turn.discarded.is_empty();
            self.that(answered, || {
                let why = turn.discarded.join("; ");
                format!("{} of {}: no acceptable answer: {why}", turn.request_type(), turn.logical_id())
            });
        }
    }

    /// The tag in ECR names what was wanted, and ECR holds all of it, byte for byte.
    pub(crate) fn copied(&mut self, image: &Subject<'_>, copied: &Copied) {
        let Subject { resource, repository, tag, .. } = image;
        let id = &resource.logical_id;
        let named = repository.resolve(tag);
        let bytes = named.as_deref().and_then(|digest| repository.manifest(digest));
        let named = named.unwrap_or_else(|| "nothing".to_owned());
        match &copied.root {
            Root::Same(root) => self.that(bytes.as_ref() == Some(&root.bytes), || {
                format!("{id}: tag {tag} in ECR names {named}, expected {}", root.digest)
            }),
            Root::Saying(document) => {
                let says = bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
                self.that(says.as_ref() == Some(document), || {
                    format!("{id}: tag {tag} in ECR names {named}, expected an index that says {document}")
                });
            }
        }
        for manifest in &copied.children {
            let same = repository.manifest(&manifest.digest).is_some_and(|bytes| bytes == manifest.bytes);
            self.that(same, || format!("{id}: ECR does not hold the bytes of manifest {}", manifest.digest));
        }
        for blob in &copied.blobs {
            let held = repository.blob_digest(blob.digest());
            self.that(held.as_deref() == Some(blob.digest()), || {
                let held = held.unwrap_or_else(|| "nothing".to_owned());
                format!("{id}: blob {} in ECR is really {held}", blob.digest())
            });
        }
    }

    /// `Ref` and the attributes say what was copied, and nothing else.
    pub(crate) fn attributes(&mut self, image: &Subject<'_>, number: usize, copied: &Copied, live: &Live) {
        let Subject { resource, repository, tag, .. } = image;
        let (id, uri) = (&resource.logical_id, repository.uri());
        let reference = format!("{uri}:{tag}");
        self.that(live.physical_id == reference, || {
            format!("{id}: the id is {:?}, expected {reference:?}", live.physical_id)
        });
        let digest = match &copied.root {
            Root::Same(root) => root.digest.clone(),
            Root::Saying(_) => repository.resolve(tag).unwrap_or_default(),
        };
        let source = image.releases[number].image.digest();
        let mut expected = json!({
            "ImageReference": reference,
            "Digest": digest,
            "ImageUri": format!("{uri}@{digest}"),
            "SourceDigest": source,
            "SourceReference": image.reference.at(source),
            "Platforms": copied.platforms,
            "RepositoryUri": uri,
            "Tag": tag,
            "MediaType": copied.media_type,
            "Size": copied.size().to_string(),
        });
        if image.includes_referrers() {
            expected["Referrers"] = json!("1 copied");
            let signature = image.releases[number].signature.digest();
            self.that(repository.damage(signature).is_empty(), || {
                format!("{id}: ECR does not hold signature {signature}")
            });
        }
        for (name, expected) in expected.as_object().into_iter().flatten() {
            let given = live.attributes.get(name).unwrap_or(&Value::Null);
            self.that(given == expected, || {
                format!("{id}: attribute {name} is {given}, expected {expected}")
            });
        }
        for name in live.attributes.keys().filter(|name| expected.get(name).is_none()) {
            self.that(false, || format!("{id}: attribute {name} is there, which nobody expects"));
        }
    }

    /// After an update what it replaced is still there, for a rollback and for tasks that run.
    pub(crate) fn kept(&mut self, image: &Subject<'_>, digest: &str) {
        let damage = image.repository.damage(digest);
        self.that(damage.is_empty(), || {
            format!(
                "{}: what the update replaced is not whole: {}",
                image.resource.logical_id,
                damage.join("; ")
            )
        });
    }

    /// A repository has exactly these tags and manifests.
    pub(crate) fn holds(
        &mut self,
        repository: &Repository,
        expected_tags: &BTreeSet<String>,
        expected: &BTreeSet<String>,
    ) {
        let tags = repository.tags();
        let uri = repository.uri();
        for tag in tags.keys() {
            self.that(expected_tags.contains(tag), || format!("{uri} still has the tag {tag}"));
        }
        for tag in expected_tags {
            self.that(tags.contains_key(tag), || format!("{uri} has lost the tag {tag}"));
        }
        let held: BTreeSet<String> = repository.images().into_iter().collect();
        for digest in held.difference(expected) {
            self.that(false, || format!("{uri} still holds manifest {digest}"));
        }
        for digest in expected.difference(&held) {
            self.that(false, || format!("{uri} has lost manifest {digest}"));
        }
    }
}
