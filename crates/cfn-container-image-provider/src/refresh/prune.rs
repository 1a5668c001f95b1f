//! Tags in ECR that a list owns and no longer selects.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use image_copy::copy::{self, Operation, Side};
use image_copy::oci::{Reference, Repository, Tag};
use image_copy_aws::{ListedImage, Owner, StateTable};
use tokio::time::timeout_at;

use super::RefreshContext;
use super::items::Deletion;
use super::selection::SelectedImage;
use crate::failure::{Failure, RefreshFailure};

/// Items of the state table that are read at the same time.
const CONCURRENT_READS: usize = 8;

/// A repository in ECR, with the sources that the list copies to it.
struct PrunedRepository<'a> {
    /// An image of the list with this repository.
    image: &'a ListedImage,
    sources: HashMap<&'a Repository, PrunedSource>,
}

/// A source, with the tags that the list selects from it.
#[derive(Default)]
struct PrunedSource {
    selected: HashSet<Tag>,
    /// True if an entry of the list has `prune`.
    prune: bool,
    /// True if the tags of an entry could not be read, or if its rules selected nothing. An error of the registry
    /// or in the rules would then delete everything.
    is_incomplete: bool,
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

/// Returns the repositories from which tags can be deleted.
fn repositories(selected: &[SelectedImage]) -> Vec<PrunedRepository<'_>> {
    let mut by_name: BTreeMap<String, PrunedRepository<'_>> = BTreeMap::new();
    for SelectedImage { listed, images } in selected {
        let new = || PrunedRepository { image: listed, sources: HashMap::new() };
        let repository = by_name.entry(listed.destination.to_string()).or_insert_with(new);
        let source = repository.sources.entry(&listed.entry.source.repository).or_default();
        let images = images.as_deref().unwrap_or_default();
        source.selected.extend(images.iter().filter_map(|image| image.entry.tag.clone()));
        source.prune |= listed.entry.prune;
        source.is_incomplete |= images.is_empty();
    }
    by_name
        .into_values()
        .filter(|repository| repository.sources.values().any(PrunedSource::can_prune))
        .collect()
}

impl PrunedSource {
    fn can_prune(&self) -> bool {
        self.prune && !self.is_incomplete
    }

    /// Returns true if all selected tags exist. Until then, older tags stay, because the new ones can wait for their
    /// minimum age or fail.
    fn is_copied(&self, existing: &HashSet<Tag>) -> bool {
        self.can_prune() && self.selected.is_subset(existing)
    }
}

async fn find_in(
    repository: &PrunedRepository<'_>,
    owner: &Owner,
    table: &StateTable,
    context: &RefreshContext<'_>,
) -> Result<Vec<Deletion>, Failure> {
    let destination = &repository.image.destination;
    let ecr = context.services.clients.ecr.repository(destination, Some(context.deadlines.work));
    let existing = ecr.tags().await.map_err(|cause| {
        Failure::Copy(Box::new(copy::Failure::Registry {
            side: Side::Destination,
            operation: Operation::ListTags,
            subject: destination.repository().to_string(),
            cause,
        }))
    })?;
    let existing: HashSet<Tag> = existing.into_iter().collect();
    let sources = &repository.sources;
    if !sources.values().any(|source| source.is_copied(&existing)) {
        return Ok(Vec::new());
    }
    let is_selected = |tag: &Tag| sources.values().any(|source| source.selected.contains(tag));
    let mut candidates: Vec<&Tag> = existing.iter().filter(|tag| !is_selected(tag)).collect();
    candidates.sort_unstable_by_key(|tag| tag.as_str());
    let reads = candidates.into_iter().map(|tag| async {
        let tag = tag.clone();
        let image = destination.repository().with_tag(tag.clone()).to_string();
        (tag, table.get(&image).await)
    });
    let mut reads = stream::iter(reads).buffered(CONCURRENT_READS);
    let mut deletions = Vec::new();
    while let Some((tag, item)) = reads.next().await {
        let item =
            item.map_err(|cause| Failure::Refresh(Box::new(RefreshFailure::StateUnavailable(cause))))?;
        let copy = item.as_ref().and_then(|item| item.current_copy(owner));
        let source = copy.and_then(|copy| copy.source.parse::<Reference>().ok());
        let is_pruned = |source: &Reference| {
            sources.get(&source.repository).is_some_and(|source| source.is_copied(&existing))
        };
        if let Some(source) = source.filter(is_pruned) {
            deletions.push(Deletion { source, destination: destination.clone(), tag });
        }
    }
    Ok(deletions)
}
