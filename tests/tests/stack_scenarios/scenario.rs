//! The worlds in which each row is played.

use std::time::Duration;

use aws_emulator::stack::{OperationReport, Resource, Stack, StackStatus, Template, Trigger};
use aws_emulator::{Availability, Image, Mutability};
use serde_json::{Value, json};

use crate::common::{Account, index};

/// One of the four worlds that a row is played in.
pub(crate) struct Scene {
    pub(crate) account: Account,
    pub(crate) is_immutable: bool,
    pub(crate) takes_all: bool,
    pub(crate) images: [Image; 3],
}

impl Scene {
    pub(crate) async fn new(mutability: Mutability, takes_all: bool) -> Self {
        let is_immutable = mutability == Mutability::Immutable;
        let account = Account::with(mutability, |_| {}).await;
        let images = [index(1), index(2), index(3)];
        Self { account, is_immutable, takes_all, images }
    }

    pub(crate) fn publish(&self, number: usize) {
        self.account.publish("3.13", &self.images[number]);
    }

    pub(crate) fn upstream(&self, switch: Availability) {
        self.account.world.emulator.docker_hub().set_availability(switch);
    }

    pub(crate) fn properties(&self, reference: &str) -> Value {
        let mut properties = self.account.properties(reference);
        if !self.takes_all {
            properties.as_object_mut().unwrap().remove("Platform");
        }
        properties
    }

    /// Properties for an image by its digest.
    pub(crate) fn pinned(&self, number: usize) -> Value {
        self.properties(&format!("python:3.13@{}", self.images[number].digest()))
    }

    pub(crate) fn image(&self, id: &str, number: usize) -> Template {
        Template::new().image(id, self.pinned(number))
    }

    /// What is in ECR of an image.
    pub(crate) fn digest(&self, number: usize) -> String {
        let image = &self.images[number];
        match self.takes_all {
            true => image.digest().to_owned(),
            false => image.child("linux/amd64").unwrap().digest.clone(),
        }
    }

    #[track_caller]
    pub(crate) fn names(&self, tag: &str, number: impl Into<Option<usize>>) {
        let expected = number.into().map(|number| self.digest(number));
        let repository = &self.account.repository;
        assert_eq!(repository.resolve(tag), expected, "what {tag} names; {}", self.name());
        if expected.is_some() {
            assert_eq!(repository.integrity_errors(tag), Vec::<String>::new());
        }
    }

    /// Checks that no image and no owner is left, and that nothing but images was ever pushed.
    #[track_caller]
    pub(crate) fn is_empty(&self) {
        self.is_empty_after(&[]);
    }

    /// Checks the same after copies with these digests, which are not manifests of `self.images`.
    #[track_caller]
    pub(crate) fn is_empty_after(&self, digests: &[String]) {
        let images = self.account.repository.images();
        assert_eq!(images, Vec::<String>::new(), "images that are left; {}", self.name());
        assert_eq!(self.account.owners(), Vec::<String>::new(), "{}", self.name());
        let manifests = self.images.iter().flat_map(|image| &image.manifests);
        let mut allowed: Vec<String> = manifests.map(|manifest| manifest.digest.clone()).collect();
        allowed.extend_from_slice(digests);
        self.account.check_pushes(&allowed);
    }

    pub(crate) fn name(&self) -> String {
        format!("immutable {}, all {}", self.is_immutable, self.takes_all)
    }

    pub(crate) fn stack(&self, name: &str) -> Stack {
        self.account.world.stack(name, Duration::from_millis(25))
    }

    /// Upstream operations of what was done, and its result.
    pub(crate) async fn counted<T>(&self, work: impl Future<Output = T>) -> (T, Vec<String>) {
        let mark = self.account.mark();
        let result = work.await;
        (result, self.account.upstream(mark))
    }

    /// Lets a tag move: what is meant by immutable tags is then refused, and said.
    pub(crate) fn moves(&self) -> bool {
        !self.is_immutable
    }
}

#[track_caller]
pub(crate) fn check(report: &OperationReport, status: StackStatus) {
    assert_eq!(report.status, status, "{:?}", report.failures());
}

/// Plays a row in all four worlds, two at a time.
pub(crate) async fn play<F: Future<Output = ()>>(row: impl Fn(Scene) -> F) {
    for mutability in [Mutability::Mutable, Mutability::Immutable] {
        let one = async { row(Scene::new(mutability.clone(), false).await).await };
        let all = async { row(Scene::new(mutability.clone(), true).await).await };
        tokio::join!(one, all);
    }
}

/// A sibling that fails once the image's event is done.
pub(crate) fn failing(needs: &str) -> Resource {
    Resource::simulated(json!({"changed": "yes"}))
        .fails_to_update(Trigger::Immediately, "no")
        .fails_to_create(Trigger::Immediately, "no")
        .depends_on(needs)
}

pub(crate) fn sibling(needs: &str) -> Resource {
    Resource::simulated(json!({})).depends_on(needs)
}
