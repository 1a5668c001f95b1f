//! Content of ECR: repositories with images, tags and layers.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use crate::api::{Caller, Denials, hosts::partition};
use crate::blob::Blob;
use crate::fault::glob;
use crate::image::Manifest;

use super::error::ApiError;
use super::hosts;
use super::lifecycle::Preview;
use super::policies;
use super::pull_through::PullThroughRule;
use super::scans::Scan;
use super::templates::Template;
use super::throttle::RateLimits;
use super::uploads::UploadSession;
use super::validation::ParsedManifest;

/// Tag mutability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Mutability {
    /// All tags can be moved.
    #[default]
    Mutable,
    /// No tag can be moved.
    Immutable,
    /// Only tags that match a filter can be moved.
    ImmutableWithExclusion(Vec<String>),
    /// Only tags that match no filter can be moved.
    MutableWithExclusion(Vec<String>),
}

impl Mutability {
    /// Returns true if the tag can be moved.
    pub fn allows_moving(&self, tag: &str) -> bool {
        let excluded = |filters: &[String]| filters.iter().any(|filter| glob(filter, tag));
        match self {
            Self::Mutable => true,
            Self::Immutable => false,
            Self::ImmutableWithExclusion(filters) => excluded(filters),
            Self::MutableWithExclusion(filters) => !excluded(filters),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Mutable => "MUTABLE",
            Self::Immutable => "IMMUTABLE",
            Self::ImmutableWithExclusion(_) => "IMMUTABLE_WITH_EXCLUSION",
            Self::MutableWithExclusion(_) => "MUTABLE_WITH_EXCLUSION",
        }
    }

    pub(super) fn filters(&self) -> &[String] {
        match self {
            Self::Mutable | Self::Immutable => &[],
            Self::ImmutableWithExclusion(filters) | Self::MutableWithExclusion(filters) => filters,
        }
    }
}

/// A manifest in a repository.
#[derive(Clone, Debug)]
pub(super) struct StoredImage {
    pub(super) manifest: Manifest,
    pub(super) parsed: ParsedManifest,
    /// Time of the push in seconds since 1970.
    pub(super) pushed: f64,
}

/// A blob in a repository.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) size: u64,
    /// Digest of the received content. It differs from the blob's name only if wrong digests are accepted.
    pub(super) actual: String,
    /// Content, unless it was too large to keep.
    pub(super) blob: Option<Blob>,
}

/// Settings of a repository.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub(super) mutability: Mutability,
    /// Encryption with keys of KMS. `None` means AES256.
    pub(super) encryption: Option<KmsEncryption>,
    pub(super) scan_on_push: bool,
    /// Tags of the repository itself, not of its images.
    pub(super) resource_tags: BTreeMap<String, String>,
    /// Text of the lifecycle policy.
    pub(super) lifecycle_policy: Option<String>,
    /// Text of the repository policy.
    pub(super) repository_policy: Option<String>,
}

/// Encryption of a repository with a key of KMS.
#[derive(Clone, Debug)]
pub(super) struct KmsEncryption {
    /// `KMS` or `KMS_DSSE`.
    pub(super) kind: String,
    /// ARN of the key.
    pub(super) key: String,
}

/// A repository.
#[derive(Default)]
pub(super) struct Repository {
    pub(super) settings: Settings,
    pub(super) created: f64,
    /// The last lifecycle policy preview.
    pub(super) preview: Option<Preview>,
    /// Scans by the digest of the image.
    pub(super) scans: BTreeMap<String, Scan>,
    pub(super) images: BTreeMap<String, StoredImage>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) layers: HashMap<String, Layer>,
}

impl Repository {
    /// Returns the image with a tag or digest.
    pub(super) fn image(&self, reference: &str) -> Option<&StoredImage> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.images.get(digest)
    }

    /// Returns the tags of an image.
    pub(super) fn tags_of(&self, digest: &str) -> Vec<String> {
        let tagged = self.tags.iter().filter(|(_, named)| *named == digest);
        tagged.map(|(tag, _)| tag.clone()).collect()
    }

    /// Returns true if an image refers to a blob.
    pub(super) fn refers_to(&self, digest: &str) -> bool {
        let mut blobs = self.images.values().flat_map(|image| &image.parsed.blobs);
        blobs.any(|(blob, _)| blob == digest)
    }

    /// Returns the indexes that refer to an image.
    pub(super) fn indexes_of(&self, digest: &str) -> Vec<String> {
        let holds = |image: &&StoredImage| image.parsed.children.iter().any(|child| child == digest);
        self.images.values().filter(holds).map(|image| image.manifest.digest.clone()).collect()
    }
}

/// Account, Region and name of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RepositoryKey {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) repository: String,
}

impl RepositoryKey {
    pub(super) fn new(account: &str, region: &str, repository: &str) -> Self {
        let (account, region) = (account.to_owned(), region.to_owned());
        Self { account, region, repository: repository.to_owned() }
    }

    /// Parses the ARN of a repository.
    pub(super) fn from_arn(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let head = [parts.next()?, parts.next()?, parts.next()?];
        let (region, account) = (parts.next()?, parts.next()?);
        let repository = parts.next()?.strip_prefix("repository/")?;
        let fits = head == ["arn", partition(region), "ecr"];
        fits.then(|| Self::new(account, region, repository))
    }

    pub(super) fn arn(&self) -> String {
        hosts::repository_arn(&self.account, &self.region, &self.repository)
    }
}

/// A push event for an image or tag that a client added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushEvent {
    /// ARN of the repository.
    pub repository: String,
    /// Digest of the image.
    pub digest: String,
    /// New or moved tag.
    pub tag: Option<String>,
}

/// An authorization token.
pub(super) struct AuthorizationToken {
    pub(super) region: String,
    pub(super) expires_at: Instant,
}

/// Content of ECR.
#[derive(Default)]
pub(super) struct State {
    pub(super) repositories: BTreeMap<RepositoryKey, Repository>,
    pub(super) uploads: HashMap<String, UploadSession>,
    pub(super) tokens: HashMap<String, AuthorizationToken>,
    pub(super) rate_limits: RateLimits,
    pub(super) denials: Denials,
    /// Push events, oldest first.
    pub(super) push_events: Vec<PushEvent>,
    /// Pull-through cache rules.
    pub(super) pull_through_rules: Vec<PullThroughRule>,
    /// Repository creation templates by account and Region (both as a key), and prefix.
    pub(super) templates: Vec<Template>,
    /// Maximum number of repositories in an account and Region, if it is not the default quota.
    pub(super) repository_quota: Option<usize>,
    pub(super) blob_mounting: bool,
    pub(super) accepts_wrong_digests: bool,
}

impl State {
    pub(super) fn repository(&mut self, key: &RepositoryKey) -> Result<&mut Repository, ApiError> {
        let missing = || {
            let message = format!(
                "The repository with name '{}' does not exist in the registry with id '{}'",
                key.repository, key.account
            );
            ApiError::new("RepositoryNotFoundException", message)
        };
        self.repositories.get_mut(key).ok_or_else(missing)
    }

    /// Checks permission and rate limit of an action.
    pub(super) fn authorize(
        &mut self,
        caller: &Caller,
        key: &RepositoryKey,
        action: &str,
        resource: &str,
    ) -> Result<(), ApiError> {
        let full = format!("ecr:{}", required_permission(action));
        self.denials.check(caller, &full, resource)?;
        let repository = self.repositories.get(key);
        if let Some(policy) =
            repository.and_then(|repository| repository.settings.repository_policy.as_deref())
        {
            policies::authorize(policy, caller, &full, resource)?;
        }
        if !self.rate_limits.try_acquire(&key.account, &key.region, action, Instant::now()) {
            return Err(ApiError::new("ThrottlingException", "Rate exceeded"));
        }
        Ok(())
    }
}

/// Returns the permission that an action needs. `ListImageReferrers` has none of its own
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ListImageReferrers.html>).
fn required_permission(action: &str) -> &str {
    if action == "ListImageReferrers" { "BatchGetImage" } else { action }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applies_the_filters_of_mutability() {
        let filters = || vec!["sha256-*".to_owned(), "latest".to_owned()];
        for (mutability, latest, signature, release) in [
            (Mutability::Mutable, true, true, true),
            (Mutability::Immutable, false, false, false),
            (Mutability::ImmutableWithExclusion(filters()), true, true, false),
            (Mutability::MutableWithExclusion(filters()), false, false, true),
        ] {
            let moves = ["latest", "sha256-1.sig", "1.0"].map(|tag| mutability.allows_moving(tag));
            assert_eq!(moves, [latest, signature, release], "{mutability:?}");
        }
    }

    #[test]
    fn rejects_an_arn_with_the_wrong_partition() {
        let arn = "arn:aws-cn:ecr:cn-north-1:123456789012:repository/team/app";
        assert_eq!(RepositoryKey::from_arn(arn).unwrap().arn(), arn);
        assert_eq!(RepositoryKey::from_arn("arn:aws:ecr:cn-north-1:123456789012:repository/app"), None);
        assert_eq!(RepositoryKey::from_arn("arn:aws:s3:::bucket"), None);
    }
}
