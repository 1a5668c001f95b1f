//! Defects that the checks of the demo must detect.

use std::sync::Arc;

use aws_emulator::lambda::Function;
use aws_emulator::stack::Provider;
use aws_emulator::{Direction, Effect, Fault, Repository};
use end_to_end::World;
use serde_json::{Value, json};

use super::TAG;

/// A defect to inject.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    /// No defect.
    None,
    /// A changed byte in a layer. ECR does not verify digests.
    Digest,
    /// A tag that was moved to another image after the copy.
    Tag,
    /// A response with a wrong request ID.
    Response,
}

impl Defect {
    /// Reads `DEMO_BREAK`.
    pub(crate) fn from_environment() -> Result<Self, String> {
        match std::env::var("DEMO_BREAK").as_deref() {
            Err(_) | Ok("") => Ok(Self::None),
            Ok("digest") => Ok(Self::Digest),
            Ok("tag") => Ok(Self::Tag),
            Ok("response") => Ok(Self::Response),
            Ok(other) => Err(format!("DEMO_BREAK is {other:?}, expected digest, tag or response")),
        }
    }

    /// Describes the defect, if any.
    pub(crate) fn announcement(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Digest => Some(
                "DEMO_BREAK=digest: two layers are damaged on the way to ECR, which does not verify them. The demo must fail.",
            ),
            Self::Tag => Some(
                "DEMO_BREAK=tag: after each copy, the tag is moved to another image. The demo must fail.",
            ),
            Self::Response => {
                Some("DEMO_BREAK=response: responses have a wrong request ID. The demo must fail.")
            }
        }
    }

    /// Prepares the defect before the first step.
    pub(crate) fn prepare(self, world: &World) {
        if self == Self::Digest {
            world.emulator.ecr().accept_wrong_digests();
            let corrupt = Effect::Corrupt { at_byte: 100, on: Some(Direction::Request) };
            // POST opens a session without a body, so only PUT and PATCH carry bytes.
            for operation in ["upload.put", "upload.patch"] {
                let fault = Fault::on(operation, corrupt.clone()).host("*.dkr.ecr.*");
                world.emulator.faults().add(fault.times(2));
            }
        }
    }

    /// Injects the defect after a copy.
    pub(crate) fn inject(self, repository: &Repository) {
        if self == Self::Tag {
            let named = repository.resolve(TAG);
            let other = repository.images().into_iter().find(|digest| Some(digest) != named.as_ref());
            repository.set_tag(TAG, other.as_deref());
        }
    }

    /// Returns the provider that the stack invokes.
    pub(crate) fn provider(self, world: &World) -> Arc<dyn Provider> {
        match self {
            Self::Response => Arc::new(WrongRequestId(world.function.clone())),
            Self::None | Self::Digest | Self::Tag => world.function.clone(),
        }
    }
}

/// Invokes the function with a wrong request ID.
struct WrongRequestId(Arc<Function>);

impl Provider for WrongRequestId {
    fn invoke(&self, mut event: Value) -> String {
        event["RequestId"] = json!("00000000-0000-4000-8000-000000000000");
        self.0.invoke(event)
    }
}
