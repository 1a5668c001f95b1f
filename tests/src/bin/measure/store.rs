//! Content of a hostile registry. Manifests and blobs share their bytes, so that gigabytes of them need
//! little memory here.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::server::{Part, Request, response};

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

/// The only tag.
pub(super) const TAG: &str = "1";

/// Maximum size of a manifest in bytes that registries and the engine accept.
pub(super) const MANIFEST_LIMIT: usize = 4 * 1024 * 1024;

/// Maximum length in bytes of the end that differs between the documents of a family.
const TAIL: usize = 64;

/// Manifests and blobs by digest, and the digest that the tag names.
#[derive(Default)]
pub(super) struct Store {
    documents: HashMap<String, (&'static str, Vec<Part>)>,
    /// Response of the referrers API for any image.
    referrers: String,
    pub(super) root: String,
}

/// A descriptor of a document in the store.
#[derive(Clone)]
pub(super) struct Pointer {
    media_type: &'static str,
    pub(super) digest: String,
    /// Size in bytes according to the descriptor.
    pub(super) size: usize,
}

impl Pointer {
    /// Returns the descriptor as JSON.
    pub(super) fn json(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size})
    }
}

impl Store {
    /// Stores a document. The tag names the last stored one.
    pub(super) fn add(&mut self, media_type: &'static str, text: &str) -> Pointer {
        self.add_parts(media_type, vec![Part::text(text)], Sha256::digest(text).as_slice())
    }

    /// Stores an index of these documents.
    pub(super) fn add_index(&mut self, entries: &[Pointer]) -> Pointer {
        let entries: Vec<_> = (0..).zip(entries).map(|(number, entry)| entry_of(number, entry)).collect();
        self.add(INDEX, &json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string())
    }

    /// Stores `count` documents. Each is `text` without its last `}`, and a number.
    pub(super) fn add_family(&mut self, media_type: &'static str, text: &str, count: usize) -> Vec<Pointer> {
        let shared = Arc::new(text.strip_suffix('}').unwrap_or(text).as_bytes().to_vec());
        let hash = Sha256::new_with_prefix(shared.as_slice());
        let documents = (0..count).map(|number| {
            let tail = format!(r#","number":{number}}}"#);
            let digest = hash.clone().chain_update(&tail).finalize();
            let parts = vec![Part::Bytes(Arc::clone(&shared)), Part::text(tail)];
            self.add_parts(media_type, parts, &digest)
        });
        documents.collect()
    }

    /// Stores an image that can be copied.
    pub(super) fn add_small_image(&mut self) -> Pointer {
        let config = r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}"#;
        let config = self.add("application/vnd.oci.image.config.v1+json", config);
        let layer = self.add("application/vnd.oci.image.layer.v1.tar", &"x".repeat(1000));
        let layers = [layer.json()];
        let text = json!({"schemaVersion": 2, "mediaType": IMAGE, "config": config.json(), "layers": layers});
        self.add(IMAGE, &text.to_string())
    }

    /// Lists these as referrers of any image.
    pub(super) fn set_referrers(&mut self, referrers: &[Pointer]) {
        let entries: Vec<_> = referrers.iter().map(Pointer::json).collect();
        self.referrers = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).to_string();
    }

    fn add_parts(&mut self, media_type: &'static str, parts: Vec<Part>, hash: &[u8]) -> Pointer {
        let digest = digest_of(hash);
        let size = parts.iter().filter_map(Part::len).sum();
        self.documents.insert(digest.clone(), (media_type, parts));
        self.root.clone_from(&digest);
        Pointer { media_type, digest, size }
    }

    /// Responds like a registry with only these manifests and blobs.
    pub(super) fn respond(&self, request: &Request<'_>) -> Vec<Part> {
        let method = request.method;
        let path = request.target.split('?').next().unwrap_or_default();
        let Some((kind @ ("manifests" | "blobs"), name)) =
            path.strip_prefix("/v2/a/b/").and_then(|rest| rest.split_once('/'))
        else {
            return match path {
                "/v2/" => response(method, "200 OK", "", vec![Part::text("{}")]),
                _ if path.starts_with("/v2/a/b/referrers/") && !self.referrers.is_empty() => {
                    let headers = format!("Content-Type: {INDEX}\r\n");
                    response(method, "200 OK", &headers, vec![Part::text(&*self.referrers)])
                }
                _ => response(method, "404 Not Found", "", vec![]),
            };
        };
        let digest = if (kind, name) == ("manifests", TAG) { &self.root } else { name };
        match self.documents.get(digest) {
            Some((media_type, parts)) => {
                let headers = format!("Content-Type: {media_type}\r\nDocker-Content-Digest: {digest}\r\n");
                response(method, "200 OK", &headers, parts.clone())
            }
            None => response(method, "404 Not Found", "", vec![]),
        }
    }
}

fn entry_of(number: usize, pointer: &Pointer) -> Value {
    let mut entry = pointer.json();
    entry["platform"] = json!({"os": "linux", "architecture": format!("a{number}")});
    entry
}

/// Returns an image manifest with this many layers, padded to `size` bytes.
pub(super) fn image(layers: usize, size: usize) -> String {
    let missing = format!("sha256:{}", "1".repeat(64));
    let mut text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","config":{{"mediaType":"a/b","digest":"{missing}","size":1}},"layers":["#
    );
    for number in 0..layers {
        let comma = if number == 0 { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(text, r#"{comma}{{"mediaType":"a/b","digest":"sha256:{number:064x}","size":1}}"#);
    }
    text += r#"],"annotations":{"padding":""#;
    text += &"x".repeat(size.saturating_sub(text.len() + TAIL));
    text + r#""}}"#
}

/// Formats a hash as a digest.
fn digest_of(hash: &[u8]) -> String {
    hash.iter().fold("sha256:".to_owned(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
