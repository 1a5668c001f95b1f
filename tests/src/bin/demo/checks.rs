//! Compares the demo's results with the published images.

use aws_emulator::bucket::Status;
use aws_emulator::stack::{CallOutcome, OperationReport, ProviderCall, StackStatus};
use aws_emulator::{Image, Repository};
use serde_json::{Value, json};

/// Counts the failed checks.
#[derive(Default)]
pub(crate) struct Checks {
    pub(crate) failed: usize,
}

impl Checks {
    /// Prints and counts a problem if the condition is false.
    pub(crate) fn require(&mut self, condition: bool, problem: impl FnOnce() -> String) {
        if !condition {
            println!("  PROBLEM:   {}", problem());
            self.failed += 1;
        }
    }

    /// Checks that the stack has the expected status.
    pub(crate) fn check_status(&mut self, report: &OperationReport, expected: StackStatus) {
        let status = report.status;
        self.require(status == expected, || {
            format!("the stack is {status}, expected {expected}: {}", report.failures().join("; "))
        });
    }

    /// Checks that every event got exactly one response that CloudFormation accepts. Returns false at the
    /// first other event, because the remaining results depend on it.
    pub(crate) fn check_responses(&mut self, report: &OperationReport) -> bool {
        let has_response = |call: &&ProviderCall| {
            matches!(call.outcome, CallOutcome::Responded(_)) && call.discarded_responses.is_empty()
        };
        let Some(call) = report.calls.iter().find(|call| !has_response(call)) else { return true };
        self.require(false, || {
            let reasons = call.discarded_responses.join("; ");
            format!("{} of {}: no acceptable response: {reasons}", call.request_type(), call.logical_id())
        });
        false
    }

    /// Checks that the first event failed with a code.
    pub(crate) fn check_code(&mut self, report: &OperationReport, expected: &str) {
        let response = report.calls.first().and_then(|call| call.response());
        let reason = response.and_then(|response| response.reason.as_deref()).unwrap_or_default();
        self.require(reason.contains(&format!("({expected}, ")), || {
            format!("the reason does not have the code {expected}: {reason}")
        });
    }

    /// Checks that the tag in ECR names the image, and that ECR has all of its bytes.
    pub(crate) fn check_copy(&mut self, repository: &Repository, tag: &str, image: &Image) {
        let named = repository.resolve(tag);
        self.require(named.as_deref() == Some(image.digest()), || {
            let named = named.unwrap_or_else(|| "no image".to_owned());
            format!("tag {tag} in ECR names {named}, expected {}", image.digest())
        });
        for manifest in &image.manifests {
            let same = repository.manifest(&manifest.digest).is_some_and(|bytes| bytes == manifest.bytes);
            self.require(same, || format!("ECR does not have the bytes of manifest {}", manifest.digest));
        }
        for blob in &image.blobs {
            let actual = repository.actual_blob_digest(blob.digest());
            self.require(actual.as_deref() == Some(blob.digest()), || match &actual {
                Some(actual) => format!("blob {} in ECR has the digest {actual}", blob.digest()),
                None => format!("blob {} is missing in ECR", blob.digest()),
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
            format!("the physical ID is {:?}, expected {reference:?}", response.physical_id)
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
