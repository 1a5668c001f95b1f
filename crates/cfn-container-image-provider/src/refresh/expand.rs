//! From a list to direct events.

use bytes::Bytes;
use image_copy::list::{ListError, MAX_ENTRIES, MAX_LIST_BYTES, MAX_TOTAL_CUSTOMIZE_BYTES};
use image_copy_aws::ListedImage;
use serde_json::{Value, json};

use super::failures::FailedImage;
use super::items::{copy_event, delete_event, interleave};
use super::objects::RunObjects;
use super::selection::SelectedImage;
use super::{RefreshContext, prune, selection};
use crate::failure::{Failure, ObjectAccess, RefreshFailure};
use crate::input::refresh::{ExpandEvent, ListSource};
use crate::logging::refresh::RefreshCounts;

/// Expands a list, and writes the events and the failures.
pub(super) async fn run(
    event: &ExpandEvent,
    context: &RefreshContext<'_>,
) -> Result<(Value, RefreshCounts), Failure> {
    let clients = &context.services.clients;
    let settings = clients.settings.copy.as_ref().map_err(|error| Failure::Setting(error.clone()))?;
    let objects = context.objects();
    let (name, content) = read_list(&event.list, &objects).await?;
    let listed = ListedImage::read_list(name, &content, &event.prefix, clients.state_table.is_some())
        .map_err(invalid_list)?;
    let selected = selection::select(listed, &settings.allowed_sources, clients, &context.deadlines).await?;
    let pruning = prune::find(&selected, &event.owner, context).await?;
    let mut failures = Vec::new();
    let mut all = Vec::new();
    for SelectedImage { listed, images } in selected {
        match images {
            Ok(images) => all.extend(images),
            Err(failure) => failures.push(FailedImage::new(&listed, &failure, context)),
        }
    }
    let failed = pruning.failures.iter();
    failures.extend(failed.map(|(image, failure)| FailedImage::new(image, failure, context)));
    let (mut images, conflicts) = ListedImage::without_duplicates(all);
    for (image, problem) in conflicts {
        let failure = invalid_list(vec![error(name, image.entry.line, problem)]);
        failures.push(FailedImage::new(&image, &failure, context));
    }
    if images.len() > MAX_ENTRIES {
        let count = images.len();
        let problem =
            format!("the list selects {count} images, more than {MAX_ENTRIES}. Add newest to its rules.");
        return Err(invalid_list(vec![error(name, 1, problem)]));
    }
    if images.iter().map(|image| image.entry.customize_bytes()).sum::<usize>() > MAX_TOTAL_CUSTOMIZE_BYTES {
        let limit = MAX_TOTAL_CUSTOMIZE_BYTES >> 20;
        let problem = format!(
            "the lines in customize have more than {limit} MiB for all selected images. Add newest to the rules, or \
             shorten the lines."
        );
        return Err(invalid_list(vec![error(name, 1, problem)]));
    }
    interleave(&mut images);
    let copies = images.iter().map(|image| copy_event(image, &event.owner));
    let deletes = pruning.deletions.iter().map(|deletion| delete_event(deletion, &event.owner));
    let items: Vec<Value> = copies.chain(deletes).collect();
    objects.write_json(&event.failures, &failures).await?;
    objects.write_json(&event.items, &items).await?;
    let counts = RefreshCounts {
        outcome: "expanded",
        images: images.len(),
        deletes: pruning.deletions.len(),
        failed: failures.len(),
    };
    let result = json!({
        "Images": counts.images,
        "Deletes": counts.deletes,
        "Failures": counts.failed,
        "Items": event.items,
        "FailuresObject": event.failures,
    });
    Ok((result, counts))
}

fn invalid_list(errors: Vec<ListError>) -> Failure {
    Failure::Refresh(Box::new(RefreshFailure::InvalidList(errors)))
}

/// Returns an error in a line of a list.
fn error(name: &str, line: usize, problem: String) -> ListError {
    ListError { file: name.into(), line, problem }
}

/// Returns the list with its name in messages.
async fn read_list<'a>(list: &'a ListSource, objects: &RunObjects) -> Result<(&'a str, Bytes), Failure> {
    match list {
        ListSource::Text(text) => Ok(("list", text.clone().into())),
        ListSource::Object(location) => {
            let limit = MAX_LIST_BYTES as u64;
            let content = objects.read(location, limit, ObjectAccess::ReadList).await?;
            let name = location.key.rsplit('/').next().filter(|name| !name.is_empty());
            Ok((name.unwrap_or(&location.key), content))
        }
    }
}
