//! Random schedules of the events of up to three resources.

use std::collections::BTreeSet;

use fastrand::Rng;
use image_copy::oci::Digest;
use image_copy_aws::Owner;

use super::simulation::{ProtocolVariant, START};

/// One event of one resource.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) owner: Owner,
    pub(super) time: u64,
    pub(super) request: ModelRequest,
    pub(super) is_unreachable: bool,
}

impl Event {
    pub(super) fn waiting_digest(&self) -> Option<Digest> {
        match &self.request {
            ModelRequest::Wait { digest } => Some(digest.clone()),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum ModelRequest {
    Create {
        digest: Digest,
        fails: bool,
    },
    Update {
        digest: Digest,
    },
    /// A copy that waits for its minimum age: it only records the time at which the digest was first seen.
    Wait {
        digest: Digest,
    },
    Delete,
}

/// Events of each resource, in their order.
pub(super) struct Schedule {
    pub(super) event_queues: Vec<Vec<Event>>,
    pub(super) deleted: BTreeSet<Owner>,
}

pub(super) fn random_schedule(rng: &mut Rng, variant: ProtocolVariant) -> Schedule {
    let names = &["A", "B", "C"][..[1, 2, 2, 3][rng.usize(..4)]];
    let mut schedule = Schedule { event_queues: Vec::new(), deleted: BTreeSet::new() };
    for name in names {
        let owner = Owner::of_resource("stack", name);
        let mut events = Vec::new();
        let copies = [1, 2, 3][rng.usize(..3)];
        let mut fails = false;
        for number in 0..copies {
            let time = START + number as u64 + 1;
            let digest = match rng.usize(..3) {
                0 => Digest::of(b"first"),
                1 => Digest::of(b"second"),
                _ => Digest::of(format!("{name}{number}").as_bytes()),
            };
            fails = number == 0 && rng.u8(..100) < 6;
            let request = match number {
                0 => ModelRequest::Create { digest, fails },
                _ => ModelRequest::Update { digest },
            };
            let is_unreachable = variant == ProtocolVariant::TableUnreachable && rng.u8(..100) < 15;
            if rng.u8(..100) < 20 {
                let request = ModelRequest::Wait { digest: waiting_digest(name, number) };
                events.push(Event { owner: owner.clone(), time, request, is_unreachable });
            }
            events.push(Event { owner: owner.clone(), time, request, is_unreachable });
            if fails {
                break;
            }
        }
        // CloudFormation deletes a resource whose Create failed.
        if fails || rng.u8(..100) < 60 {
            let time = events.last().map_or(START, |last| last.time + 1);
            let is_unreachable = variant == ProtocolVariant::TableUnreachable && rng.u8(..100) < 15;
            let delete = Event { owner: owner.clone(), time, request: ModelRequest::Delete, is_unreachable };
            schedule.deleted.insert(owner);
            if rng.u8(..100) < 40 && !fails {
                // Cancelled event: CloudFormation sends the Delete during the copy.
                schedule.event_queues.push(vec![delete]);
            } else {
                events.push(delete);
            }
        }
        schedule.event_queues.push(events);
    }
    schedule
}

/// Returns a digest of the source that no event copies.
fn waiting_digest(name: &str, number: usize) -> Digest {
    Digest::of(format!("waiting {name}{number}").as_bytes())
}
