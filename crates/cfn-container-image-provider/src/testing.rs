//! For tests of several modules: ECR of the emulator with one repository, its DynamoDB with the state table,
//! and recorded calls.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_emulator::{DynamoDb, Image, ImageBuilder, Mutability, Repository};
use aws_smithy_http_client::test_util::infallible_client_fn;
use image_copy_aws::{AwsClients, RetryPolicy};
use serde_json::{Value, json};

pub(crate) const ARN: &str = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app";
pub(crate) const URI: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app";

/// Returns clients with responses from `respond`, which gets the target of the call, such as
/// `secretsmanager.GetSecretValue`, and its input. An error is a code and a message.
pub(crate) fn clients_with_responses(
    respond: impl Fn(&str, &Value) -> Result<Value, (&'static str, String)> + Send + Sync + 'static,
) -> AwsClients {
    let http = infallible_client_fn(move |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap();
        let input: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let (status, body) = match respond(target, &input) {
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
    AwsClients::new(
        config,
        RetryPolicy { first_pause: millisecond, longest_pause: millisecond, ..RetryPolicy::default() },
    )
}

/// Owner of the resource in the fixtures.
pub(crate) const OWNER: &str =
    "arn:aws:cloudformation:eu-west-1:123456789012:stack/images/7c9e6679-7425-40de-944b-e07fc1f90ae7/Python";
pub(crate) const TABLE: &str = "state";

/// ECR with the repository [`ARN`], and the state table.
pub(crate) struct FakeAws {
    pub(crate) ecr: Arc<aws_emulator::Ecr>,
    pub(crate) repository: Repository,
    pub(crate) dynamodb: Arc<DynamoDb>,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Default for FakeAws {
    fn default() -> Self {
        let ecr = aws_emulator::Ecr::standalone("123456789012");
        ecr.remove_rate_limits();
        let repository = ecr.create_repository(ARN, Mutability::Mutable);
        let dynamodb = DynamoDb::standalone();
        dynamodb.create_table("eu-west-1", TABLE);
        Self { ecr, repository, dynamodb, calls: Arc::default() }
    }
}

impl FakeAws {
    /// Stores an image.
    pub(crate) fn image(&self, seed: u64, tags: &[&str]) -> Image {
        self.store(ImageBuilder::new(seed).layers(&[10]).single(), tags)
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

    /// Registers owners with their copies, oldest first.
    pub(crate) fn register(&self, image: &str, copies: &[(&str, &Image)]) {
        let owners = copies.iter().map(|(owner, _)| ((*owner).to_owned(), json!(1)));
        let records = copies.iter().map(|(owner, image)| {
            json!({"Time": 1, "Owner": owner, "Digest": image.digest(), "Source": "x", "Selection": "all"})
        });
        let owners: serde_json::Map<String, Value> = owners.collect();
        let item = json!({
            "Image": image, "Version": 1, "Owners": owners, "Copies": records.collect::<Vec<_>>(),
        });
        self.dynamodb.put("eu-west-1", TABLE, &item);
    }

    /// Returns the item of an image.
    pub(crate) fn item(&self, image: &str) -> Option<Value> {
        self.dynamodb.items("eu-west-1", TABLE).into_iter().find(|item| item["Image"] == image)
    }

    pub(crate) fn has_image(&self, image: &Image) -> bool {
        self.repository.images().iter().any(|digest| digest == image.digest())
    }

    pub(crate) fn tags(&self) -> Vec<String> {
        self.repository.tags().into_keys().collect()
    }

    /// Returns and clears the names of recorded calls, in order.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// Returns clients of this ECR and DynamoDB. Their calls are recorded.
    pub(crate) fn clients(&self) -> AwsClients {
        self.clients_until(usize::MAX)
    }

    /// Like [`Self::clients`], but denies all calls after the first `allowed`.
    pub(crate) fn clients_until(&self, allowed: usize) -> AwsClients {
        let (calls, ecr, dynamodb) = (self.calls.clone(), self.ecr.clone(), self.dynamodb.clone());
        clients_with_responses(move |target, input| {
            let (service, name) = target.split_once('.').unwrap();
            let mut calls = calls.lock().unwrap();
            if calls.len() >= allowed {
                return Err(("AccessDeniedException", "no more calls".into()));
            }
            calls.push(name.to_owned());
            match service {
                "DynamoDB_20120810" => dynamodb.call("eu-west-1", name, input),
                _ => ecr.call("eu-west-1", name, input),
            }
        })
    }
}
