//! Selects images by tag rules.

use std::collections::HashMap;
use std::pin::pin;

use futures_util::{StreamExt as _, stream};
use image_copy::list::{Entry, MAX_ENTRIES, TagVersion, newest_first};
use image_copy::oci::{Repository, Tag};

use super::images::{Image, Item, Lists, without_duplicates};
use crate::tag_lists::TagLists;

/// The images of lists, after all rules.
pub(crate) struct Selected {
    pub(crate) images: Vec<Image>,
    /// Error lines of rules that select nothing, which are probably wrong. The refresh stack rejects them too.
    pub(crate) failures: Vec<String>,
}

impl Lists {
    /// Lists the tags of each source with rules once, and replaces the rules by the selected images. A source whose
    /// tags cannot be listed remains as an image with the error.
    ///
    /// # Errors
    /// One line for each error. Two images with the same destination are an error.
    pub(crate) async fn select(self, tags: &TagLists<'_>, jobs: usize) -> Result<Selected, Vec<String>> {
        let mut selections = select(&self.items, tags, jobs).await.map_err(|error| vec![error])?;
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for (at, item) in self.items.into_iter().enumerate() {
            match selections.remove(&at) {
                None => images.push(item.image),
                Some(Ok(selected)) => images.extend(selected),
                Some(Err(failure)) => failures.push(failure),
            }
        }
        let mut errors = Vec::new();
        let images = without_duplicates(images, &mut errors);
        if errors.is_empty() { Ok(Selected { images, failures }) } else { Err(errors) }
    }
}

/// Images that rules select, or an error line if there is none.
type Selection = Result<Vec<Image>, String>;

/// Returns the selections of items with rules, by their positions.
///
/// # Errors
/// One line if there are too many images.
async fn select(
    items: &[Item],
    tags: &TagLists<'_>,
    jobs: usize,
) -> Result<HashMap<usize, Selection>, String> {
    let mut positions: HashMap<&Repository, Vec<usize>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        if let Some(entry) = &item.rules {
            positions.entry(&entry.source.repository).or_default().push(at);
        }
    }
    let results = stream::iter(&positions)
        .map(|(repository, positions)| async {
            // The tags are dropped after each repository. There can be 200,000 of them.
            let tags = tags.read(repository).await;
            let selection = |at: &usize| match &tags {
                Ok(tags) => (*at, items[*at].select(tags)),
                Err(error) => {
                    (*at, Ok(vec![Image { tags_error: Some(error.clone()), ..items[*at].image.clone() }]))
                }
            };
            positions.iter().map(selection).collect::<Vec<_>>()
        })
        .buffer_unordered(jobs);
    let mut results = pin!(results.flat_map(stream::iter));
    let mut selections = HashMap::new();
    let mut count = items.iter().filter(|item| item.rules.is_none()).count();
    while let Some((at, selection)) = results.next().await {
        count += selection.as_ref().map_or(0, Vec::len);
        if count > MAX_ENTRIES {
            return Err(format!(
                "the rules select more than {MAX_ENTRIES} images. Add rules, or split the list."
            ));
        }
        selections.insert(at, selection);
    }
    Ok(selections)
}

impl Item {
    fn select(&self, tags: &[Tag]) -> Selection {
        let Some(entry) = &self.rules else { return Ok(vec![self.image.clone()]) };
        // One image more than allowed, so that the limit is reported.
        let selected = entry.select(tags).into_iter().take(MAX_ENTRIES + 1);
        let selected: Vec<Image> = selected.map(|selected| self.image.with_source(selected.source)).collect();
        if selected.is_empty() { Err(nothing_selected(&self.image, entry, tags)) } else { Ok(selected) }
    }
}

/// Explains by the newest release, or by another tag, that the rules select nothing.
fn nothing_selected(image: &Image, entry: &Entry, tags: &[Tag]) -> String {
    let repository = &entry.source.repository;
    let place = image.location();
    let is_other = |tag: &Tag| !TagVersion::parse(tag.as_str()).is_some_and(|version| version.is_release());
    let example = tags.iter().min_by(|a, b| is_other(a).cmp(&is_other(b)).then_with(|| newest_first(a, b)));
    let Some((rules, example)) = entry.rules.as_ref().zip(example) else {
        return format!("{place}: {repository} has no tags. Correct the list.");
    };
    let decisions = rules.decide(std::slice::from_ref(example));
    let reason = decisions.first().map(ToString::to_string).unwrap_or_default();
    format!(
        "{place}: the rules select no tag of {repository}. For example, {example} {reason}. Correct the rules."
    )
}
