//! Compares the demo's results with the published images.

use aws_emulator::bucket::Status;
use aws_emulator::stack::{CallOutcome, OperationReport, StackStatus};
use aws_emulator::{Image, Repository};
use serde_json::{Value, json};

/// Problems found so far.
#[derive(Default)]
pub(crate) struct Checks {
    problems: Vec<String>,
}

impl Checks {
    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// Records and prints a problem if the condition is false.
    pub(crate) fn require(&mut self, condition: bool, problem: impl FnOnce() -> String) {
        if !condition {
            let problem = problem();
            println!("  PROBLEM:   {problem}");
            self.problems.push(problem);
        }
    }

    /// Checks that the stack has the expected status.
    pub(crate) fn check_status(&mut self, report: &OperationReport, expected: StackStatus) {
        let status = report.status;
        self.require(status == expected, || {
            format!("the stack is {status}, expected {expected}: {}", report.failures().join("; "))
        });
    }

    /// Checks that every event got exactly one response that CloudFormation accepts.
    pub(crate) fn check_responses(&mut self, report: &OperationReport) {
        for call in &report.calls {
            let has_response =
                matches!(call.outcome, CallOutcome::Responded(_)) && call.discarded_responses.is_empty();
            self.require(has_response, || {
                let reasons = call.discarded_responses.join("; ");
                format!("{} of {}: no acceptable response: {reasons}", call.request_type(), call.logical_id())
            });
        }
    }

    /// Checks that the tag in ECR names the image, and that ECR has all of its bytes.
    pub(crate) fn check_copy(&mut self, repository: &Repository, tag: &str, image: &Image) {
        let named = repository.resolve(tag);
        self.require(named.as_deref() == Some(image.digest()), || {
            let named = named.unwrap_or_else(|| "nothing".to_owned());
            format!("tag {tag} in ECR names {named}, expected {}", image.digest())
        });
        for manifest in &image.manifests {
            let same = repository.manifest(&manifest.digest).is_some_and(|bytes| bytes == manifest.bytes);
            self.require(same, || format!("ECR does not have the bytes of manifest {}", manifest.digest));
        }
        for blob in &image.blobs {
            let actual = repository.actual_blob_digest(blob.digest());
            self.require(actual.as_deref() == Some(blob.digest()), || {
                let actual = actual.unwrap_or_else(|| "nothing".to_owned());
                format!("blob {} in ECR has the digest {actual}", blob.digest())
            });
        }
    }

    /// Checks the attributes in the response.
    pub(crate) fn check_attributes(
        &mut self,
        report: &OperationReport,
        repository: &Repository,
        tag: &str,
        image: &Image,
    ) {
        let response = report.calls.first().and_then(|call| call.response());
        let Some(response) = response.filter(|response| response.status == Status::Success) else { return };
        let uri = repository.uri();
        let reference = format!("{uri}:{tag}");
        self.require(response.physical_id == reference, || {
            format!("the physical id is {:?}, expected {reference:?}", response.physical_id)
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
            let actual = response.data.get(name).unwrap_or(&Value::Null);
            self.require(*actual == expected, || {
                format!("attribute {name} is {actual}, expected {expected}")
            });
        }
    }
}
