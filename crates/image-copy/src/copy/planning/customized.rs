//! Changes the selected images by the lines of a customization.
//!
//! The config of each image is read. Its layers are neither read nor changed.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::future::try_join_all;

use super::manifest_reader::{LocatedManifest, ManifestReader};
use super::platforms::{MAX_CONFIG_BYTES, config_of};
use super::select::is_left_out;
use crate::copy::reporting::{Error, Failure, Operation, Side};
use crate::copy::source::ManifestRef;
use crate::customize::{
    Base, Customization, CustomizationError, GeneratedBlob, creation_time, customize_image, customize_index,
};
use crate::oci::{Descriptor, Digest, Manifest, Platform};

/// Configs that are read at the same time. They are small, and an index has some ten.
const CONCURRENT_CONFIGS: usize = 8;

/// Content of a plan that a customization created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomizedContent {
    /// The changed configs, in the order of the index.
    pub changes: Vec<ConfigChange>,
    /// Number of entries of the source's indexes that describe its images, and are therefore left out.
    pub attestations_left_out: usize,
    /// Created configs and layers.
    pub(in crate::copy) blobs: HashMap<Digest, Bytes>,
}

/// The config of one image before and after the change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// Platform, if an index states it.
    pub platform: Option<Platform>,
    /// Config of the source.
    pub before: Bytes,
    /// Config of the copy.
    pub after: Bytes,
}

/// The manifests of the changed image.
pub(super) struct ChangedImage {
    pub(super) root: LocatedManifest,
    /// Children come before the manifests that refer to them.
    pub(super) descendants: Vec<LocatedManifest>,
}

/// Changes all images below `root`. `descendants` are the manifests below it, children first, without attestations.
pub(super) async fn customize_images(
    reader: &ManifestReader<'_>,
    customization: &Customization,
    source_digest: &Digest,
    root: LocatedManifest,
    descendants: Vec<LocatedManifest>,
) -> Result<(ChangedImage, CustomizedContent), Error> {
    let originals: Vec<Manifest> =
        descendants.into_iter().chain([root]).map(|found| found.manifest).collect();
    let entries: Vec<Descriptor> = originals.iter().flat_map(Manifest::children).cloned().collect();
    let left_out: HashSet<&Digest> =
        entries.iter().filter(|child| is_left_out(child)).map(|child| &child.digest).collect();
    let attestations_left_out = left_out.len();
    let platforms: HashMap<Digest, Platform> =
        entries.into_iter().filter_map(|child| Some((child.digest, child.platform?))).collect();
    let base = Base::new(&reader.request.source, source_digest.clone());
    let failure = |manifest: &Manifest, cause: CustomizationError| -> Error {
        let platform = platforms.get(&manifest.digest).cloned();
        let subject = reader.request.source.to_string();
        Box::new(Failure::NotCustomizable { subject, platform, cause })
    };
    let mut configs = read_configs(reader, &originals).await?;
    // One time for all platforms, so that they share the layer.
    let time = configs.values().map(|config| creation_time(config)).max().unwrap_or(0);
    let mut content = CustomizedContent { attestations_left_out, ..Default::default() };
    let mut changed: HashMap<Digest, Manifest> = HashMap::new();
    // Descendants are listed from the last to the first. A failure names the first platform that fails.
    for original in originals.iter().rev().filter(|manifest| !manifest.is_index()) {
        let Some(before) = configs.remove(&original.digest) else {
            let cause = CustomizationError { line: None, problem: "it is not a container image".into() };
            return Err(failure(original, cause));
        };
        let image = customize_image(customization, original, &before, time, &base)
            .map_err(|cause| failure(original, cause))?;
        content.changes.push(ConfigChange {
            platform: platforms.get(&original.digest).cloned(),
            before,
            after: image.config.content.clone(),
        });
        for GeneratedBlob { digest, content: bytes } in [image.config].into_iter().chain(image.layer) {
            reserve(reader, &digest, bytes.len() as u64)?;
            content.blobs.insert(digest, bytes);
        }
        changed.insert(original.digest.clone(), image.manifest);
    }
    for original in originals.iter().filter(|manifest| manifest.is_index()) {
        let index = customize_index(original, &base, |digest| changed.get(digest));
        changed.insert(original.digest.clone(), index.map_err(|cause| failure(original, cause))?);
    }
    let manifests: Vec<Manifest> =
        originals.iter().filter_map(|original| changed.remove(&original.digest)).collect();
    let mut located = locate(reader, manifests).await?;
    match located.pop() {
        Some(root) if !content.changes.is_empty() => {
            Ok((ChangedImage { root, descendants: located }, content))
        }
        _ => {
            let cause = CustomizationError { line: None, problem: "it has no container image".into() };
            let subject = reader.request.source.to_string();
            Err(Box::new(Failure::NotCustomizable { subject, platform: None, cause }))
        }
    }
}

/// Returns the configs of images by the digest of the manifest.
async fn read_configs(
    reader: &ManifestReader<'_>,
    manifests: &[Manifest],
) -> Result<HashMap<Digest, Bytes>, Error> {
    let images: Vec<(&Digest, &Descriptor)> =
        manifests.iter().filter_map(|manifest| Some((&manifest.digest, config_of(manifest)?))).collect();
    let mut configs = HashMap::new();
    for group in images.chunks(CONCURRENT_CONFIGS) {
        for (_, config) in group {
            // This rejects a config that is larger than a manifest can be.
            reader.reserve_memory(&[ManifestRef::from(*config)])?;
        }
        let reads = group.iter().map(|(_, config)| reader.source.get_blob(config, MAX_CONFIG_BYTES));
        let read = try_join_all(reads).await.map_err(|cause| {
            Failure::registry(Side::Source, Operation::ReadBlob, reader.request.source.to_string(), cause)
        })?;
        configs.extend(group.iter().map(|(digest, _)| (*digest).clone()).zip(read));
    }
    Ok(configs)
}

/// Reserves memory for a created blob.
fn reserve(reader: &ManifestReader<'_>, digest: &Digest, bytes: u64) -> Result<(), Error> {
    let reserved = reader.source.budget().reserve(digest, bytes);
    reserved.map_err(|limit| {
        let subject = reader.request.source.to_string();
        Box::new(Failure::ImageLimitExceeded { subject, limit })
    })
}

/// Reads which of the changed manifests the destination has.
async fn locate(
    reader: &ManifestReader<'_>,
    manifests: Vec<Manifest>,
) -> Result<Vec<LocatedManifest>, Error> {
    let refs: Vec<ManifestRef> = manifests
        .iter()
        .map(|manifest| ManifestRef {
            digest: manifest.digest.clone(),
            size: Some(manifest.bytes.len() as u64),
        })
        .collect();
    for manifest_ref in &refs {
        reserve(reader, &manifest_ref.digest, manifest_ref.limit())?;
    }
    let existing = reader.read_existing(&refs).await?;
    let located = manifests
        .into_iter()
        .zip(existing)
        .map(|(manifest, existing)| LocatedManifest { at_destination: existing.is_some(), manifest });
    Ok(located.collect())
}
