//! Shared helpers: an emulated account with the provider and a stack.

#![allow(dead_code, reason = "each test file uses its part")]
#![expect(clippy::unwrap_used, reason = "a failed setup ends the test")]

pub(crate) mod direct;
pub(crate) mod planted;

use std::sync::Arc;
use std::time::Duration;

use aws_emulator::bucket::{ProviderResponse, RequestIds, Status};
use aws_emulator::lambda::FunctionSettings;
use aws_emulator::stack::{CallOutcome, ProviderCall, Stack};
use aws_emulator::{Image, ImageBuilder, LogPosition, Mutability, Repository, STATE_TABLE};
use end_to_end::{World, bootstrap};
use serde_json::{Value, json};

pub(crate) struct Account {
    pub(crate) world: World,
    pub(crate) repository: Repository,
    pub(crate) stack: Arc<Stack>,
}

impl Account {
    pub(crate) async fn new() -> Self {
        Self::with(Mutability::Mutable, |_| {}).await
    }

    pub(crate) async fn with(mutability: Mutability, change: impl FnOnce(&mut FunctionSettings)) -> Self {
        let world = World::start(bootstrap().unwrap(), |settings| {
            settings.timeout = Duration::from_secs(60);
            change(settings);
        })
        .await
        .unwrap();
        let arn = world.emulator.repository_arn("python");
        let repository = world.emulator.ecr().create_repository(&arn, mutability);
        // Duration of one second of CloudFormation's timeout, which is 3600 of them.
        let stack = world.stack("shop", Duration::from_millis(25));
        Self { world, repository, stack }
    }

    /// Properties for an image of Docker Hub's `library/python`, all platforms.
    pub(crate) fn properties(&self, image: &str) -> Value {
        json!({"ImageReference": image, "RepositoryArn": self.repository.arn(), "Platform": "all"})
    }

    pub(crate) fn publish(&self, tag: &str, image: &Image) {
        self.world.emulator.docker_hub().put_image("library/python", tag, image);
    }

    pub(crate) fn mark(&self) -> LogPosition {
        self.world.emulator.log().mark()
    }

    /// Returns the operations of requests to Docker Hub's hosts. Challenges and tokens are excluded, because
    /// a sandbox keeps its tokens.
    pub(crate) fn source_operations(&self, mark: LogPosition) -> Vec<String> {
        let entries = self.world.emulator.log().since(mark);
        let upstream = entries.into_iter().filter(|entry| {
            matches!(entry.service.as_str(), "upstream" | "cdn") && entry.status != Some(401)
        });
        upstream.map(|entry| entry.operation).collect()
    }

    /// Checks that the tag names the image and that ECR has all of its bytes.
    #[track_caller]
    pub(crate) fn check_stored(&self, tag: &str, image: &Image) {
        assert_eq!(self.repository.resolve(tag).as_deref(), Some(image.digest()), "digest of {tag}");
        assert_eq!(self.repository.integrity_errors(tag), Vec::<String>::new());
        for manifest in &image.manifests {
            assert_eq!(self.repository.manifest(&manifest.digest).as_ref(), Some(&manifest.bytes));
        }
    }

    /// Returns the items of the state table.
    pub(crate) fn items(&self) -> Vec<Value> {
        let region = &self.world.emulator.settings().region;
        self.world.emulator.dynamodb().items(region, STATE_TABLE)
    }

    /// Returns the owners in all items of the state table, sorted.
    pub(crate) fn owners(&self) -> Vec<String> {
        let items = self.items();
        let owners = items.iter().filter_map(|item| item["Owners"].as_object());
        let mut owners: Vec<String> = owners.flat_map(|owners| owners.keys().cloned()).collect();
        owners.sort();
        owners
    }

    /// Checks that ECR has sent push events only for these digests.
    #[track_caller]
    pub(crate) fn check_pushes(&self, digests: &[String]) {
        for push in self.world.emulator.ecr().push_events() {
            assert!(digests.contains(&push.digest), "{push:?} is not a manifest of an image");
        }
    }

    /// Sends an event and returns the only response to it.
    pub(crate) async fn send(&self, event: Value) -> ProviderResponse {
        response_of(self.stack.send(event).await)
    }

    /// Returns all responses to a call's event, including those after the stack stopped waiting.
    pub(crate) fn responses(&self, call: &ProviderCall) -> Vec<ProviderResponse> {
        let text = |name: &str| call.event[name].as_str().unwrap().to_owned();
        let identity = RequestIds {
            stack_id: text("StackId"),
            logical_id: text("LogicalResourceId"),
            request_id: text("RequestId"),
        };
        let uploads = self.world.bucket.uploads(&identity);
        uploads.iter().map(|upload| ProviderResponse::parse(&upload.body, &identity).unwrap()).collect()
    }

    pub(crate) async fn create(&self, properties: Value) -> ProviderResponse {
        self.send(create_event(&properties)).await
    }

    /// Sends a Create. Also returns the last line of the log, which the metrics use.
    pub(crate) async fn create_and_last_line(&self, properties: &Value) -> (ProviderResponse, Value) {
        let call = self.stack.send(create_event(properties)).await;
        let line = self.last_line(&call).await;
        (response_of(call), line)
    }

    /// Returns the last log line of an invocation, which follows the response.
    pub(crate) async fn last_line(&self, call: &ProviderCall) -> Value {
        for _ in 0..600 {
            let lines = self.world.function.output_of(&call.invocation_id);
            let mut lines = lines.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.find(|line| line["outcome"].is_string()) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the invocation did not log its last line")
    }
}

/// Returns a Create event.
pub(crate) fn create_event(properties: &Value) -> Value {
    json!({
        "RequestType": "Create",
        "ResourceType": "Custom::ContainerImage",
        "ResourceProperties": properties,
    })
}

#[track_caller]
pub(crate) fn response_of(call: ProviderCall) -> ProviderResponse {
    assert_eq!(call.discarded_responses, Vec::<String>::new(), "discarded responses");
    match call.outcome {
        CallOutcome::Responded(response) => response,
        end => panic!("no response: {end:?}"),
    }
}

#[track_caller]
pub(crate) fn failure_reason(response: &ProviderResponse) -> &str {
    assert_eq!(response.status, Status::Failed, "{response:?}");
    let reason = response.reason.as_deref().unwrap();
    assert!(!reason.contains('\n') && reason.chars().count() <= 400 + 40, "{reason}");
    assert!(!reason.contains('?') || !reason.contains("Signature"), "{reason}");
    reason
}

#[track_caller]
pub(crate) fn check_success(response: &ProviderResponse) {
    assert_eq!(response.status, Status::Success, "{response:?}");
}

pub(crate) fn index(seed: u64) -> Image {
    ImageBuilder::new(seed)
        .platforms(&["linux/amd64", "linux/arm64"])
        .layers(&[40_000, 3_000])
        .attestations()
        .index()
}
