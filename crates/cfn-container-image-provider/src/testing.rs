//! What the tests of several modules share: the emulator's ECR, with one repository, whose calls a
//! test can see and come between.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_emulator::{Blob, Image, Manifest, Mutability, Recipe, Repository};
use aws_smithy_http_client::test_util::infallible_client_fn;
use image_copy_aws::{EcrClients, Patience};
use serde_json::{Value, json};

use crate::ledger;

pub(crate) const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";
pub(crate) const URI: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app";

/// Clients that reach this ECR and no other. `before` sees the name of each call, and may hold it up.
pub(crate) fn clients(
    ecr: &Arc<aws_emulator::Ecr>,
    before: impl Fn(&str) + Send + Sync + 'static,
) -> EcrClients {
    let ecr = ecr.clone();
    answered_by(move |target, input| {
        let name = target.rsplit('.').next().unwrap();
        before(name);
        ecr.call("eu-west-1", name, input)
    })
}

/// Clients whose calls are answered from here, by the target of the call, such as
/// `secretsmanager.GetSecretValue`, and its input; else with a code and a message.
pub(crate) fn answered_by(
    answer: impl Fn(&str, &Value) -> Result<Value, (&'static str, String)> + Send + Sync + 'static,
) -> EcrClients {
    let http = infallible_client_fn(move |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap();
        let input: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (status, body) = match answer(target, &input) {
            Ok(output) => (200, output),
            Err((code, message)) => (400, json!({"__type": code, "message": message})),
        };
        http::Response::builder().status(status).body(body.to_string()).unwrap()
    });
    let keys = Credentials::new("AKIDEXAMPLE", "secret-key", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .http_client(http)
        .build();
    let millisecond = Duration::from_millis(1);
    EcrClients::new(config, Patience { first: millisecond, longest: millisecond, ..Patience::default() })
}

/// What somebody else does before a call of that name.
type Act = (&'static str, Box<dyn FnOnce(&Repository) + Send>);

/// An ECR with the repository of [`ARN`].
pub(crate) struct Ecr {
    pub(crate) api: Arc<aws_emulator::Ecr>,
    pub(crate) repository: Repository,
    calls: Arc<Mutex<Vec<String>>>,
    meanwhile: Arc<Mutex<Option<Act>>>,
}

impl Default for Ecr {
    fn default() -> Self {
        let api = aws_emulator::Ecr::alone("123456789012");
        api.lift_rates();
        let repository = api.create_repository(ARN, Mutability::Mutable);
        Self { api, repository, calls: Arc::default(), meanwhile: Arc::default() }
    }
}

impl Ecr {
    /// Stores an image.
    pub(crate) fn image(&self, seed: u64, tags: &[&str]) -> Image {
        self.store(Recipe::new(seed).layers(&[10]).single(), tags)
    }

    /// Stores an index of images.
    pub(crate) fn index(&self, children: &[&Image], tags: &[&str]) -> Image {
        let children: Vec<Image> = children.iter().copied().cloned().collect();
        self.store(Image::nested(&children), tags)
    }

    fn store(&self, image: Image, tags: &[&str]) -> Image {
        self.repository.put_image(None, &image);
        for tag in tags {
            self.repository.put_manifest(Some(tag), image.root());
        }
        image
    }

    /// Puts the claim that the fixtures' resource has on a tag.
    pub(crate) fn claim(&self, tag: &str) {
        let (artifact, claim) = ledger::fixture_claim(&tag.parse().unwrap());
        let manifests = vec![Manifest::new(artifact.bytes, &artifact.media_type)];
        let artifact = Image { manifests, blobs: vec![Blob::bytes("{}")] };
        self.repository.put_image(Some(claim.as_str()), &artifact);
    }

    pub(crate) fn holds(&self, image: &Image) -> bool {
        self.repository.images().iter().any(|digest| digest == image.digest())
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        self.repository.tags().into_keys().collect()
    }

    /// Names of the calls, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    /// Lets somebody else act before the first call of that name.
    pub(crate) fn meanwhile(&self, call: &'static str, act: impl FnOnce(&Repository) + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some((call, Box::new(act)));
    }

    /// Clients whose calls are seen here.
    pub(crate) fn clients(&self) -> EcrClients {
        let (calls, meanwhile) = (self.calls.clone(), self.meanwhile.clone());
        let repository = self.repository.clone();
        clients(&self.api, move |name| {
            calls.lock().unwrap().push(name.to_owned());
            let act = meanwhile.lock().unwrap().take_if(|(call, _)| *call == name);
            if let Some((_, act)) = act {
                act(&repository);
            }
        })
    }
}
