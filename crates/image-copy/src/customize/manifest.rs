//! Manifests of changed images.

use bytes::Bytes;
use serde_json::json;
use serde_json::value::RawValue;

use super::Customization;
use super::base::Base;
use super::error::CustomizationError;
use super::evaluation::{Evaluated, evaluate};
use super::object::Object;
use crate::oci::{Digest, Manifest, media_type};

const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A blob that exists only in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GeneratedBlob {
    pub(crate) digest: Digest,
    pub(crate) content: Bytes,
}

/// A changed image.
#[derive(Debug, Clone)]
pub(crate) struct CustomizedImage {
    pub(crate) manifest: Manifest,
    pub(crate) config: GeneratedBlob,
    pub(crate) layer: Option<GeneratedBlob>,
}

/// Applies lines to an image. `time` is the time of new files, in seconds since 1970.
///
/// # Errors
/// If the lines cannot be applied to this image.
pub(crate) fn customize_image(
    customization: &Customization,
    image: &Manifest,
    config: &[u8],
    time: u64,
    base: &Base,
) -> Result<CustomizedImage, CustomizationError> {
    // Docker's format has no annotations.
    let is_docker = image.media_type == media_type::DOCKER_MANIFEST;
    let labels = if is_docker { &base.fields()[..] } else { &[] };
    let Evaluated { config, layer } = evaluate(&customization.lines, config, time, labels)?;
    let config = Bytes::from(config);
    let config = GeneratedBlob { digest: Digest::of(&config), content: config };
    let layer = layer.map(|layer| GeneratedBlob { digest: layer.digest, content: layer.content });
    let manifest = change_image(image, &config, layer.as_ref(), (!is_docker).then_some(base));
    Ok(CustomizedImage { manifest: manifest.map_err(unsupported)?, config, layer })
}

/// Returns the index with other children. A child without a replacement is removed.
///
/// # Errors
/// If the index has unexpected fields.
pub(crate) fn customize_index<'a>(
    index: &Manifest,
    base: &Base,
    replacement: impl Fn(&Digest) -> Option<&'a Manifest>,
) -> Result<Manifest, CustomizationError> {
    let base = (index.media_type != media_type::DOCKER_MANIFEST_LIST).then_some(base);
    change_index(index, base, replacement).map_err(unsupported)
}

fn unsupported(problem: String) -> CustomizationError {
    CustomizationError::new(None, format!("its manifest is not supported: {problem}"))
}

fn change_image(
    image: &Manifest,
    config: &GeneratedBlob,
    layer: Option<&GeneratedBlob>,
    base: Option<&Base>,
) -> Result<Manifest, String> {
    let mut document = parse(image)?;
    let mut descriptor = document.object("config")?;
    replace_content(&mut descriptor, &config.digest, config.content.len());
    document.set("config", &descriptor);
    if let Some(layer) = layer {
        let media_type = match image.media_type.as_str() {
            media_type::DOCKER_MANIFEST => DOCKER_LAYER,
            _ => OCI_LAYER,
        };
        let mut layers: Vec<Box<RawValue>> = document.get_as("layers")?.unwrap_or_default();
        let mut descriptor = Object::default();
        descriptor.set("mediaType", &media_type);
        replace_content(&mut descriptor, &layer.digest, layer.content.len());
        layers.extend(serde_json::value::to_raw_value(&descriptor));
        document.set("layers", &layers);
    }
    finish(document, image, base)
}

fn change_index<'a>(
    index: &Manifest,
    base: Option<&Base>,
    replacement: impl Fn(&Digest) -> Option<&'a Manifest>,
) -> Result<Manifest, String> {
    let mut document = parse(index)?;
    let entries: Vec<Object> = document.get_as("manifests")?.unwrap_or_default();
    let mut changed = Vec::new();
    for (mut entry, child) in entries.into_iter().zip(index.children()) {
        if let Some(manifest) = replacement(&child.digest) {
            replace_content(&mut entry, &manifest.digest, manifest.bytes.len());
            changed.push(entry);
        }
    }
    document.set("manifests", &changed);
    finish(document, index, base)
}

fn parse(manifest: &Manifest) -> Result<Object, String> {
    Object::parse(std::str::from_utf8(&manifest.bytes).map_err(|_| "it is not UTF-8")?)
}

/// Replaces the content of a descriptor. A copy of the old content in `data` is removed.
fn replace_content(descriptor: &mut Object, digest: &Digest, bytes: usize) {
    descriptor.set("digest", &digest.as_str());
    descriptor.set("size", &json!(bytes));
    descriptor.remove("data");
    descriptor.remove("urls");
}

/// Adds the annotations of the base.
fn finish(mut document: Object, original: &Manifest, base: Option<&Base>) -> Result<Manifest, String> {
    if let Some(base) = base {
        let mut annotations = document.object("annotations")?;
        for (name, value) in base.fields() {
            annotations.set(&name, &value);
        }
        document.set("annotations", &annotations);
    }
    let bytes = serde_json::to_vec(&document).map_err(|error| error.to_string())?;
    Manifest::parse(bytes.into(), Some(&original.media_type)).map_err(|error| error.to_string())
}
