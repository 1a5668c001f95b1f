//! Tags that the rules of a list select.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use image_copy::copy::{self, Operation, Side};
use image_copy::oci::{Repository, Tag};
use image_copy::registry;
use image_copy_aws::{AllowedSources, CredentialArn, ListedImage};
use tokio::time::{Instant, timeout_at};

use crate::clients::Clients;
use crate::deadline::Deadlines;
use crate::failure::{Failure, RefreshFailure};

/// Repositories whose tags are listed at the same time.
const CONCURRENT_LISTS: usize = 4;

/// Time for the tags of one repository, so that one throttled registry does not use up the invocation. The largest
/// lists have a few hundred pages.
const LIST_TIME: Duration = Duration::from_secs(120);

/// An image of the list with the images that it selects.
pub(super) struct SelectedImage {
    pub(super) listed: ListedImage,
    /// The image itself, or the tags that its rules select.
    pub(super) images: Result<Vec<ListedImage>, Failure>,
}

/// A repository whose tags are listed once.
struct TagSource {
    repository: Repository,
    credentials: Option<CredentialArn>,
    /// Positions of the images in the list.
    positions: Vec<usize>,
}

/// Lists the tags of all repositories with rules, and selects.
///
/// # Errors
/// [`RefreshFailure::Timeout`].
pub(super) async fn select(
    listed: Vec<ListedImage>,
    allowed: &AllowedSources,
    clients: &Clients,
    deadlines: &Deadlines,
) -> Result<Vec<SelectedImage>, Failure> {
    let mut selected: Vec<Option<Result<Vec<ListedImage>, Failure>>> = listed
        .iter()
        .map(|image| match allowed.check(&image.entry.source) {
            Err(error) => Some(Err(Failure::SourceNotAllowed(error))),
            Ok(()) if image.entry.rules.is_none() => Some(Ok(vec![image.clone()])),
            Ok(()) => None,
        })
        .collect();
    let without_result = selected.iter().enumerate().filter(|(_, result)| result.is_none());
    let sources = tag_sources(&listed, without_result.map(|(position, _)| position));
    let (count, mut finished) = (sources.len(), 0);
    let lists = sources.into_iter().map(|source| async {
        let tags = list_tags(&source, clients, deadlines).await;
        (source.positions, tags)
    });
    let mut lists = stream::iter(lists).buffer_unordered(CONCURRENT_LISTS);
    loop {
        let Ok(next) = timeout_at(deadlines.work, lists.next()).await else {
            let seconds = deadlines.started.elapsed().as_secs();
            return Err(Failure::Refresh(Box::new(RefreshFailure::Timeout { seconds, finished, count })));
        };
        let Some((positions, tags)) = next else { break };
        finished += 1;
        for position in positions {
            selected[position] = Some(match &tags {
                Ok(tags) => select_tags(&listed[position], tags),
                Err(failure) => Err(failure.clone()),
            });
        }
    }
    drop(lists);
    let selected = selected.into_iter().map(|images| images.expect("each list of tags has ended"));
    Ok(listed.into_iter().zip(selected).map(|(listed, images)| SelectedImage { listed, images }).collect())
}

/// # Errors
/// [`RefreshFailure::NothingSelected`], because the rules of such an image are probably wrong.
fn select_tags(image: &ListedImage, tags: &[Tag]) -> Result<Vec<ListedImage>, Failure> {
    let selected = image.entry.select(tags);
    if selected.is_empty() {
        let repository = image.entry.source.repository.to_string();
        let failure = RefreshFailure::NothingSelected { repository, tags: tags.len() };
        return Err(Failure::Refresh(Box::new(failure)));
    }
    Ok(selected.into_iter().map(|entry| image.with_entry(entry)).collect())
}

/// Groups images by repository and credentials, in the order of the list.
fn tag_sources(listed: &[ListedImage], positions: impl Iterator<Item = usize>) -> Vec<TagSource> {
    let mut sources: Vec<TagSource> = Vec::new();
    for position in positions {
        let ListedImage { entry, credentials, .. } = &listed[position];
        let repository = &entry.source.repository;
        let same =
            |source: &&mut TagSource| source.repository == *repository && source.credentials == *credentials;
        match sources.iter_mut().find(same) {
            Some(source) => source.positions.push(position),
            None => sources.push(TagSource {
                repository: repository.clone(),
                credentials: credentials.clone(),
                positions: vec![position],
            }),
        }
    }
    sources
}

async fn list_tags(
    source: &TagSource,
    clients: &Clients,
    deadlines: &Deadlines,
) -> Result<Vec<Tag>, Failure> {
    let TagSource { repository, credentials, .. } = source;
    let deadline = deadlines.abort.min(Instant::now() + LIST_TIME);
    let (registries, credentials) = clients.source(credentials.clone(), repository, deadline);
    let listed = registries.repository(repository.clone(), Some(deadline)).list_tags().await;
    listed.map_err(|cause| {
        let is_secret = matches!(cause, registry::Error::Credentials(_));
        let failure = Box::new(copy::Failure::Registry {
            side: Side::Source,
            operation: Operation::ListTags,
            subject: repository.to_string(),
            cause,
        });
        match credentials.problem().filter(|_| is_secret) {
            Some(problem) => Failure::Secret { failure, problem: Box::new(problem) },
            None => Failure::Copy(failure),
        }
    })
}
