//! Images of a refresh stack's list, with their destinations. No I/O.

use std::collections::HashMap;

use image_copy::list::{self, Entry, ListError};
use image_copy::oci::Prefix;

use crate::{CredentialArn, RepositoryArn};

/// One image of a list, or with rules the images of a repository.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedImage {
    /// Entry of the list.
    pub entry: Entry,
    /// Repository to copy to.
    pub destination: RepositoryArn,
    /// Credentials for the source.
    pub credentials: Option<CredentialArn>,
}

impl ListedImage {
    /// Returns the images of a list.
    ///
    /// `name` is the name of the list in messages, and `prefix` the beginning of all destinations. `has_state` is
    /// true if the provider has the state table, which `prune` needs.
    ///
    /// # Errors
    /// The errors of [`list::parse`], or one for each image that the function cannot copy. An empty list is an error,
    /// and so are two images with one destination.
    pub fn read_list(
        name: &str,
        content: &[u8],
        prefix: &Prefix,
        has_state: bool,
    ) -> Result<Vec<Self>, Vec<ListError>> {
        let error = |line, problem| ListError { file: name.into(), line, problem };
        let entries = list::parse(name, content)?;
        if entries.is_empty() {
            return Err(vec![error(1, "the list contains no image. Add a reference.".into())]);
        }
        let mut errors = Vec::new();
        let mut images = Vec::new();
        for entry in entries {
            let line = entry.line;
            match resolve(entry, prefix, has_state) {
                Ok(image) => images.push(image),
                Err(problem) => errors.push(error(line, problem)),
            }
        }
        let (images, conflicts) = Self::without_duplicates(images);
        errors.extend(conflicts.into_iter().map(|(image, problem)| error(image.entry.line, problem)));
        if errors.is_empty() { Ok(images) } else { Err(errors) }
    }

    /// Removes repeated images. Also returns each image whose destination an earlier image has, with the problem.
    /// Rules have no destination before their tags are selected.
    #[must_use]
    pub fn without_duplicates(images: Vec<Self>) -> (Vec<Self>, Vec<(Self, String)>) {
        let mut kept: Vec<Self> = Vec::new();
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

    /// Returns an image with a tag that the rules select.
    #[must_use]
    pub fn with_entry(&self, entry: Entry) -> Self {
        Self { entry, ..self.clone() }
    }

    /// Returns `<registry>/<repository>:<tag>`, or the repository without a tag.
    #[must_use]
    pub fn name(&self) -> String {
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

fn resolve(entry: Entry, prefix: &Prefix, has_state: bool) -> Result<ListedImage, String> {
    let destination = entry.destination(Some(prefix));
    let destination = destination.map_err(|problem| format!("{problem}. Change repository in the list."))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror";

    fn names(list: &str) -> Result<Vec<String>, String> {
        let images = ListedImage::read_list("list.yaml", list.as_bytes(), &PREFIX.parse().unwrap(), false);
        let names = |images: Vec<ListedImage>| images.iter().map(ListedImage::name).collect();
        images.map(names).map_err(|errors| errors[0].to_string())
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
