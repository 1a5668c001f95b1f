//! Spoils one thing on purpose, so that the checks can show that they see it.

use std::sync::Arc;

use aws_emulator::lambda::Function;
use aws_emulator::stack::Provider;
use aws_emulator::{Direction, Effect, Fault, Repository};
use end_to_end::World;
use serde_json::{Value, json};

use super::TAG;

/// What is to be spoilt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Nothing.
    None,
    /// A byte of a layer, on its way into a registry that does not look.
    Digest,
    /// The tag, put on another image behind everybody's back.
    Tag,
    /// The request id in the answer.
    Answer,
}

impl Sabotage {
    /// What `DEMO_BREAK` names.
    pub(crate) fn from_environment() -> Result<Self, String> {
        match std::env::var("DEMO_BREAK").as_deref() {
            Err(_) | Ok("") => Ok(Self::None),
            Ok("digest") => Ok(Self::Digest),
            Ok("tag") => Ok(Self::Tag),
            Ok("answer") => Ok(Self::Answer),
            Ok(other) => Err(format!("DEMO_BREAK is {other:?}, expected digest, tag or answer")),
        }
    }

    /// Before the first step.
    pub(crate) fn prepare(self, world: &World) {
        if self == Self::Digest {
            world.emulator.ecr().overlook_wrong_digests();
            let corrupt = Effect::Corrupt { at_byte: 100, on: Some(Direction::Request) };
            // POST opens a session without a body; only what carries bytes is to be hit.
            for operation in ["upload.put", "upload.patch"] {
                let fault = Fault::on(operation, corrupt.clone()).host("*.dkr.ecr.*");
                world.emulator.faults().add(fault.times(2));
            }
        }
    }

    /// After each step that copies.
    pub(crate) fn spoil(self, repository: &Repository) {
        if self == Self::Tag {
            let named = repository.resolve(TAG);
            let other = repository.images().into_iter().find(|digest| Some(digest) != named.as_ref());
            repository.set_tag(TAG, other.as_deref());
        }
    }

    /// What stands between the stack and the function.
    pub(crate) fn provider(self, world: &World) -> Arc<dyn Provider> {
        match self {
            Self::Answer => Arc::new(Tampering(world.function.clone())),
            Self::None | Self::Digest | Self::Tag => world.function.clone(),
        }
    }
}

/// Lets the function believe that another request is to be answered.
struct Tampering(Arc<Function>);

impl Provider for Tampering {
    fn invoke(&self, mut event: Value) -> String {
        event["RequestId"] = json!("00000000-0000-4000-8000-000000000000");
        self.0.invoke(event)
    }
}
