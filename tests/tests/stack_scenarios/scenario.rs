//! The configurations in which each scenario runs.

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::stack::{OperationReport, Resource, Stack, StackStatus, Template, Trigger};
use aws_emulator::{Availability, Image, Mutability};
use serde_json::{Value, json};

use crate::common::{Account, index};

/// A scenario in one of its four configurations.
pub(crate) struct Scenario {
    pub(crate) account: Account,
    pub(crate) is_immutable: bool,
    /// True if `Platform` is `all`.
    pub(crate) has_all_platforms: bool,
    pub(crate) images: [Image; 3],
}

impl Scenario {
    pub(crate) async fn new(mutability: Mutability, has_all_platforms: bool) -> Self {
        let is_immutable = mutability == Mutability::Immutable;
        let account = Account::with(mutability, |_| {}).await;
        let images = [index(1), index(2), index(3)];
        Self { account, is_immutable, has_all_platforms, images }
    }

    pub(crate) fn publish(&self, number: usize) {
        self.account.publish("3.13", &self.images[number]);
    }

    pub(crate) fn set_source(&self, availability: Availability) {
        self.account.world.emulator.docker_hub().set_availability(availability);
    }

    pub(crate) fn properties(&self, reference: &str) -> Value {
        let mut properties = self.account.properties(reference);
        if !self.has_all_platforms {
            properties.as_object_mut().unwrap().remove("Platform");
        }
        properties
    }

    /// Returns properties with the image's digest.
    pub(crate) fn pinned(&self, number: usize) -> Value {
        self.properties(&format!("python:3.13@{}", self.images[number].digest()))
    }

    pub(crate) fn image(&self, id: &str, number: usize) -> Template {
        Template::new().image(id, self.pinned(number))
    }

    /// Returns the digest of the copy in ECR.
    pub(crate) fn digest(&self, number: usize) -> String {
        let image = &self.images[number];
        match self.has_all_platforms {
            true => image.digest().to_owned(),
            false => image.child("linux/amd64").unwrap().digest.clone(),
        }
    }

    #[track_caller]
    pub(crate) fn check_tag(&self, tag: &str, number: impl Into<Option<usize>>) {
        let expected = number.into().map(|number| self.digest(number));
        let repository = &self.account.repository;
        assert_eq!(repository.resolve(tag), expected, "digest of {tag}; {}", self.name());
        if expected.is_some() {
            assert_eq!(repository.integrity_errors(tag), Vec::<String>::new());
        }
    }

    /// Checks that no image and no owner remains, and that only images were pushed.
    #[track_caller]
    pub(crate) fn check_empty(&self) {
        self.check_empty_after(&[]);
    }

    /// Checks the same after copies with these digests, which are not manifests of `self.images`.
    #[track_caller]
    pub(crate) fn check_empty_after(&self, digests: &[String]) {
        let images = self.account.repository.images();
        assert_eq!(images, Vec::<String>::new(), "remaining images; {}", self.name());
        assert_eq!(self.account.owners(), Vec::<String>::new(), "{}", self.name());
        let manifests = self.images.iter().flat_map(|image| &image.manifests);
        let mut allowed: Vec<String> = manifests.map(|manifest| manifest.digest.clone()).collect();
        allowed.extend_from_slice(digests);
        self.account.check_pushes(&allowed);
    }

    pub(crate) fn name(&self) -> String {
        format!("immutable {}, all {}", self.is_immutable, self.has_all_platforms)
    }

    pub(crate) fn stack(&self, name: &str) -> Arc<Stack> {
        self.account.world.stack(name, Duration::from_millis(25))
    }

    /// Runs an operation. Returns its result and its requests to the source.
    pub(crate) async fn with_source_operations<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        let mark = self.account.mark();
        let result = work.await;
        (result, self.account.source_operations(mark))
    }

    /// Returns true if tags can move.
    pub(crate) fn tags_can_move(&self) -> bool {
        !self.is_immutable
    }
}

#[track_caller]
pub(crate) fn check(transcript: &OperationReport, status: StackStatus) {
    assert_eq!(transcript.status, status, "{:?}", transcript.failures());
}

/// Runs a scenario in all four configurations, two at a time.
pub(crate) async fn in_every_configuration<F: Future<Output = ()>>(scenario: impl Fn(Scenario) -> F) {
    for mutability in [Mutability::Mutable, Mutability::Immutable] {
        let one = async { scenario(Scenario::new(mutability.clone(), false).await).await };
        let all = async { scenario(Scenario::new(mutability.clone(), true).await).await };
        tokio::join!(one, all);
    }
}

/// Returns a resource that fails after the image's event.
pub(crate) fn failing_sibling(needs: &str) -> Resource {
    Resource::simulated(json!({"changed": "yes"}))
        .fails_to_update(Trigger::Immediately, "no")
        .fails_to_create(Trigger::Immediately, "no")
        .depends_on(needs)
}

pub(crate) fn sibling(needs: &str) -> Resource {
    Resource::simulated(json!({})).depends_on(needs)
}
