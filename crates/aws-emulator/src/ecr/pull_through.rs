//! Pull-through cache: repositories that copy images from an upstream registry
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html>).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Caller, now};
use crate::upstream::Registry;

use super::error::ApiError;
use super::images::{self, NewImage};
use super::store::{Layer, Repository, RepositoryKey};
use super::{Ecr, hosts, templates};

/// Timing of a pull-through cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct PullThroughSettings {
    /// Time until the response to the first pull of a tag.
    pub delay: Duration,
    /// Number of pulls of a tag that fail with "not found" before the image exists.
    pub misses: usize,
}

/// A pull-through cache rule: repositories with a prefix come from an upstream registry.
pub(super) struct PullThroughRule {
    /// Account, Region and prefix of the repositories.
    prefix_key: RepositoryKey,
    upstream: Arc<Registry>,
    settings: PullThroughSettings,
    /// Number of failed pulls by repository and tag.
    failed_pulls: HashMap<String, usize>,
}

impl PullThroughRule {
    /// Returns the upstream name of a repository if the rule applies to it.
    fn upstream_name<'a>(&self, key: &'a RepositoryKey) -> Option<&'a str> {
        let here = key.account == self.prefix_key.account && key.region == self.prefix_key.region;
        key.repository.strip_prefix(&self.prefix_key.repository)?.strip_prefix('/').filter(|_| here)
    }
}

impl Ecr {
    /// Adds a pull-through cache rule for repositories with a prefix, such as
    /// `arn:aws:ecr:eu-west-1:123456789012:repository/docker-hub`.
    ///
    /// # Panics
    ///
    /// Panics if the ARN is not the ARN of a repository.
    pub fn pull_through(&self, prefix: &str, upstream: &Arc<Registry>, settings: PullThroughSettings) {
        let prefix_key = RepositoryKey::from_arn(prefix)
            .unwrap_or_else(|| panic!("{prefix} is not the ARN of a repository"));
        let rule = PullThroughRule {
            prefix_key,
            upstream: Arc::clone(upstream),
            settings,
            failed_pulls: HashMap::new(),
        };
        self.lock().pull_through_rules.push(rule);
    }
}

/// Copies an image from upstream if a rule applies and the tag is missing. A missing digest is not copied
/// (<https://github.com/aws/containers-roadmap/issues/2837>).
pub(super) async fn copy_from_upstream(
    ecr: &Ecr,
    caller: &Caller,
    key: &RepositoryKey,
    reference: &str,
) -> Result<(), ApiError> {
    let Some(delay) = start_copy(ecr, caller, key, reference)? else { return Ok(()) };
    tokio::time::sleep(delay).await;
    let mut state = ecr.lock();
    let Some(rule) = state.pull_through_rules.iter().find(|rule| rule.upstream_name(key).is_some()) else {
        return Ok(());
    };
    let upstream_name = rule.upstream_name(key).unwrap_or_default();
    let Some(image) = rule.upstream.image(upstream_name, reference) else { return Ok(()) };
    let settings = templates::settings(&state, key, "PULL_THROUGH_CACHE").unwrap_or_default();
    let fresh = || Repository { settings, created: now(), ..Repository::default() };
    let repository = state.repositories.entry(key.clone()).or_insert_with(fresh);
    for blob in &image.blobs {
        let (size, actual) = (blob.size(), blob.digest().to_owned());
        repository.layers.insert(actual.clone(), Layer { size, actual, blob: Some(blob.clone()) });
    }
    for manifest in &image.manifests {
        let tag = (manifest.digest == image.digest()).then_some(reference);
        let new_image =
            NewImage { bytes: &manifest.bytes, media_type: Some(&manifest.media_type), tag, digest: None };
        images::put(&mut state, key, &new_image)?;
    }
    Ok(())
}

/// Returns the delay if a pull starts a copy from upstream.
fn start_copy(
    ecr: &Ecr,
    caller: &Caller,
    key: &RepositoryKey,
    reference: &str,
) -> Result<Option<Duration>, ApiError> {
    let mut state = ecr.lock();
    let repository = state.repositories.get(key);
    let is_new = repository.is_none();
    if reference.contains(':') || repository.is_some_and(|repository| repository.image(reference).is_some()) {
        return Ok(None);
    }
    let Some(at) = state.pull_through_rules.iter().position(|rule| rule.upstream_name(key).is_some()) else {
        return Ok(None);
    };
    let actions = ["BatchImportUpstreamImage", "CreateRepository"];
    for action in &actions[..if is_new { 2 } else { 1 }] {
        let resource = hosts::repository_arn(&key.account, &key.region, &key.repository);
        state.authorize(caller, key, action, &resource)?;
    }
    let rule = &mut state.pull_through_rules[at];
    let failed_pulls = rule.failed_pulls.entry(format!("{}:{reference}", key.repository)).or_default();
    if *failed_pulls < rule.settings.misses {
        *failed_pulls += 1;
        return Err(ApiError::new("ImageNotFoundException", "Requested image not found"));
    }
    Ok(Some(rule.settings.delay))
}
