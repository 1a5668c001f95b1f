//! Builder of images. The same settings give the same bytes.

use serde_json::{Value, json};

use super::layer::Layer;
use super::{DOCKER_LIST, DOCKER_MANIFEST, Image, Manifest, OCI_INDEX, OCI_MANIFEST};
use crate::blob::Blob;

/// Family of media types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Oci,
    Docker,
}

/// Settings of an image.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    seed: u64,
    format: Format,
    platforms: Vec<Value>,
    sizes: Option<Vec<u64>>,
    shared: Vec<u64>,
    has_attestations: bool,
}

impl ImageBuilder {
    /// Creates settings of an OCI index for `linux/amd64` and `linux/arm64`, each with two small layers.
    pub fn new(seed: u64) -> Self {
        let platforms = ["linux/amd64", "linux/arm64"].map(platform).to_vec();
        Self {
            seed,
            format: Format::Oci,
            platforms,
            sizes: None,
            shared: Vec::new(),
            has_attestations: false,
        }
    }

    /// Sets the platforms as `os/architecture` or `os/architecture/variant`.
    #[must_use]
    pub fn platforms(mut self, platforms: &[&str]) -> Self {
        self.platforms = platforms.iter().copied().map(platform).collect();
        self
    }

    /// Adds the platform `windows/amd64` with this OS version.
    #[must_use]
    pub fn windows(mut self, version: &str) -> Self {
        let entry = json!({"architecture": "amd64", "os": "windows", "os.version": version});
        self.platforms.push(entry);
        self
    }

    /// Sets the sizes of layers with generated content, which differs for each platform.
    #[must_use]
    pub fn layers(mut self, sizes: &[u64]) -> Self {
        self.sizes = Some(sizes.to_vec());
        self
    }

    /// Adds layers of these sizes that all platforms share.
    #[must_use]
    pub fn shared_layers(mut self, sizes: &[u64]) -> Self {
        self.shared = sizes.to_vec();
        self
    }

    /// Adds an attestation for each platform, as BuildKit does.
    #[must_use]
    pub fn attestations(mut self) -> Self {
        self.has_attestations = true;
        self
    }

    /// Selects Docker media types.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.format = Format::Docker;
        self
    }

    /// Builds an index.
    pub fn index(&self) -> Image {
        let mut image = Image { manifests: Vec::new(), blobs: Vec::new() };
        let (mut entries, mut attestations) = (Vec::new(), Vec::new());
        for number in 0..self.platforms.len() {
            let manifest = self.manifest(number, &mut image);
            let mut entry = manifest.descriptor();
            entry["platform"] = self.platforms[number].clone();
            entries.push(entry);
            if self.has_attestations {
                let attestation = attestation(&manifest, &mut image);
                let mut entry = attestation.descriptor();
                entry["platform"] = json!({"architecture": "unknown", "os": "unknown"});
                entry["annotations"] = json!({
                    "vnd.docker.reference.type": "attestation-manifest",
                    "vnd.docker.reference.digest": manifest.digest,
                });
                attestations.push(entry);
                image.manifests.push(attestation);
            }
            image.manifests.push(manifest);
        }
        entries.append(&mut attestations);
        let media_type = self.by_format(OCI_INDEX, DOCKER_LIST);
        let document = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": entries});
        image.manifests.push(Manifest::of(&document, media_type));
        image
    }

    /// Builds only the image of the first platform, without an index.
    pub fn single(&self) -> Image {
        let mut image = Image { manifests: Vec::new(), blobs: Vec::new() };
        let manifest = self.manifest(0, &mut image);
        image.manifests.push(manifest);
        image
    }

    fn manifest(&self, number: usize, image: &mut Image) -> Manifest {
        let own = self.seed.wrapping_mul(1000) + number as u64 * 100;
        let mut layers = self.build_shared_layers();
        match &self.sizes {
            Some(sizes) => {
                let sized = sizes.iter().zip(1..);
                layers.extend(sized.map(|(size, n)| Layer::generated(own.wrapping_mul(1000) + n, *size)));
            }
            None => layers.extend((1..3).map(|n| Layer::archive(own + n, &self.platforms[number]))),
        }
        let config = self.config(number, &layers);
        let layer_type = self.by_format(
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        );
        let config_type = self.by_format(
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.docker.container.image.v1+json",
        );
        let media_type = self.by_format(OCI_MANIFEST, DOCKER_MANIFEST);
        let document = json!({
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": descriptor(&config, config_type),
            "layers": layers.iter().map(|layer| descriptor(&layer.blob, layer_type)).collect::<Vec<_>>(),
        });
        image.add(config);
        layers.into_iter().for_each(|layer| image.add(layer.blob));
        Manifest::of(&document, media_type)
    }

    fn build_shared_layers(&self) -> Vec<Layer> {
        let sized = self.shared.iter().zip(1..);
        sized.map(|(size, n)| Layer::generated(self.seed.wrapping_add(n << 32), *size)).collect()
    }

    fn config(&self, number: usize, layers: &[Layer]) -> Blob {
        let mut config = self.platforms[number].clone();
        config["config"] = json!({"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"]});
        config["created"] = json!("2026-01-01T00:00:00Z");
        let diffs: Vec<_> = layers.iter().map(|layer| &layer.diff_id).collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": diffs});
        Blob::bytes(config.to_string())
    }

    fn by_format(&self, oci: &'static str, docker: &'static str) -> &'static str {
        match self.format {
            Format::Oci => oci,
            Format::Docker => docker,
        }
    }
}

pub(super) fn descriptor(blob: &Blob, media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": blob.digest(), "size": blob.size()})
}

/// Parses `os/architecture[/variant]`.
fn platform(text: &str) -> Value {
    let mut parts = text.split('/');
    let (os, architecture) = (parts.next().unwrap_or("linux"), parts.next().unwrap_or("amd64"));
    let mut platform = json!({"architecture": architecture, "os": os});
    if let Some(variant) = parts.next() {
        platform["variant"] = json!(variant);
    }
    platform
}

/// Formats a platform as `os/architecture[/variant]`.
pub(super) fn format_platform(platform: &Value) -> String {
    let parts = ["os", "architecture", "variant"].map(|key| platform[key].as_str());
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

/// Builds a BuildKit attestation: a manifest whose layer is an in-toto statement about an image.
fn attestation(subject: &Manifest, image: &mut Image) -> Manifest {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": "_", "digest": {"sha256": subject.digest.trim_start_matches("sha256:")}}],
    });
    let layer = Blob::bytes(statement.to_string());
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "rootfs": {"type": "layers", "diff_ids": [layer.digest()]},
    });
    let config = Blob::bytes(config.to_string());
    let document = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(&config, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(&layer, "application/vnd.in-toto+json")],
    });
    image.add(config);
    image.add(layer);
    Manifest::of(&document, OCI_MANIFEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::digest;

    #[test]
    fn the_same_settings_give_the_same_bytes() {
        let builder = ImageBuilder::new(1).attestations().windows("10.0.20348.2655");
        assert_eq!(builder.index().digest(), builder.index().digest());
        assert_ne!(builder.index().digest(), ImageBuilder::new(2).index().digest());
    }

    #[test]
    fn an_index_refers_to_existing_manifests_and_blobs() {
        for builder in [
            ImageBuilder::new(1).attestations(),
            ImageBuilder::new(2).docker().layers(&[10, 2000]).shared_layers(&[300]),
        ] {
            let image = builder.index();
            let has = |digest: &Value| image.blobs.iter().any(|blob| digest == blob.digest());
            let (root, children) = image.manifests.split_last().unwrap();
            assert_eq!(root.document()["manifests"].as_array().unwrap().len(), children.len());
            for child in children {
                let document = child.document();
                assert!(has(&document["config"]["digest"]));
                assert!(document["layers"].as_array().unwrap().iter().all(|l| has(&l["digest"])));
            }
        }
    }

    #[test]
    fn a_small_layer_matches_the_diff_id_in_the_config() {
        let image = ImageBuilder::new(1).single();
        let manifest = image.root().document();
        let blob = |digest: &Value| image.blobs.iter().find(|blob| digest == blob.digest()).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"]["digest"]).to_bytes()).unwrap();
        for number in 0..2 {
            let zipped = blob(&manifest["layers"][number]["digest"]).to_bytes();
            let mut tar = Vec::new();
            std::io::copy(&mut flate2::read::GzDecoder::new(&zipped[..]), &mut tar).unwrap();
            assert_eq!(config["rootfs"]["diff_ids"][number], digest(&tar));
            let mut archive = tar::Archive::new(&tar[..]);
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert!(entry.path().unwrap().starts_with("opt"));
        }
    }

    #[test]
    fn finds_a_child_manifest_by_platform() {
        let image = ImageBuilder::new(1).platforms(&["linux/amd64", "linux/arm/v7"]).index();
        assert_eq!(image.child("linux/arm/v7"), Some(&image.manifests[1]));
        assert_eq!(image.child("linux/s390x"), None);
    }
}
