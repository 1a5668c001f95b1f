//! The images of lists and references, each with its destination.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use image_copy::copy::{PlatformSelection, Request};
use image_copy::list::Entry;
use image_copy::oci::{Prefix, Reference, Repository, Tag};
use image_copy::registry;
use image_copy::text::{SanitizedText, name_without_userinfo};

use crate::args::SyncArgs;
use crate::display;
use crate::input_file::STDIN;
use crate::list_file;

/// Maximum length of a quoted argument in characters.
const QUOTE_CHARS: usize = 100;

/// Lists whose rules have not selected images yet.
pub(crate) struct Lists {
    pub(super) items: Vec<Item>,
    /// Number of entries with settings that only the refresh stack uses.
    pub(crate) refresh_settings: usize,
    /// Number of entries with credentials, which the function reads.
    pub(crate) credentials: usize,
}

/// An image, or the images of one repository that rules select.
pub(crate) struct Item {
    /// The image. With rules, its source and its destination have no tag.
    pub(super) image: Image,
    /// The entry with its rules.
    pub(super) rules: Option<Entry>,
}

/// One image to copy.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) request: Request,
    /// Name of the list and line. `None` for an argument.
    pub(crate) origin: Option<(String, usize)>,
    /// True if the list contains the registry of the destination.
    pub(crate) has_complete_destination: bool,
    /// Error of the list of tags, from which rules could not select images.
    pub(crate) tags_error: Option<registry::Error>,
}

impl Lists {
    /// Returns the repositories of all sources and destinations.
    pub(crate) fn repositories(&self) -> impl Iterator<Item = &Repository> {
        let requests = self.items.iter().map(|item| &item.image.request);
        requests.flat_map(|request| [&request.destination, &request.source.repository])
    }

    /// Returns the repositories of all destinations.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = &Repository> {
        self.items.iter().map(|item| &item.image.request.destination)
    }
}

impl Image {
    /// Returns the image of another tag, which keeps its name.
    pub(super) fn with_source(&self, source: Reference) -> Self {
        let request = Request { tag: source.tag.clone(), source, ..self.request.clone() };
        Self { request, ..self.clone() }
    }

    /// Returns `images.txt:3`, or an empty text for an argument.
    pub(crate) fn location(&self) -> String {
        self.origin.as_ref().map(|(list, line)| format!("{list}:{line}")).unwrap_or_default()
    }
}

/// Settings of images that a list does not contain.
pub(crate) struct ListOptions<'a> {
    pub(crate) to: Option<&'a Prefix>,
    pub(crate) platforms: &'a PlatformSelection,
    pub(crate) include_referrers: bool,
    /// True if images of any age are copied.
    pub(crate) ignores_min_age: bool,
}

/// Reads all lists and references.
///
/// # Errors
/// One line for each error.
pub(crate) fn read(args: &SyncArgs) -> Result<Lists, Vec<String>> {
    let mut items = Vec::new();
    let mut errors = Vec::new();
    let mut seen = HashSet::new();
    let (mut refresh_settings, mut credentials) = (0, 0);
    let options = ListOptions {
        to: args.to.as_ref(),
        platforms: &args.platform,
        include_referrers: args.reading.include_referrers,
        ignores_min_age: args.ignore_min_age,
    };
    for argument in args.images.iter().filter(|argument| seen.insert(*argument)) {
        match read_argument(argument) {
            Ok((name, entries)) => {
                credentials += entries.iter().filter(|entry| entry.credentials.is_some()).count();
                refresh_settings += entries.iter().filter(|entry| entry.prune || entry.is_shared).count();
                items.extend(items_of_entries(name.as_deref(), entries, &options, &mut errors));
            }
            Err(lines) => errors.extend(lines),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    if items.is_empty() {
        return Err(args.images.iter().map(|argument| list_file::no_image(argument)).collect());
    }
    Ok(Lists { items, refresh_settings, credentials })
}

/// Returns the images of a list without tag rules.
///
/// # Errors
/// One line for each error. Two images with the same destination are an error, and so are tag rules.
pub(crate) fn images_of_list(
    name: &str,
    content: &[u8],
    options: &ListOptions<'_>,
) -> Result<Vec<Image>, Vec<String>> {
    let entries = list_file::entries(name, content)?;
    let mut errors = Vec::new();
    let items = items_of_entries(Some(name), entries, options, &mut errors);
    if let Some(Item { image, .. }) = items.iter().find(|item| item.rules.is_some()) {
        let problem = "tag rules are not supported here. List the tags, or run sync with --dry-run.";
        errors.push(format!("{}: {problem}", image.location()));
    }
    let images = without_duplicates(items.into_iter().map(|item| item.image).collect(), &mut errors);
    if errors.is_empty() { Ok(images) } else { Err(errors) }
}

/// Returns the items of the entries. A missing option is one error, not one for each image.
fn items_of_entries(
    list: Option<&str>,
    entries: Vec<Entry>,
    options: &ListOptions<'_>,
    errors: &mut Vec<String>,
) -> Vec<Item> {
    let has_no_destination = |entry: &&Entry| options.to.is_none() && entry.destination(None).is_err();
    let is_too_young = |entry: &&Entry| !options.ignores_min_age && entry.min_age.is_some();
    let first = entries.iter().find(has_no_destination).or_else(|| entries.iter().find(is_too_young));
    if let Some(entry) = first {
        errors.extend(image(options, list, entry.clone()).err());
        return Vec::new();
    }
    let mut items = Vec::new();
    for entry in entries {
        let rules = entry.rules.is_some().then(|| entry.clone());
        match image(options, list, entry) {
            Ok(image) => items.push(Item { image, rules }),
            Err(line) => errors.push(line),
        }
    }
    items
}

/// Returns the entries of a list with its name, or of a reference without a name.
fn read_argument(argument: &str) -> Result<(Option<String>, Vec<Entry>), Vec<String>> {
    let path = Path::new(argument);
    let is_file = argument == STDIN || path.exists() && !path.is_dir();
    let is_path = argument.starts_with(['.', '/']);
    if is_file || is_path || list_file::has_list_ending(argument) {
        return list_file::read(argument).map(|(name, entries)| (Some(name), entries));
    }
    if path.is_dir() {
        let name = display::path(path);
        return Err(vec![format!("{name} is a folder. Pass a list, or add the tag of an image.")]);
    }
    let source: Reference = argument.parse().map_err(|error| {
        let quoted = SanitizedText::quotable(&name_without_userinfo(argument), QUOTE_CHARS);
        vec![format!("\"{quoted}\" is neither a file nor a reference: {error}.")]
    })?;
    Ok((None, vec![Entry::new(source, 1)]))
}

/// Resolves the destination of an entry.
fn image(options: &ListOptions<'_>, list: Option<&str>, entry: Entry) -> Result<Image, String> {
    let line = entry.line;
    let located = |problem: String| match list {
        Some(list) => format!("{list}:{line}: {problem}"),
        None => problem,
    };
    let has_complete_destination = entry.destination(None).is_ok();
    let destination = entry.destination(options.to).map_err(|problem| {
        let hint = if options.to.is_some() { "Change --to or the list" } else { "Add --to" };
        located(format!("{problem}. {hint}."))
    })?;
    if entry.min_age.is_some() && !options.ignores_min_age {
        let problem = "min_age needs the state table of the refresh stack. Pass --ignore-min-age to copy images \
                       of any age.";
        return Err(located(problem.into()));
    }
    if entry.customization.is_some() && options.include_referrers {
        let problem = "customize changes the image, which its signatures and attestations do not describe. Remove \
                       customize or --include-referrers.";
        return Err(located(problem.into()));
    }
    let request = Request {
        source: entry.source,
        destination,
        tag: entry.tag,
        platforms: entry.platforms.unwrap_or_else(|| options.platforms.clone()),
        earlier_copies: Vec::new(),
        include_referrers: options.include_referrers,
        customization: entry.customization,
    };
    let origin = list.map(|list| (list.to_owned(), line));
    Ok(Image { request, origin, has_complete_destination, tags_error: None })
}

/// Removes repeated images. Adds an error for each image whose destination another image has.
pub(super) fn without_duplicates(images: Vec<Image>, errors: &mut Vec<String>) -> Vec<Image> {
    let mut kept: Vec<Image> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for image in images {
        let request = &image.request;
        // Images without a tag are stored by digest, and never replace each other.
        let by_digest = || format!("{}@{}", request.destination_name(), request.source);
        let key = if request.tag.is_some() { request.destination_name() } else { by_digest() };
        let Some(other) = positions.get(&key).map(|at| &kept[*at]) else {
            positions.insert(key, kept.len());
            kept.push(image);
            continue;
        };
        if other.request != image.request {
            errors.push(conflict(other, &image));
        }
    }
    kept
}

fn conflict(first: &Image, second: &Image) -> String {
    let named = |image: &Image| match image.location() {
        location if location.is_empty() => image.request.source.to_string(),
        location => format!("{} ({location})", image.request.source),
    };
    let tag = second.request.tag.as_ref().map(Tag::as_str).unwrap_or_default();
    let problem = if first.request.source != second.request.source {
        "the same destination"
    } else if first.request.customization != second.request.customization {
        "different lines in customize for"
    } else {
        "different platforms for"
    };
    format!(
        "{} and {} have {problem} {}:{tag}. Remove one, or change its repository (--alias in a plain list).",
        named(first),
        named(second),
        second.request.destination
    )
}
