//! The manifests of an image.

use std::collections::HashMap;

use image_copy::copy::{self, Failure, Source, image_children, image_for_platform, platform_from_config};
use image_copy::oci::{Descriptor, Digest, Manifest, Platform, Reference};

use super::config::{self, ImageConfig};
use super::referrers::{Location, Referrer};

/// Maximum number of platforms whose manifests are read. Official images have at most 20.
const MAX_READ: usize = 100;

/// An image and its parts.
pub(crate) struct Image {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) is_index: bool,
    /// The images of an index, or the image itself.
    pub(crate) platforms: Vec<PlatformImage>,
    /// Position of the image with the config in `platforms`.
    main: usize,
    /// Config of one image. `None` for other artifacts.
    pub(crate) config: Option<ImageConfig>,
    /// Attestations in the index: digest and subject.
    attestations: Vec<(Digest, Digest)>,
}

/// An image for one platform.
pub(crate) struct PlatformImage {
    /// The platform, if it is known.
    pub(crate) platform: Option<Platform>,
    pub(crate) digest: Digest,
    /// Sizes of config and layers in bytes, and of each layer. `None` if the manifest was not read.
    pub(crate) sizes: Option<Sizes>,
}

/// Compressed sizes in bytes.
pub(crate) struct Sizes {
    /// Sum of config and layers.
    pub(crate) total: u64,
    pub(crate) layers: Vec<u64>,
}

impl Sizes {
    fn of(manifest: &Manifest) -> Self {
        let total = manifest.blobs().fold(0, |sum: u64, blob| sum.saturating_add(blob.size));
        Self { total, layers: manifest.blobs().skip(1).map(|layer| layer.size).collect() }
    }
}

/// Reads the manifests of all platforms, or of one.
///
/// # Errors
/// If the image cannot be read, or has no image for the platform.
pub(super) async fn read(
    reference: &Reference,
    wanted: Option<&Platform>,
    source: &Source,
) -> Result<Image, copy::Error> {
    let root = copy::read_root(reference, source).await?;
    let no_platform = |available: Vec<Platform>| {
        let (subject, wanted) = (reference.to_string(), wanted.cloned());
        wanted.map(|wanted| Box::new(Failure::NoPlatform { subject, wanted, available }))
    };
    if !root.is_index() {
        let (config, platform) = read_config(reference, source, &root).await?;
        if let Some((own, wanted)) = platform.as_ref().zip(wanted)
            && !own.satisfies(wanted)
            && let Some(failure) = no_platform(vec![own.clone()])
        {
            return Err(failure);
        }
        let sizes = Some(Sizes::of(&root));
        let platforms = vec![PlatformImage { platform, digest: root.digest.clone(), sizes }];
        return Ok(image(&root, platforms, 0, config));
    }
    let mut children: Vec<&Descriptor> = image_children(&root).collect();
    if children.is_empty() {
        // An index of indexes, or of artifacts.
        children = root.children().iter().filter(|child| !child.is_attestation()).collect();
    }
    let chosen = match wanted {
        Some(wanted) => image_for_platform(&root, wanted),
        None => default_image(&root).or(children.first().copied()),
    };
    let Some(chosen) = chosen else {
        let available = children.iter().filter_map(|child| child.platform.clone()).collect();
        return match no_platform(available) {
            Some(failure) => Err(failure),
            None => Ok(image(&root, Vec::new(), 0, None)),
        };
    };
    let needed: Vec<Descriptor> = match wanted {
        Some(_) => vec![chosen.clone()],
        // The chosen one first, because the number is limited.
        None => [chosen].into_iter().chain(children.iter().copied()).take(MAX_READ).cloned().collect(),
    };
    let manifests = copy::read_children(reference, source, &needed).await?;
    let by_digest: HashMap<&Digest, &Manifest> =
        needed.iter().map(|descriptor| &descriptor.digest).zip(&manifests).collect();
    let platforms = children.iter().map(|child| {
        // A nested index has no layers of its own.
        let read = by_digest.get(&child.digest).filter(|manifest| !manifest.is_index());
        let sizes = read.map(|manifest| Sizes::of(manifest));
        PlatformImage { platform: child.platform.clone(), digest: child.digest.clone(), sizes }
    });
    let platforms = platforms.collect();
    let main = children.iter().position(|child| child.digest == chosen.digest).unwrap_or_default();
    let config = match by_digest.get(&chosen.digest) {
        Some(manifest) => read_config(reference, source, manifest).await?.0,
        None => None,
    };
    Ok(image(&root, platforms, main, config))
}

/// Returns the image for linux/amd64, or else the first one.
fn default_image(index: &Manifest) -> Option<&Descriptor> {
    let usual = "linux/amd64".parse().ok();
    usual.and_then(|usual| image_for_platform(index, &usual)).or_else(|| image_children(index).next())
}

async fn read_config(
    reference: &Reference,
    source: &Source,
    manifest: &Manifest,
) -> Result<(Option<ImageConfig>, Option<Platform>), copy::Error> {
    let Some(bytes) = copy::read_config(reference, source, manifest).await? else { return Ok((None, None)) };
    // The platform of a config is only shown, so that an invalid one is no failure.
    Ok((config::parse(&bytes), platform_from_config(&bytes).ok().flatten()))
}

fn image(root: &Manifest, platforms: Vec<PlatformImage>, main: usize, config: Option<ImageConfig>) -> Image {
    let attestations = root.children().iter().filter_map(|child| {
        let subject = child.attestation_subject.clone()?;
        Some((child.digest.clone(), subject))
    });
    Image {
        digest: root.digest.clone(),
        media_type: root.media_type.clone(),
        is_index: root.is_index(),
        platforms,
        main,
        config,
        attestations: attestations.collect(),
    }
}

impl Image {
    /// Returns the image whose config was read.
    pub(crate) fn main(&self) -> Option<&PlatformImage> {
        self.platforms.get(self.main)
    }

    /// Returns the attestations in the index.
    pub(super) fn attestations(&self) -> Vec<Referrer> {
        let attestations = self.attestations.iter();
        let referrer = |(digest, subject): &(Digest, Digest)| Referrer {
            kind: "attestation",
            digest: digest.clone(),
            subject: subject.clone(),
            location: Location::Index,
        };
        attestations.map(referrer).collect()
    }

    /// Returns the digests whose referrers are read: the image, and also the main platform if `with_main`.
    pub(super) fn subjects(&self, with_main: bool) -> Vec<Digest> {
        let main = self.main().filter(|main| with_main && main.digest != self.digest);
        [self.digest.clone()].into_iter().chain(main.map(|main| main.digest.clone())).collect()
    }

    /// Returns the platform with a digest, as text.
    pub(crate) fn platform_of(&self, digest: &Digest) -> Option<String> {
        let image = self.platforms.iter().find(|image| image.digest == *digest)?;
        image.platform.as_ref().map(ToString::to_string)
    }
}
