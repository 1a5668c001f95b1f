//! Checks what the demonstration shows, against the images themselves.

use aws_emulator::bucket::Status;
use aws_emulator::stack::{End, StackStatus, Transcript};
use aws_emulator::{Image, Repository};
use serde_json::{Value, json};

/// What was found to be off.
#[derive(Default)]
pub(crate) struct Checks {
    problems: Vec<String>,
}

impl Checks {
    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// Notes a problem where a condition does not hold, and shows it at once.
    pub(crate) fn that(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            let problem = problem();
            println!("  OFF:       {problem}");
            self.problems.push(problem);
        }
    }

    /// The stack ended as it should.
    pub(crate) fn status(&mut self, transcript: &Transcript, expected: StackStatus) {
        let status = transcript.status;
        self.that(status == expected, || {
            format!("the stack is {status}, expected {expected}: {}", transcript.failures().join("; "))
        });
    }

    /// Every request got exactly one answer that CloudFormation accepts.
    pub(crate) fn answers(&mut self, transcript: &Transcript) {
        for turn in &transcript.turns {
            let answered = matches!(turn.end, End::Answered(_)) && turn.discarded.is_empty();
            self.that(answered, || {
                let why = turn.discarded.join("; ");
                format!("{} of {}: no acceptable answer: {why}", turn.request_type(), turn.logical_id())
            });
        }
    }

    /// The tag in ECR names the image, and ECR holds it byte for byte.
    pub(crate) fn copied(&mut self, repository: &Repository, tag: &str, image: &Image) {
        let named = repository.resolve(tag);
        self.that(named.as_deref() == Some(image.digest()), || {
            let named = named.unwrap_or_else(|| "nothing".to_owned());
            format!("tag {tag} in ECR names {named}, expected {}", image.digest())
        });
        for manifest in &image.manifests {
            let same = repository.manifest(&manifest.digest).is_some_and(|bytes| bytes == manifest.bytes);
            self.that(same, || format!("ECR does not hold the bytes of manifest {}", manifest.digest));
        }
        for blob in &image.blobs {
            let held = repository.blob_digest(blob.digest());
            self.that(held.as_deref() == Some(blob.digest()), || {
                let held = held.unwrap_or_else(|| "nothing".to_owned());
                format!("blob {} in ECR is really {held}", blob.digest())
            });
        }
    }

    /// The answer tells the truth about what was copied.
    pub(crate) fn attributes(
        &mut self,
        transcript: &Transcript,
        repository: &Repository,
        tag: &str,
        image: &Image,
    ) {
        let answer = transcript.turns.first().and_then(|turn| turn.answer());
        let Some(answer) = answer.filter(|answer| answer.status == Status::Success) else { return };
        let uri = repository.uri();
        let reference = format!("{uri}:{tag}");
        self.that(answer.physical_id == reference, || {
            format!("the id is {:?}, expected {reference:?}", answer.physical_id)
        });
        let image_uri = format!("{uri}@{}", image.digest());
        for (name, expected) in [
            ("ImageReference", json!(reference)),
            ("Digest", json!(image.digest())),
            ("SourceDigest", json!(image.digest())),
            ("ImageUri", json!(image_uri)),
            ("RepositoryUri", json!(uri)),
            ("Tag", json!(tag)),
            ("Platforms", json!(["linux/amd64", "linux/arm64"])),
        ] {
            let given = answer.data.get(name).unwrap_or(&Value::Null);
            self.that(*given == expected, || format!("attribute {name} is {given}, expected {expected}"));
        }
    }
}
