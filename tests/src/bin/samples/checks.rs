//! Compares ECR and the stack's attributes with the published images.

use std::collections::BTreeSet;

use aws_emulator::stack::{CallOutcome, DeployedResource, OperationReport, StackStatus};
use aws_emulator::{Blob, Manifest, Repository};
use serde_json::{Value, json};

use crate::deployment::SampleImage;
use crate::release::{ExpectedCopy, Root};

/// Problems found so far.
#[derive(Default)]
pub(crate) struct Checks {
    problems: Vec<String>,
}

impl Checks {
    pub(crate) fn into_problems(self) -> Vec<String> {
        self.problems
    }

    /// Records a problem if the condition is false.
    pub(crate) fn require(&mut self, condition: bool, problem: impl FnOnce() -> String) {
        if !condition {
            self.problems.push(problem());
        }
    }

    /// Checks that the stack has the expected status after exactly these events, each with one response.
    pub(crate) fn check_operation(
        &mut self,
        report: &OperationReport,
        status: StackStatus,
        events: &[String],
    ) {
        if report.status != status {
            let failures = report.failures().join("; ");
            self.require(false, || format!("the stack is {}, expected {status}: {failures}", report.status));
            return;
        }
        let mut sent = report.summary();
        sent.sort();
        self.require(sent == events, || format!("CloudFormation sent {sent:?}, expected {events:?}"));
        for call in &report.calls {
            let has_response =
                matches!(call.outcome, CallOutcome::Responded(_)) && call.discarded_responses.is_empty();
            self.require(has_response, || {
                let reasons = call.discarded_responses.join("; ");
                format!("{} of {}: no acceptable response: {reasons}", call.request_type(), call.logical_id())
            });
        }
    }

    /// Checks that the tag in ECR names the expected image, and that ECR has all of its bytes.
    pub(crate) fn check_copy(&mut self, image: &SampleImage<'_>, copied: &ExpectedCopy) {
        let SampleImage { resource, repository, tag, .. } = image;
        let id = &resource.logical_id;
        let named = repository.resolve(tag);
        let bytes = named.as_deref().and_then(|digest| repository.manifest(digest));
        let named = named.unwrap_or_else(|| "nothing".to_owned());
        match &copied.root {
            Root::Identical(root) => self.require(bytes.as_ref() == Some(&root.bytes), || {
                format!("{id}: tag {tag} in ECR names {named}, expected {}", root.digest)
            }),
            Root::Selection(document) => {
                let actual = bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
                self.require(actual.as_ref() == Some(document), || {
                    format!("{id}: tag {tag} in ECR names {named}, expected the index {document}")
                });
            }
            Root::Changed(source) => {
                let damage = repository.integrity_errors(tag);
                let has_layers = bytes.is_some_and(|bytes| has_layers_of(&bytes, source));
                self.require(has_layers && named != source.digest && damage.is_empty(), || {
                    format!(
                        "{id}: tag {tag} in ECR names {named}, expected a changed image of {}: {damage:?}",
                        source.digest
                    )
                });
            }
        }
        for manifest in &copied.children {
            let same = repository.manifest(&manifest.digest).is_some_and(|bytes| bytes == manifest.bytes);
            self.require(same, || {
                format!("{id}: ECR does not have the bytes of manifest {}", manifest.digest)
            });
        }
        for blob in &copied.blobs {
            let actual = repository.actual_blob_digest(blob.digest());
            self.require(actual.as_deref() == Some(blob.digest()), || {
                let actual = actual.unwrap_or_else(|| "nothing".to_owned());
                format!("{id}: blob {} in ECR has the digest {actual}", blob.digest())
            });
        }
    }

    /// Checks that `Ref` and the attributes describe the copied image, and that no other attributes exist.
    pub(crate) fn check_attributes(
        &mut self,
        image: &SampleImage<'_>,
        number: usize,
        copied: &ExpectedCopy,
        live: &DeployedResource,
    ) {
        let SampleImage { resource, repository, tag, .. } = image;
        let (id, uri) = (&resource.logical_id, repository.uri());
        let reference = format!("{uri}:{tag}");
        self.require(live.physical_id == reference, || {
            format!("{id}: the physical id is {:?}, expected {reference:?}", live.physical_id)
        });
        let digest = match &copied.root {
            Root::Identical(root) => root.digest.clone(),
            Root::Selection(_) | Root::Changed(_) => repository.resolve(tag).unwrap_or_default(),
        };
        let size = match &copied.root {
            // The new config and layer count too.
            Root::Changed(_) => repository.manifest(&digest).map_or(0, |bytes| size_of_blobs(&bytes)),
            Root::Identical(_) | Root::Selection(_) => copied.blobs.iter().map(Blob::size).sum(),
        };
        let source = image.releases[number].image.digest();
        let mut expected = json!({
            "ImageReference": reference,
            "Digest": digest,
            "ImageUri": format!("{uri}@{digest}"),
            "SourceDigest": source,
            "SourceReference": image.reference.with_digest(source),
            "Platforms": copied.platforms,
            "RepositoryUri": uri,
            "Tag": tag,
            "MediaType": copied.media_type,
            "Size": size.to_string(),
        });
        if image.includes_referrers() {
            expected["Referrers"] = json!("1 copied");
            let signature = image.releases[number].signature.digest();
            self.require(repository.integrity_errors(signature).is_empty(), || {
                format!("{id}: ECR does not have signature {signature}")
            });
        }
        for (name, expected) in expected.as_object().into_iter().flatten() {
            let actual = live.attributes.get(name).unwrap_or(&Value::Null);
            self.require(actual == expected, || {
                format!("{id}: attribute {name} is {actual}, expected {expected}")
            });
        }
        for name in live.attributes.keys().filter(|name| expected.get(name).is_none()) {
            self.require(false, || format!("{id}: unexpected attribute {name}"));
        }
    }

    /// Checks that the replaced image still exists after an update, for a rollback and for running tasks.
    pub(crate) fn check_replaced_image(&mut self, image: &SampleImage<'_>, digest: &str) {
        let damage = image.repository.integrity_errors(digest);
        self.require(damage.is_empty(), || {
            format!("{}: the replaced image is incomplete: {}", image.resource.logical_id, damage.join("; "))
        });
    }

    /// Checks that the repository contains exactly these tags and manifests.
    pub(crate) fn check_contents(
        &mut self,
        repository: &Repository,
        expected_tags: &BTreeSet<String>,
        expected_manifests: &BTreeSet<String>,
    ) {
        let tags = repository.tags();
        let uri = repository.uri();
        for tag in tags.keys() {
            self.require(expected_tags.contains(tag), || format!("{uri} still has the tag {tag}"));
        }
        for tag in expected_tags {
            self.require(tags.contains_key(tag), || format!("{uri} has lost the tag {tag}"));
        }
        let actual: BTreeSet<String> = repository.images().into_iter().collect();
        for digest in actual.difference(expected_manifests) {
            self.require(false, || format!("{uri} still contains manifest {digest}"));
        }
        for digest in expected_manifests.difference(&actual) {
            self.require(false, || format!("{uri} has lost manifest {digest}"));
        }
    }
}

/// Returns true if the layers of a manifest start with those of `source`.
fn has_layers_of(manifest: &[u8], source: &Manifest) -> bool {
    let layers = |bytes: &[u8]| {
        let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
        document["layers"].as_array().cloned().unwrap_or_default()
    };
    let expected = layers(&source.bytes);
    !expected.is_empty() && layers(manifest).starts_with(&expected)
}

/// Returns the sum of the sizes of config and layers.
fn size_of_blobs(manifest: &[u8]) -> u64 {
    let document: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let layers = document["layers"].as_array().into_iter().flatten();
    layers.chain([&document["config"]]).filter_map(|entry| entry["size"].as_u64()).sum()
}
