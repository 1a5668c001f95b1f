//! Pull-through cache: repositories that copy images from an upstream registry
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html>).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Caller, now};
use crate::upstream::Registry;

use super::error::Refusal;
use super::images::{self, Put};
use super::store::{Key, Layer, Repository};
use super::{Ecr, hosts};

/// Timing of a pull-through cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullThroughSettings {
    /// Time until the response to the first pull of a tag.
    pub delay: Duration,
    /// Number of pulls of a tag that fail with "not found" before the image exists.
    pub misses: usize,
}

/// A pull-through cache rule: repositories with a prefix come from an upstream registry.
pub(super) struct Rule {
    /// Account, Region and prefix of the repositories.
    place: Key,
    upstream: Arc<Registry>,
    settings: PullThroughSettings,
    /// Number of failed pulls by repository and tag.
    missed: HashMap<String, usize>,
}

impl Rule {
    /// Returns the upstream name of a repository if the rule applies to it.
    fn name<'a>(&self, key: &'a Key) -> Option<&'a str> {
        let here = key.account == self.place.account && key.region == self.place.region;
        key.repository.strip_prefix(&self.place.repository)?.strip_prefix('/').filter(|_| here)
    }
}

impl Ecr {
    /// Adds a pull-through cache rule for repositories with a prefix, such as
    /// `arn:aws:ecr:eu-west-1:123456789012:repository/docker-hub`.
    ///
    ///
    /// # Panics
    ///
    ///
    /// Panics if the ARN is not the ARN of a repository.
    pub fn pull_through(&self, prefix: &str, upstream: &Arc<Registry>, settings: PullThroughSettings) {
        let place = Key::from_arn(prefix).unwrap_or_else(|| panic!("{prefix} names no repository"));
        let rule = Rule { place, upstream: Arc::clone(upstream), settings, missed: HashMap::new() };
        self.lock().rules.push(rule);
    }
}

/// Copies an image from upstream if a rule applies and the tag is missing. A missing digest is not copied
/// (<https://github.com/aws/containers-roadmap/issues/2837>).
pub(super) async fn fill(ecr: &Ecr, caller: &Caller, key: &Key, reference: &str) -> Result<(), Refusal> {
    let Some(delay) = begin(ecr, caller, key, reference)? else { return Ok(()) };
    tokio::time::sleep(delay).await;
    let mut state = ecr.lock();
    let Some(rule) = state.rules.iter().find(|rule| rule.name(key).is_some()) else { return Ok(()) };
    let name = rule.name(key).unwrap_or_default();
    let Some(image) = rule.upstream.image(name, reference) else { return Ok(()) };
    let fresh = || Repository { created: now(), ..Repository::default() };
    let held = state.repositories.entry(key.clone()).or_insert_with(fresh);
    for blob in &image.blobs {
        let (size, actual) = (blob.size(), blob.digest().to_owned());
        held.layers.insert(actual.clone(), Layer { size, actual, blob: Some(blob.clone()) });
    }
    for manifest in &image.manifests {
        let tag = (manifest.digest == image.digest()).then_some(reference);
        let put = Put { bytes: &manifest.bytes, media_type: Some(&manifest.media_type), tag, digest: None };
        images::put(&mut state, key, &put)?;
    }
    Ok(())
}

/// Returns the delay if a pull starts a copy from upstream.
fn begin(ecr: &Ecr, caller: &Caller, key: &Key, reference: &str) -> Result<Option<Duration>, Refusal> {
    let mut state = ecr.lock();
    let held = state.repositories.get(key);
    let is_new = held.is_none();
    if reference.contains(':') || held.is_some_and(|held| held.image(reference).is_some()) {
        return Ok(None);
    }
    let Some(at) = state.rules.iter().position(|rule| rule.name(key).is_some()) else { return Ok(None) };
    let actions = ["BatchImportUpstreamImage", "CreateRepository"];
    for action in &actions[..if is_new { 2 } else { 1 }] {
        let resource = hosts::repository_arn(&key.account, &key.region, &key.repository);
        state.admit(caller, key, action, &resource)?;
    }
    let rule = &mut state.rules[at];
    let missed = rule.missed.entry(format!("{}:{reference}", key.repository)).or_default();
    if *missed < rule.settings.misses {
        *missed += 1;
        return Err(Refusal::new("ImageNotFoundException", "Requested image not found"));
    }
    Ok(Some(rule.settings.delay))
}
