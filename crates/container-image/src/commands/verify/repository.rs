//! All checks of the images in one repository.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt as _, stream};
use image_copy::oci::{self, Digest, Platform};
use image_copy::registry::Error;
use image_copy_aws::{EcrRepository, ImageScan, SelectedImage, Severity};

use super::content::{self, Content, Store};
use super::images::ReliedImage;
use super::notes::{Check, Note, Unchecked};
use crate::connection::Connection;

/// State of a repository.
pub(super) struct RepositoryState {
    /// `None` if the images cannot be read.
    pub(super) content: Option<Content>,
    /// Images that the lifecycle policy is about to remove, by digest.
    pub(super) expiring: HashMap<Digest, SelectedImage>,
    /// Findings by digest of an image. Images without a complete scan are missing.
    pub(super) findings: HashMap<Digest, Findings>,
}

/// Number of findings of each severity.
pub(crate) type Counts = BTreeMap<Severity, u64>;

/// Findings of the scan of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Findings {
    pub(crate) counts: Counts,
    /// Platform of the image in an index.
    pub(crate) platform: Option<Platform>,
}

/// Reads a repository. Without AWS credentials, private ECR is read only through the registry API.
pub(super) async fn read(
    connection: &Connection,
    name: &oci::Repository,
    images: &[&ReliedImage],
    jobs: usize,
    notes: &mut Vec<Note>,
) -> RepositoryState {
    let ecr = connection.ecr_repository(name).await;
    let store = match &ecr {
        Some(repository) => Store::Ecr(repository.clone()),
        None => Store::Registry(connection.client.repository(name.clone(), None)),
    };
    let mut state = RepositoryState { content: None, expiring: HashMap::new(), findings: HashMap::new() };
    let mut unchecked = |check, cause| {
        notes.push(Note::Unchecked(Unchecked { check, subject: name.to_string(), cause }));
    };
    let content = match content::read(&store, images).await {
        Ok((content, failed)) => {
            failed.into_iter().for_each(|cause| unchecked(Check::Blobs, cause));
            content
        }
        Err(cause) => {
            unchecked(Check::Images, cause);
            return state;
        }
    };
    if content.is_empty() {
        state.content = Some(content);
        return state;
    }
    match connection.signed_ecr_repository(name).await {
        None => {}
        Some(repository) => {
            match repository.lifecycle_preview().await {
                Ok(selected) => {
                    let selected = selected.unwrap_or_default().into_iter();
                    state.expiring = selected.map(|image| (image.digest.clone(), image)).collect();
                }
                Err(cause) => unchecked(Check::Lifecycle, cause),
            }
            match findings(&repository, &content, images, jobs).await {
                Ok(findings) => state.findings = findings,
                Err(cause) => unchecked(Check::Findings, cause),
            }
        }
    }
    state.content = Some(content);
    state
}

/// Returns the findings of all images with a complete scan.
async fn findings(
    repository: &EcrRepository,
    content: &Content,
    images: &[&ReliedImage],
    jobs: usize,
) -> Result<HashMap<Digest, Findings>, Error> {
    let mut platforms: BTreeMap<Digest, Option<Platform>> = BTreeMap::new();
    for image in images {
        let named = content.named(&image.name).into_iter();
        let copied = image.copies.iter().filter_map(|copy| content.manifest(copy.digest.as_ref()?));
        for root in named.chain(copied) {
            for (manifest, descriptor) in content.images_of(root) {
                let platform = descriptor.and_then(|descriptor| descriptor.platform.clone());
                platforms.entry(manifest.digest.clone()).or_insert(platform);
            }
        }
    }
    let scans = stream::iter(platforms)
        .map(|(digest, platform)| async move {
            let scan = repository.image_scan(&digest).await;
            (digest, platform, scan)
        })
        .buffer_unordered(jobs);
    let mut scans = std::pin::pin!(scans);
    let mut findings = HashMap::new();
    while let Some((digest, platform, scan)) = scans.next().await {
        match scan {
            Ok(ImageScan::Complete(counts)) => {
                findings.insert(digest, Findings { counts, platform });
            }
            Ok(_) => {}
            // Deleted meanwhile.
            Err(error) if error.has_code("ImageNotFoundException") => {}
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}
