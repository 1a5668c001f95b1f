//! Pull-through cache: repositories that fill themselves from an upstream registry
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

/// How a cache fills.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullThroughSettings {
    /// How long the first pull of a tag waits for its answer.
    pub delay: Duration,
    /// How many pulls of a tag are told that there is no such image before it is there.
    pub misses: usize,
}

/// A rule: what begins with a prefix comes from an upstream registry.
pub(super) struct Rule {
    /// Account, Region and prefix; repositories follow behind a slash.
    place: Key,
    upstream: Arc<Registry>,
    settings: PullThroughSettings,
    /// Pulls that were told so, by repository and tag.
    missed: HashMap<String, usize>,
}

impl Rule {
    /// What a repository is called upstream, if the rule is for it.
    fn name<'a>(&self, key: &'a Key) -> Option<&'a str> {
        let here = key.account == self.place.account && key.region == self.place.region;
        key.repository.strip_prefix(&self.place.repository)?.strip_prefix('/').filter(|_| here)
    }
}

impl Ecr {
    /// Lets repositories behind a prefix, such as
    /// `arn:aws:ecr:eu-west-1:123456789012:repository/docker-hub`, fill themselves from a registry.
    ///
    /// # Panics
    ///
    /// When the ARN is not that of a repository.
    pub fn pull_through(&self, prefix: &str, upstream: &Arc<Registry>, settings: PullThroughSettings) {
        let place = Key::from_arn(prefix).unwrap_or_else(|| panic!("{prefix} names no repository"));
        let rule = Rule { place, upstream: Arc::clone(upstream), settings, missed: HashMap::new() };
        self.lock().rules.push(rule);
    }
}

/// Fetches what a tag names upstream, when a rule says so and it is not here yet. A digest that is
/// not here starts nothing (<https://github.com/aws/containers-roadmap/issues/2837>).
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

/// Decides whether a pull makes the cache fill, and after how long that is done.
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
