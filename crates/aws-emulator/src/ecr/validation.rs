//! Validation of manifests as in ECR. For example, the config's descriptor must not have a platform
//! (<https://github.com/regclient/regclient/issues/709>).

use serde_json::Value;

use crate::image::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};

use super::error::ApiError;

const LAYER_LIMIT: usize = 500;
/// Maximum size of a manifest in bytes.
pub(crate) const MANIFEST_LIMIT: usize = 4_194_304;

/// References of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParsedManifest {
    pub(crate) media_type: String,
    /// Config and layers with their sizes, which must exist.
    pub(crate) blobs: Vec<(String, u64)>,
    /// Child manifests, which must exist.
    pub(crate) children: Vec<String>,
    pub(crate) subject: Option<String>,
    pub(crate) artifact_type: Option<String>,
}

/// Validates a manifest. `declared` is the media type in the request.
pub(crate) fn parse(bytes: &[u8], declared: Option<&str>) -> Result<ParsedManifest, ApiError> {
    if bytes.len() > MANIFEST_LIMIT {
        return Err(ApiError::invalid_manifest("Member must have length less than or equal to 4194304"));
    }
    let syntax = || ApiError::invalid_manifest("Invalid JSON syntax");
    let document: Value = serde_json::from_slice(bytes).map_err(|_| syntax())?;
    let media_type = document["mediaType"].as_str().or(declared);
    let media_type = media_type.ok_or_else(|| ApiError::invalid_manifest("Media type is missing"))?;
    let mut parsed = ParsedManifest {
        media_type: media_type.to_owned(),
        blobs: Vec::new(),
        children: Vec::new(),
        subject: document["subject"]["digest"].as_str().map(ToOwned::to_owned),
        artifact_type: document["artifactType"].as_str().map(ToOwned::to_owned),
    };
    if document["subject"].get("platform").is_some() {
        return Err(syntax());
    }
    match media_type {
        OCI_INDEX | DOCKER_LIST => index(&document, &mut parsed)?,
        OCI_MANIFEST | DOCKER_MANIFEST => image(&document, &mut parsed)?,
        other => {
            return Err(ApiError::invalid_manifest(&format!("Unsupported media type '{other}'")));
        }
    }
    Ok(parsed)
}

fn index(document: &Value, parsed: &mut ParsedManifest) -> Result<(), ApiError> {
    let syntax = || ApiError::invalid_manifest("Invalid JSON syntax");
    for entry in document["manifests"].as_array().ok_or_else(syntax)? {
        if entry["platform"].get("features").is_some() {
            return Err(syntax());
        }
        parsed.children.push(entry["digest"].as_str().ok_or_else(syntax)?.to_owned());
    }
    Ok(())
}

fn image(document: &Value, parsed: &mut ParsedManifest) -> Result<(), ApiError> {
    let syntax = || ApiError::invalid_manifest("Invalid JSON syntax");
    let config = &document["config"];
    if config.get("platform").is_some() || config.get("annotations").is_some() {
        return Err(syntax());
    }
    let layers = document["layers"].as_array().map_or(&[][..], Vec::as_slice);
    if layers.is_empty() {
        return Err(ApiError::invalid_manifest("Image has to have at least 1 layer"));
    }
    if layers.len() > LAYER_LIMIT {
        return Err(ApiError::invalid_manifest("Limit on number of layers per image exceeded"));
    }
    let stored = layers.iter().filter(|layer| !is_foreign(layer));
    for descriptor in [config].into_iter().chain(stored) {
        let digest = descriptor["digest"].as_str().ok_or_else(syntax)?.to_owned();
        parsed.blobs.push((digest, descriptor["size"].as_u64().ok_or_else(syntax)?));
    }
    Ok(())
}

/// Returns true for a foreign layer, which can be missing from the registry.
fn is_foreign(layer: &Value) -> bool {
    let media_type = layer["mediaType"].as_str().unwrap_or_default();
    media_type.contains("nondistributable") || media_type.contains("foreign.diff")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(change: impl FnOnce(&mut Value)) -> Result<ParsedManifest, String> {
        let descriptor = |digest: &str| json!({"mediaType": "x", "digest": digest, "size": 1});
        let mut document = json!({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": descriptor("sha256:c"), "layers": [descriptor("sha256:l")],
        });
        change(&mut document);
        parse(document.to_string().as_bytes(), None).map_err(|error| error.message)
    }

    #[test]
    fn accepts_a_plain_manifest() {
        let blobs = check(|_| ()).unwrap().blobs;
        assert_eq!(blobs, [("sha256:c".to_owned(), 1), ("sha256:l".to_owned(), 1)]);
    }

    #[test]
    fn rejects_manifests_as_ecr_does() {
        let assert_rejected = |text: &str, change: fn(&mut Value)| {
            let message = check(change).unwrap_err();
            assert!(message.contains(text), "{message}");
        };
        let syntax = "'Invalid JSON syntax'";
        assert_rejected(syntax, |m| m["config"]["platform"] = json!({"os": "linux"}));
        assert_rejected(syntax, |m| m["config"]["annotations"] = json!({}));
        assert_rejected(syntax, |m| {
            m["subject"] = json!({"digest": "sha256:s", "platform": {}});
        });
        assert_rejected("at least 1 layer", |m| m["layers"] = json!([]));
        assert_rejected("layers per image exceeded", |m| {
            m["layers"] = json!(vec![m["layers"][0].clone(); 501]);
        });
        assert_rejected("Media type is missing", |m| m["mediaType"] = Value::Null);
        assert_rejected("Unsupported media type", |m| {
            m["mediaType"] = json!("application/vnd.oras.artifact.manifest.v1+json");
        });
        assert_rejected(syntax, |m| {
            *m = json!({"mediaType": OCI_INDEX, "manifests": [
                {"digest": "sha256:a", "size": 1, "platform": {"features": ["sse4"]}}
            ]});
        });
    }
}
