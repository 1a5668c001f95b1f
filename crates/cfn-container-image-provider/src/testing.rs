//! What the tests of several modules share: a small ECR of one repository, held in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::test_util::infallible_client_fn;
use image_copy::oci::{Digest, Manifest, media_type};
use image_copy_aws::{EcrClients, Patience};
use serde_json::{Value, json};

use crate::ledger;

pub(crate) const URI: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app";

/// Behaves as `facts` on ECR's control plane say, as far as a deletion can notice.
#[derive(Clone, Default)]
pub(crate) struct Ecr(Arc<Mutex<State>>);

pub(crate) type Act = fn(&mut State);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) images: BTreeMap<String, Manifest>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) immutable: bool,
    /// Calls that are denied.
    pub(crate) denied: Vec<&'static str>,
    /// Names of the calls, in order.
    pub(crate) calls: Vec<String>,
    /// Done before the first call of that name, as somebody else would.
    pub(crate) meanwhile: Option<(&'static str, Act)>,
}

impl Ecr {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Stores an image and gives its digest.
    pub(crate) fn image(&self, name: &str, tags: &[&str]) -> Digest {
        let blob =
            json!({"mediaType": "application/x", "digest": Digest::of(name.as_bytes()).as_str(), "size": 1});
        let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
            "config": blob, "layers": [blob]});
        self.store(&document, tags)
    }

    /// Stores an index of images and gives its digest.
    pub(crate) fn index(&self, children: &[&Digest], tags: &[&str]) -> Digest {
        let child = |digest: &&Digest| json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest.as_str(), "size": 1});
        let children: Vec<Value> = children.iter().map(child).collect();
        let document = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX,
            "manifests": children, "annotations": {"tags": tags.join(" ")}});
        self.store(&document, tags)
    }

    fn store(&self, document: &Value, tags: &[&str]) -> Digest {
        let manifest = Manifest::parse(document.to_string().into(), None).unwrap();
        let digest = manifest.digest.clone();
        let mut state = self.state();
        state.images.insert(digest.to_string(), manifest);
        for tag in tags {
            state.tags.insert((*tag).to_owned(), digest.to_string());
        }
        digest
    }

    /// Puts the claim that the fixtures' resource has on a tag.
    pub(crate) fn claim(&self, tag: &str) {
        let tag = tag.parse().unwrap();
        let (artifact, claim) = ledger::fixture_claim(&tag);
        let mut state = self.state();
        state.tags.insert(claim.to_string(), artifact.digest.to_string());
        state.images.insert(artifact.digest.to_string(), artifact);
    }

    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.state().images.contains_key(digest.as_str())
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        self.state().tags.keys().cloned().collect()
    }

    /// Clients that reach this ECR and no other.
    pub(crate) fn clients(&self) -> EcrClients {
        let ecr = self.clone();
        let http = infallible_client_fn(move |request| {
            let target = request.headers()["x-amz-target"].to_str().unwrap();
            let name = target.rsplit('.').next().unwrap().to_owned();
            let input: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            let (status, body) = match ecr.state().call(&name, &input) {
                Ok(output) => (200, output),
                Err(code) => (400, json!({"__type": code, "message": format!("{name} says so")})),
            };
            http::Response::builder().status(status).body(body.to_string()).unwrap()
        });
        let keys = Credentials::new("AKIDEXAMPLE", "secret-key", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .http_client(http)
            .build();
        let millisecond = Duration::from_millis(1);
        EcrClients::new(config, Patience { first: millisecond, longest: millisecond, ..Patience::default() })
    }
}

impl State {
    fn call(&mut self, name: &str, input: &Value) -> Result<Value, &'static str> {
        if let Some((_, act)) = self.meanwhile.take_if(|(before, _)| *before == name) {
            act(self);
        }
        self.calls.push(name.to_owned());
        if self.denied.contains(&name) {
            return Err("AccessDeniedException");
        }
        if input["repositoryName"] != "team/app" {
            return Err("RepositoryNotFoundException");
        }
        let first = &input["imageIds"][0];
        match name {
            "DescribeImages" => {
                let digest = self.digest(first).ok_or("ImageNotFoundException")?;
                let tags: Vec<&String> =
                    self.tags.iter().filter(|(_, of)| **of == digest).map(|(tag, _)| tag).collect();
                Ok(json!({"imageDetails": [{"imageDigest": digest, "imageTags": tags}]}))
            }
            "BatchGetImage" => Ok(self.get(input)),
            "PutImage" => self.put(input),
            "BatchDeleteImage" => Ok(self.delete(first)),
            other => panic!("{other} is not played here"),
        }
    }

    fn get(&self, input: &Value) -> Value {
        let (mut images, mut failures) = (Vec::new(), Vec::new());
        for id in input["imageIds"].as_array().unwrap() {
            match self.digest(id) {
                Some(digest) => {
                    let manifest = &self.images[&digest];
                    images.push(json!({"imageId": {"imageDigest": digest, "imageTag": id["imageTag"]},
                        "imageManifest": String::from_utf8(manifest.bytes.to_vec()).unwrap(),
                        "imageManifestMediaType": manifest.media_type}));
                }
                None => failures.push(failure(id, "ImageNotFound")["failures"][0].clone()),
            }
        }
        json!({"images": images, "failures": failures})
    }

    fn digest(&self, id: &Value) -> Option<String> {
        let digest = id["imageDigest"].as_str().or_else(|| Some(self.tags.get(id["imageTag"].as_str()?)?))?;
        self.images.contains_key(digest).then(|| digest.to_owned())
    }

    fn put(&mut self, input: &Value) -> Result<Value, &'static str> {
        let text = input["imageManifest"].as_str().unwrap().to_owned();
        let manifest = Manifest::parse(text.into(), input["imageManifestMediaType"].as_str()).unwrap();
        let (digest, tag) = (manifest.digest.to_string(), input["imageTag"].as_str().unwrap().to_owned());
        assert_eq!(input["imageDigest"], json!(digest));
        match self.tags.get(&tag) {
            Some(named) if *named == digest && !self.immutable => return Err("ImageAlreadyExistsException"),
            Some(_) if self.immutable => return Err("ImageTagAlreadyExistsException"),
            _ => {}
        }
        self.images.insert(digest.clone(), manifest);
        self.tags.insert(tag, digest);
        Ok(json!({}))
    }

    fn delete(&mut self, id: &Value) -> Value {
        let by_tag = id["imageTag"].as_str();
        if let (Some(tag), Some(digest)) = (by_tag, id["imageDigest"].as_str())
            && self.tags.get(tag).is_some_and(|named| named != digest)
        {
            return failure(id, "ImageTagDoesNotMatchDigest");
        }
        if let (None, Some(digest)) = (by_tag, id["imageDigest"].as_str()) {
            assert!(self.tags.values().all(|named| named != digest), "deleting what has tags goes by tag");
            self.images.remove(digest);
            return json!({"imageIds": [id]});
        }
        let tag = id["imageTag"].as_str().unwrap();
        let Some(digest) = self.tags.get(tag).cloned() else { return failure(id, "ImageNotFound") };
        if self.tags.values().filter(|named| **named == digest).count() == 1 {
            let lists =
                |manifest: &Manifest| manifest.children().iter().any(|child| child.digest.as_str() == digest);
            if self.images.values().any(lists) {
                return failure(id, "ImageReferencedByManifestList");
            }
            self.images.remove(&digest);
        }
        self.tags.remove(tag);
        json!({"imageIds": [id]})
    }
}

fn failure(id: &Value, code: &str) -> Value {
    json!({"failures": [{"imageId": id, "failureCode": code, "failureReason": "because"}]})
}
