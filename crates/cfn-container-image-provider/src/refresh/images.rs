//! Images of a list, with their destinations.

use std::collections::HashMap;

use image_copy::list::{self, Entry, ListError};
use image_copy::oci::Prefix;
use image_copy_aws::{CredentialArn, RepositoryArn};

use crate::failure::{Failure, RefreshFailure};

/// One image of a list, or with rules the images of a repository.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedImage {
    pub(super) entry: Entry,
    pub(super) destination: RepositoryArn,
    pub(super) credentials: Option<CredentialArn>,
}

/// The images of a list.
///
/// `name` is the name of the list in messages.
///
/// # Errors
/// [`RefreshFailure::InvalidList`], also if the list is empty or two images have one destination.
pub(super) fn read(
    name: &str,
    content: &[u8],
    prefix: &Prefix,
    has_state: bool,
) -> Result<Vec<ListedImage>, Failure> {
    let entries = list::parse(name, content).map_err(invalid_list)?;
    if entries.is_empty() {
        return Err(invalid_list(vec![error(
            name,
            1,
            "the list contains no image. Add a reference.".into(),
        )]));
    }
    let mut errors = Vec::new();
    let mut images = Vec::new();
    for entry in entries {
        let line = entry.line;
        match resolve(entry, prefix, has_state) {
            Ok(image) => images.push(image),
            Err(problem) => errors.push(error(name, line, problem)),
        }
    }
    let (images, conflicts) = without_duplicates(images);
    errors.extend(conflicts.into_iter().map(|(image, problem)| error(name, image.entry.line, problem)));
    if errors.is_empty() { Ok(images) } else { Err(invalid_list(errors)) }
}

/// Returns the failure of an invalid list.
pub(super) fn invalid_list(errors: Vec<ListError>) -> Failure {
    Failure::Refresh(Box::new(RefreshFailure::InvalidList(errors)))
}

/// Returns an error in a line of a list.
pub(super) fn error(name: &str, line: usize, problem: String) -> ListError {
    ListError { file: name.into(), line, problem }
}

fn resolve(entry: Entry, prefix: &Prefix, has_state: bool) -> Result<ListedImage, String> {
    let destination = entry.destination(Some(prefix));
    let destination = destination.map_err(|problem| format!("{problem}. Change repository or Prefix."))?;
    let arn = RepositoryArn::from_repository(&destination)
        .ok_or_else(|| format!("{destination} is not a repository of ECR. Change repository."))?;
    let credentials = match &entry.credentials {
        None => None,
        Some(text) => Some(text.parse().map_err(|error| format!("credentials is {error}. Use an ARN."))?),
    };
    if entry.prune && !has_state {
        return Err("prune needs the state table, which the provider does not have. Remove prune.".into());
    }
    Ok(ListedImage { entry, destination: arn, credentials })
}

/// Removes repeated images. Also returns each image whose destination an earlier image has, with the problem.
/// Rules have no destination before their tags are selected.
pub(super) fn without_duplicates(images: Vec<ListedImage>) -> (Vec<ListedImage>, Vec<(ListedImage, String)>) {
    let mut kept: Vec<ListedImage> = Vec::new();
    let mut conflicts = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for image in images {
        if image.entry.rules.is_some() {
            kept.push(image);
            continue;
        }
        let Some(other) = positions.get(&image.key()).map(|at| &kept[*at]) else {
            positions.insert(image.key(), kept.len());
            kept.push(image);
            continue;
        };
        if !other.is_same_copy(&image) {
            let problem = format!(
                "{} and {} (line {}) have the same destination {}. Change repository, or remove one.",
                image.entry.source,
                other.entry.source,
                other.entry.line,
                image.name()
            );
            conflicts.push((image, problem));
        }
    }
    (kept, conflicts)
}

impl ListedImage {
    /// Returns an image with a tag that the rules select.
    pub(super) fn with_entry(&self, entry: Entry) -> Self {
        Self { entry, ..self.clone() }
    }

    /// Returns `<registry>/<repository>:<tag>`, or the repository without a tag.
    pub(super) fn name(&self) -> String {
        let repository = self.destination.repository();
        match &self.entry.tag {
            Some(tag) => repository.with_tag(tag.clone()).to_string(),
            None => repository.to_string(),
        }
    }

    /// Images without a tag are stored by digest, and never replace each other.
    fn key(&self) -> String {
        match &self.entry.tag {
            Some(_) => self.name(),
            None => format!("{}@{}", self.name(), self.entry.source),
        }
    }

    fn is_same_copy(&self, other: &Self) -> bool {
        let Self { entry, destination, credentials } = self;
        let line = entry.line;
        *destination == other.destination
            && *credentials == other.credentials
            && *entry == Entry { line, ..other.entry.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror";

    fn names(list: &str) -> Result<Vec<String>, String> {
        let images = read("list.yaml", list.as_bytes(), &PREFIX.parse().unwrap(), false);
        let names = |images: Vec<ListedImage>| images.iter().map(ListedImage::name).collect();
        images.map(names).map_err(|failure| match failure {
            Failure::Refresh(failure) => match *failure {
                RefreshFailure::InvalidList(errors) => errors[0].to_string(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn images_have_destinations_below_the_prefix() {
        let list = "images:\n  - nginx:1.27\n  - nginx:1.27\n  - source: ghcr.io/acme/app\n    tags: [a, b]\n    repository: team/app\n";
        let expected = ["nginx:1.27", "team/app:a", "team/app:b"].map(|name| format!("{PREFIX}/{name}"));
        assert_eq!(names(list).unwrap(), expected);
    }

    #[test]
    fn each_error_has_its_line() {
        for (list, expected) in [
            ("", "list.yaml:1: the list contains no image. Add a reference."),
            ("nginx:1.27:3", "list.yaml:1: "),
            (
                "nginx:1\n--alias=nginx redis:1\n",
                "list.yaml:2: docker.io/library/redis:1 and docker.io/library/nginx:1 (line 1) have the same destination",
            ),
            ("images:\n  - source: nginx:1\n    credentials: hub\n", "list.yaml:2: credentials is "),
            (
                "images:\n  - source: nginx:1\n    repository: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/other\n",
                "list.yaml:2: the destination 123456789012.dkr.ecr.eu-west-1.amazonaws.com/other is not below",
            ),
            (
                "images:\n  - source: nginx\n    tags: ['1']\n    prune: true\n",
                "list.yaml:3: prune needs the state table",
            ),
        ] {
            let error = names(list).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
