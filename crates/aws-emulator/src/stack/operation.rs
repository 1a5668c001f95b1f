//! One operation being played: requests sent, answers awaited, everything written down.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::apply::Trail;
use super::lock;
use super::report::{End, Phase, StackEvent, StackStatus, Transcript, Turn};
use super::template::{Behaviour, Kind, Moment, Resource, Sibling};
use super::{Doomed, Stack};
use crate::bucket::{Answer, Flaw, Identity, Status, VALIDITY};
use crate::ids;

/// How long CloudFormation waits for an answer, in its own seconds.
const SERVICE_TIMEOUT: u32 = 3_600;

/// What is asked of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    Update,
    Delete,
}

/// One thing asked of one resource.
pub(super) struct Ask<'a> {
    pub(super) phase: Phase,
    pub(super) verb: Verb,
    pub(super) logical_id: &'a str,
    pub(super) resource: &'a Resource,
    pub(super) properties: &'a Map<String, Value>,
    pub(super) old_properties: Option<&'a Map<String, Value>>,
    pub(super) physical_id: Option<&'a str>,
}

/// A resource that did what it was asked.
#[derive(Default)]
pub(super) struct Made {
    pub(super) physical_id: String,
    pub(super) attributes: Map<String, Value>,
    pub(super) request_id: String,
}

/// A resource that did not.
pub(super) struct Failed {
    pub(super) reason: String,
    /// The id in the answer, if there was one.
    pub(super) physical_id: Option<String>,
}

/// One operation on a stack.
pub(super) struct Play<'a> {
    pub(super) stack: &'a Stack,
    pub(super) trail: Mutex<Trail>,
    pub(super) doomed: Mutex<Vec<Doomed>>,
    started: Instant,
    turns: Mutex<Vec<Turn>>,
    events: Mutex<Vec<StackEvent>>,
    sent: Notify,
}

impl<'a> Play<'a> {
    pub(super) fn new(stack: &'a Stack) -> Self {
        Self {
            stack,
            trail: Mutex::default(),
            doomed: Mutex::default(),
            started: Instant::now(),
            turns: Mutex::default(),
            events: Mutex::default(),
            sent: Notify::new(),
        }
    }

    /// Ends the operation.
    pub(super) fn finish(self, status: StackStatus) -> Transcript {
        self.note(&self.stack.settings.name, &status.to_string(), None);
        *lock(&self.stack.status) = status;
        let took = self.started.elapsed();
        Transcript {
            status,
            turns: self.turns.into_inner().unwrap_or_else(PoisonError::into_inner),
            events: self.events.into_inner().unwrap_or_else(PoisonError::into_inner),
            took,
        }
    }

    /// Adds a line to the stack's events.
    pub(super) fn note(&self, logical_id: &str, status: &str, reason: Option<&str>) {
        lock(&self.events).push(StackEvent {
            at: self.started.elapsed(),
            logical_id: logical_id.to_owned(),
            status: status.to_owned(),
            reason: reason.map(ToOwned::to_owned),
        });
    }

    /// Asks a resource to do something, and waits for it.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Made, Failed> {
        let verb = match ask.verb {
            Verb::Create => "CREATE",
            Verb::Update => "UPDATE",
            Verb::Delete => "DELETE",
        };
        self.note(ask.logical_id, &format!("{verb}_IN_PROGRESS"), None);
        let result = match &ask.resource.kind {
            Kind::Custom(resource_type) => self.request(&ask, resource_type).await,
            Kind::Sibling(sibling) => self.sibling(&ask, sibling).await,
        };
        match &result {
            Ok(_) => self.note(ask.logical_id, &format!("{verb}_COMPLETE"), None),
            Err(failed) => {
                self.note(ask.logical_id, &format!("{verb}_FAILED"), Some(&failed.reason));
            }
        }
        result
    }

    /// Sends an event for a custom resource.
    async fn request(&self, ask: &Ask<'_>, resource_type: &str) -> Result<Made, Failed> {
        let mut event = json!({
            "RequestType": format!("{:?}", ask.verb),
            "ServiceToken": ask.properties.get("ServiceToken"),
            "ResourceType": resource_type,
            "LogicalResourceId": ask.logical_id,
            "ResourceProperties": ask.properties,
        });
        if let Some(physical_id) = ask.physical_id {
            event["PhysicalResourceId"] = json!(physical_id);
        }
        if let Some(old) = ask.old_properties {
            event["OldResourceProperties"] = json!(old);
        }
        let turn = self.send(ask.phase, event).await;
        let request_id = turn.event["RequestId"].as_str().unwrap_or_default().to_owned();
        match turn.end {
            End::Answered(answer) if answer.status == Status::Success => {
                Ok(Made { physical_id: answer.physical_id, attributes: answer.data, request_id })
            }
            End::Answered(answer) => Err(Failed {
                reason: format!(
                    "Received response status [FAILED] from custom resource. Message returned: {} \
                     (RequestId: {request_id})",
                    answer.reason.unwrap_or_default()
                ),
                physical_id: Some(answer.physical_id),
            }),
            End::Invalid(reason) => Err(Failed { reason, physical_id: None }),
            End::TimedOut | End::Open | End::Cancelled => Err(Failed {
                reason: format!(
                    "CloudFormation did not receive a response from your Custom Resource. Please \
                     check your logs for requestId [{request_id}]."
                ),
                physical_id: None,
            }),
        }
    }

    /// Sends an event, completed by what it lacks of the envelope, and waits for its end.
    pub(super) async fn send(&self, phase: Phase, mut event: Value) -> Turn {
        let stack = self.stack;
        let mut field = |name: &str, value: &dyn Fn() -> String| {
            if event.get(name).is_none() {
                event[name] = Value::String(value());
            }
            event[name].as_str().unwrap_or_default().to_owned()
        };
        let identity = Identity {
            stack_id: field("StackId", &|| stack.id.clone()),
            logical_id: field("LogicalResourceId", &|| "Resource".to_owned()),
            request_id: field("RequestId", &ids::uuid),
        };
        field("ResponseURL", &|| stack.bucket.sign(&identity, stack.settings.signature, VALIDITY));
        let limit = stack.settings.second * service_timeout(&event);
        let seen = stack.bucket.uploads(&identity).len();
        let open = OpenTurn::new(self, phase, event.clone());
        open.change(|turn| turn.invocation = stack.provider.invoke(event));
        self.sent.notify_waiters();
        let end = timeout(limit, self.answer(&identity, seen, &open)).await;
        open.close(end.unwrap_or(End::TimedOut))
    }

    /// Waits for an answer that counts.
    async fn answer(&self, identity: &Identity, mut seen: usize, open: &OpenTurn<'_, '_>) -> End {
        loop {
            let uploads = self.stack.bucket.more_uploads(identity, seen).await;
            for upload in uploads.iter().skip(seen).filter(|upload| upload.status == 200) {
                match Answer::read(&upload.body, identity) {
                    Ok(answer) => return End::Answered(answer),
                    Err(Flaw::Invalid(reason)) => return End::Invalid(reason),
                    Err(Flaw::Discarded(reason)) => {
                        open.change(|turn| turn.discarded.push(reason));
                    }
                }
            }
            seen = uploads.len();
        }
    }

    async fn sibling(&self, ask: &Ask<'_>, sibling: &Sibling) -> Result<Made, Failed> {
        let obedient = Behaviour::default();
        let behaviour = match (ask.phase, ask.verb) {
            (Phase::Forward, Verb::Create) => &sibling.create,
            (Phase::Forward, Verb::Update) => &sibling.update,
            (_, Verb::Delete) => &sibling.delete,
            _ => &obedient,
        };
        match &behaviour.moment {
            Moment::AtOnce => {}
            Moment::After(delay) => tokio::time::sleep(*delay).await,
            Moment::Sent(logical_id) => self.until_sent(logical_id).await,
            Moment::Signal(signal) => signal.notified().await,
        }
        if let Some(reason) = &behaviour.failure {
            return Err(Failed { reason: reason.clone(), physical_id: None });
        }
        let physical_id =
            ask.physical_id.map_or_else(|| self.stack.invent_id(ask.logical_id), ToOwned::to_owned);
        let attributes = sibling.attributes.clone();
        Ok(Made { physical_id, attributes, request_id: ids::uuid() })
    }

    async fn until_sent(&self, logical_id: &str) {
        loop {
            let sent = self.sent.notified();
            if lock(&self.turns).iter().any(|turn| turn.logical_id() == logical_id) {
                return;
            }
            sent.await;
        }
    }
}

/// A turn that is under way. When nobody waits for it any longer, it was cancelled.
struct OpenTurn<'a, 'b> {
    play: &'a Play<'b>,
    index: usize,
    since: Instant,
}

impl<'a, 'b> OpenTurn<'a, 'b> {
    fn new(play: &'a Play<'b>, phase: Phase, event: Value) -> Self {
        let mut turns = lock(&play.turns);
        turns.push(Turn {
            phase,
            event,
            invocation: String::new(),
            end: End::Open,
            discarded: Vec::new(),
            at: play.started.elapsed(),
            took: Duration::ZERO,
        });
        Self { play, index: turns.len() - 1, since: Instant::now() }
    }

    fn change(&self, change: impl FnOnce(&mut Turn)) {
        change(&mut lock(&self.play.turns)[self.index]);
    }

    fn close(self, end: End) -> Turn {
        self.change(|turn| turn.end = end);
        let index = self.index;
        let play = self.play;
        drop(self);
        lock(&play.turns)[index].clone()
    }
}

impl Drop for OpenTurn<'_, '_> {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        self.change(|turn| {
            turn.took = took;
            if turn.end == End::Open {
                turn.end = End::Cancelled;
            }
        });
    }
}

/// The `ServiceTimeout` of an event, in seconds.
fn service_timeout(event: &Value) -> u32 {
    let value = &event["ResourceProperties"]["ServiceTimeout"];
    let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    text.parse().unwrap_or(SERVICE_TIMEOUT).clamp(1, SERVICE_TIMEOUT)
}
