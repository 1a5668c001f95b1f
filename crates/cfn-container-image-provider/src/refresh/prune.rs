//! Tags in ECR that a list owns and no longer selects.

use std::collections::{BTreeMap, HashSet};

use futures_util::{StreamExt as _, stream};
use image_copy::copy::{self, Operation, Side};
use image_copy::oci::{Reference, Repository, Tag};
use image_copy_aws::{Owner, StateTable};
use tokio::time::timeout_at;

use super::RefreshContext;
use super::images::ListedImage;
use super::items::Deletion;
use super::selection::SelectedImage;
use crate::failure::{Failure, RefreshFailure};

/// Items of the state table that are read at the same time.
const CONCURRENT_READS: usize = 8;

/// A repository in ECR from which tags are deleted.
struct PrunedRepository<'a> {
    /// An image of the list with this repository.
    image: &'a ListedImage,
    /// Sources whose tags were all read. Copies from other sources stay.
    sources: HashSet<Repository>,
    /// Tags that the list selects, from any source.
    selected: HashSet<Tag>,
}

/// Deletions, and the repositories for which they are not known.
#[derive(Default)]
pub(super) struct Pruning {
    pub(super) deletions: Vec<Deletion>,
    pub(super) failures: Vec<(ListedImage, Failure)>,
}

/// Finds the tags to delete.
///
/// # Errors
/// [`RefreshFailure::Timeout`].
pub(super) async fn find(
    selected: &[SelectedImage],
    owner: &Owner,
    context: &RefreshContext<'_>,
) -> Result<Pruning, Failure> {
    let mut pruning = Pruning::default();
    // Without the table, images with `prune` are errors of the list.
    let Some(table) = &context.services.clients.state_table else { return Ok(pruning) };
    let repositories = repositories(selected);
    let (count, deadlines) = (repositories.len(), &context.deadlines);
    for (finished, repository) in repositories.into_iter().enumerate() {
        let Ok(found) = timeout_at(deadlines.work, find_in(&repository, owner, table, context)).await else {
            let seconds = deadlines.started.elapsed().as_secs();
            return Err(Failure::Refresh(Box::new(RefreshFailure::Timeout { seconds, finished, count })));
        };
        match found {
            Ok(deletions) => pruning.deletions.extend(deletions),
            Err(failure) => pruning.failures.push((repository.image.clone(), failure)),
        }
    }
    Ok(pruning)
}

/// Returns the repositories with sources that are pruned. A source is not pruned if its tags could not be read, or
/// if rules selected nothing, because an error of the registry or in the rules would then delete everything.
fn repositories(selected: &[SelectedImage]) -> Vec<PrunedRepository<'_>> {
    let mut by_name: BTreeMap<String, PrunedRepository<'_>> = BTreeMap::new();
    let mut incomplete = HashSet::new();
    for SelectedImage { listed, images } in selected {
        let (name, source) = (listed.destination.to_string(), &listed.entry.source.repository);
        let repository = by_name.entry(name.clone()).or_insert_with(|| PrunedRepository {
            image: listed,
            sources: HashSet::new(),
            selected: HashSet::new(),
        });
        let images = images.as_deref().unwrap_or_default();
        if images.is_empty() {
            incomplete.insert((name, source.clone()));
        }
        repository.selected.extend(images.iter().filter_map(|image| image.entry.tag.clone()));
        if listed.entry.prune {
            repository.sources.insert(source.clone());
        }
    }
    let complete = by_name.into_iter().map(|(name, mut repository)| {
        repository.sources.retain(|source| !incomplete.contains(&(name.clone(), source.clone())));
        repository
    });
    complete.filter(|repository| !repository.sources.is_empty()).collect()
}

async fn find_in(
    repository: &PrunedRepository<'_>,
    owner: &Owner,
    table: &StateTable,
    context: &RefreshContext<'_>,
) -> Result<Vec<Deletion>, Failure> {
    let destination = &repository.image.destination;
    let ecr = context.services.clients.ecr.repository(destination, Some(context.deadlines.work));
    let tags = ecr.tags().await.map_err(|cause| {
        Failure::Copy(Box::new(copy::Failure::Registry {
            side: Side::Destination,
            operation: Operation::ListTags,
            subject: destination.repository().to_string(),
            cause,
        }))
    })?;
    let candidates = tags.into_iter().filter(|tag| !repository.selected.contains(tag));
    let reads = candidates.map(|tag| async {
        let image = destination.repository().with_tag(tag.clone()).to_string();
        (tag, table.get(&image).await)
    });
    let mut reads = stream::iter(reads).buffered(CONCURRENT_READS);
    let mut deletions = Vec::new();
    while let Some((tag, item)) = reads.next().await {
        let item =
            item.map_err(|cause| Failure::Refresh(Box::new(RefreshFailure::StateUnavailable(cause))))?;
        let Some(item) = item.filter(|item| item.owners.contains_key(owner)) else { continue };
        let Some(copy) = item.copies_of(owner).next() else { continue };
        let source = copy.source.parse::<Reference>().ok();
        if let Some(source) = source.filter(|source| repository.sources.contains(&source.repository)) {
            deletions.push(Deletion { source, destination: destination.clone(), tag });
        }
    }
    Ok(deletions)
}
