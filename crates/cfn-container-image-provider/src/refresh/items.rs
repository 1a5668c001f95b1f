//! Direct events for the images of a list (docs/direct.md).

use std::collections::HashMap;

use image_copy::copy::PlatformSelection;
use image_copy::list::format_age;
use image_copy::oci::{Reference, Registry, Tag};
use image_copy_aws::{ListedImage, Owner, RepositoryArn};
use serde_json::{Value, json};

/// A tag that is deleted, because the list no longer selects it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deletion {
    /// Source of its newest copy.
    pub(super) source: Reference,
    pub(super) destination: RepositoryArn,
    pub(super) tag: Tag,
}

/// Returns the event that copies an image.
pub(super) fn copy_event(image: &ListedImage, owner: &Owner) -> Value {
    let ListedImage { entry, destination, credentials } = image;
    let mut event = json!({
        "ImageReference": entry.source.to_string(),
        "RepositoryArn": destination.to_string(),
        "Owner": owner.name(),
    });
    if let Some(tag) = &entry.tag {
        event["Tag"] = json!(tag.as_str());
    }
    if let Some(platforms) = entry.platforms.as_ref().and_then(platform) {
        event["Platform"] = platforms;
    }
    if let Some(lines) = &entry.customization {
        event["Customize"] = json!(lines.text());
    }
    if let Some(credentials) = credentials {
        event["CredentialArn"] = json!(credentials.to_string());
    }
    if let Some(age) = entry.min_age {
        event["MinAge"] = json!(format_age(age));
    }
    if entry.is_shared {
        event["Shared"] = json!(true);
    }
    event
}

/// Returns the event that deletes a tag.
pub(super) fn delete_event(deletion: &Deletion, owner: &Owner) -> Value {
    json!({
        "Action": "delete",
        "ImageReference": deletion.source.to_string(),
        "RepositoryArn": deletion.destination.to_string(),
        "Tag": deletion.tag.as_str(),
        "Owner": owner.name(),
    })
}

/// Returns the property `Platform`. `None` means the provider's default.
fn platform(selection: &PlatformSelection) -> Option<Value> {
    match selection {
        PlatformSelection::All => Some(json!("all")),
        PlatformSelection::One(platform) => Some(json!(platform.to_string())),
        PlatformSelection::Several(platforms) => {
            Some(json!(platforms.iter().map(ToString::to_string).collect::<Vec<_>>()))
        }
        PlatformSelection::Preferred(_) => None,
    }
}

/// Distributes the images of each source registry evenly over the run, so that a throttled registry does not occupy
/// all places at once.
pub(super) fn interleave(images: &mut [ListedImage]) {
    let mut totals: HashMap<Registry, u64> = HashMap::new();
    for image in images.iter() {
        *totals.entry(image.entry.source.repository.registry().clone()).or_default() += 1;
    }
    let mut seen: HashMap<Registry, u64> = HashMap::new();
    // The middle of the image's share of the run, from 0 to 2³².
    images.sort_by_cached_key(|image| {
        let registry = image.entry.source.repository.registry();
        let position = seen.entry(registry.clone()).or_default();
        let middle = ((2 * *position + 1) << 31) / totals[registry];
        *position += 1;
        middle
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/mirror";

    fn images(list: &str) -> Vec<ListedImage> {
        ListedImage::read_list("list", list.as_bytes(), &PREFIX.parse().unwrap(), true).unwrap()
    }

    #[test]
    fn an_event_has_the_keys_of_its_image() {
        let list = "
images:
  - nginx:1.27
  - source: ghcr.io/acme/app
    tags: ['2.1']
    platform: [linux/amd64, linux/arm64]
    customize: [RUN mkdir -p /data, VOLUME /data]
    credentials: arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:ghcr-AbCdEf
    min_age: 48h
    shared: true
  - source: quay.io/a/b@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    platform: all
";
        let owner = Owner::named("refresh/images");
        let events: Vec<Value> = images(list).iter().map(|image| copy_event(image, &owner)).collect();
        let arn = |name: &str| format!("arn:aws-cn:ecr:cn-north-1:123456789012:repository/mirror/{name}");
        assert_eq!(
            events,
            [
                json!({"ImageReference": "docker.io/library/nginx:1.27", "RepositoryArn": arn("nginx"),
                    "Owner": "refresh/images", "Tag": "1.27"}),
                json!({"ImageReference": "ghcr.io/acme/app:2.1", "RepositoryArn": arn("acme/app"),
                    "Owner": "refresh/images", "Tag": "2.1", "Platform": ["linux/amd64", "linux/arm64"],
                    "Customize": "RUN mkdir -p /data\nVOLUME /data",
                    "CredentialArn": "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:ghcr-AbCdEf",
                    "MinAge": "48h", "Shared": true}),
                json!({"ImageReference": format!("quay.io/a/b@sha256:{}", "a".repeat(64)),
                    "RepositoryArn": arn("a/b"), "Owner": "refresh/images", "Platform": "all"}),
            ]
        );
    }

    #[test]
    fn registries_are_interleaved_in_proportion() {
        let mut list =
            images("a/a:1\na/a:2\na/a:3\na/a:4\na/a:5\na/a:6\nghcr.io/b/b:1\nghcr.io/b/b:2\nquay.io/c/c:1\n");
        interleave(&mut list);
        let order: Vec<String> = list
            .iter()
            .map(|image| {
                image.entry.source.repository.path()[..1].to_owned()
                    + image.entry.tag.as_ref().unwrap().as_str()
            })
            .collect();
        assert_eq!(order, ["a1", "a2", "b1", "a3", "c1", "a4", "a5", "b2", "a6"]);
    }
}
