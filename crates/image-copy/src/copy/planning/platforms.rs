//! Platforms of an image, from its index or its config.

use std::collections::HashSet;

use super::manifest_reader::{LocatedManifest, ManifestReader};
use super::select::image_children;
use crate::copy::reporting::{Error, Failure, Operation, Side};
use crate::copy::request::PlatformSelection;
use crate::copy::source::ManifestRef;
use crate::oci::{Descriptor, Manifest, ManifestError, Platform, UnvalidatedPlatform, media_type};

/// Maximum size of an image config in bytes, because it is read into memory.
pub const MAX_CONFIG_BYTES: u64 = 4 * 1024 * 1024;

/// Returns the platforms of the manifest to push. `chosen` is its platform, if an index states it.
pub(super) async fn platforms_of(
    reader: &ManifestReader<'_>,
    root: &LocatedManifest,
    chosen: Option<Platform>,
    descendants: &[LocatedManifest],
) -> Result<Vec<Platform>, Error> {
    match chosen {
        Some(platform) => Ok(vec![platform]),
        None if root.manifest.is_index() => {
            Ok(listed_platforms(descendants.iter().chain([root]).map(|found| &found.manifest)))
        }
        None => Ok(platform_from_image(reader, root).await?.into_iter().collect()),
    }
}

fn listed_platforms<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Vec<Platform> {
    let mut seen = HashSet::new();
    let platforms = manifests.flat_map(image_children).filter_map(|child| child.platform.as_ref());
    platforms.filter(|platform| seen.insert(platform.to_string())).cloned().collect()
}

/// Reads the platform from the config of an image without an index. Prefers the destination, so that an
/// image can be restored while the source is unavailable.
async fn platform_from_image(
    reader: &ManifestReader<'_>,
    root: &LocatedManifest,
) -> Result<Option<Platform>, Error> {
    let Some(config) = config_of(&root.manifest) else { return Ok(None) };
    let subject = || reader.request.source.to_string();
    let config_ref = ManifestRef::from(config);
    // This rejects a config that is larger than a manifest can be.
    reader.reserve_memory(std::slice::from_ref(&config_ref))?;
    let mut text = None;
    if root.at_destination {
        text = reader.destination.repository.get_blob(config, MAX_CONFIG_BYTES).await.ok();
    }
    let failure = |cause| Failure::registry(Side::Source, Operation::ReadBlob, subject(), cause);
    let text = match text {
        Some(text) => text,
        None => reader.source.get_blob(config, MAX_CONFIG_BYTES).await.map_err(failure)?,
    };
    let platform = platform_from_config(&text).map_err(|cause| failure(cause.into()))?;
    drop(text);
    reader.record_memory(&config_ref, None)?;
    match (&reader.request.platforms, platform) {
        (PlatformSelection::One(wanted), Some(platform)) if !platform.satisfies(wanted) => {
            let (wanted, available) = (wanted.clone(), vec![platform]);
            Err(Box::new(Failure::NoPlatform { subject: subject(), wanted, available }))
        }
        (PlatformSelection::Several(several), Some(platform))
            if several.iter().any(|wanted| !platform.satisfies(wanted)) =>
        {
            let wanted = several.iter().find(|wanted| !platform.satisfies(wanted));
            let (wanted, available) = (wanted.unwrap_or(&platform).clone(), vec![platform]);
            Err(Box::new(Failure::NoPlatform { subject: subject(), wanted, available }))
        }
        (PlatformSelection::Preferred(wanted), Some(platform)) if !platform.satisfies(wanted) => {
            tracing::warn!(%platform, preferred = %wanted, "the source is a single image for another platform");
            Ok(Some(platform))
        }
        (_, platform) => Ok(platform),
    }
}

/// Returns the config of an image. Returns `None` for other artifacts.
#[must_use]
pub fn config_of(manifest: &Manifest) -> Option<&Descriptor> {
    manifest.blobs().next().filter(|config| {
        matches!(config.media_type.as_str(), media_type::OCI_CONFIG | media_type::DOCKER_CONFIG)
    })
}

/// Parses the platform from a config. Returns `None` if it states none.
///
/// # Errors
/// If the platform is invalid.
pub fn platform_from_config(config: &[u8]) -> Result<Option<Platform>, ManifestError> {
    let Ok(stated) = serde_json::from_slice::<UnvalidatedPlatform>(config) else { return Ok(None) };
    let platform = Platform::try_from(stated).map_err(ManifestError::Platform)?;
    Ok(Some(platform).filter(|platform| !platform.is_unknown()))
}
