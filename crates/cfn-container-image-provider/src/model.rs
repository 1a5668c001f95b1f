//! A model test: two and three events at once, every call to ECR a step, and every order of the
//! steps with few switches. Each must end as one of the possible orders of whole events would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use aws_emulator::{Ecr, Image, Mutability, Recipe, Repository};
use image_copy_aws::EcrClients;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::event::Input;
use crate::job::{Trail, job};
use crate::services::Services;
use crate::settings::Settings;
use crate::testing::{ARN, URI, clients};

#[derive(Debug, Clone, Copy)]
enum Event {
    Create(&'static str, usize),
    Update(&'static str, usize, usize),
    Delete(&'static str, usize),
}

/// What is in the end: what the tag names, how many claims there are, and who succeeded.
type End = (Option<String>, usize, Vec<bool>);

/// Lets one thread at a time make its next call.
#[derive(Default)]
struct Gate {
    state: Mutex<Turns>,
    changed: Condvar,
}

#[derive(Default)]
struct Turns {
    turn: Option<usize>,
    waiting: BTreeSet<usize>,
    done: BTreeSet<usize>,
}

impl Gate {
    fn pass(&self, who: usize) {
        let mut state = self.state.lock().unwrap();
        if state.turn == Some(who) {
            state.turn = None;
        }
        state.waiting.insert(who);
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.turn != Some(who)).unwrap();
        state.waiting.remove(&who);
    }

    fn finish(&self, who: usize) {
        let mut state = self.state.lock().unwrap();
        if state.turn == Some(who) {
            state.turn = None;
        }
        state.done.insert(who);
        self.changed.notify_all();
    }

    /// Lets `who` make one call; false when it has none left.
    fn step(&self, who: usize) -> bool {
        let ready = |state: &mut Turns| {
            state.turn.is_some() || !(state.waiting.contains(&who) || state.done.contains(&who))
        };
        let mut state = self.changed.wait_while(self.state.lock().unwrap(), ready).unwrap();
        if state.done.contains(&who) {
            return false;
        }
        state.turn = Some(who);
        self.changed.notify_all();
        // Until its next call, or its end.
        drop(self.changed.wait_while(state, |state| state.turn.is_some()).unwrap());
        true
    }
}

struct World {
    ecr: Arc<Ecr>,
    repository: Repository,
    images: [Image; 2],
}

impl World {
    /// `kept` images have another tag, so that none is ever lost.
    fn new(mutability: Mutability, before: &[Event], kept: bool) -> Self {
        let ecr = Ecr::alone("123456789012");
        ecr.lift_rates();
        let repository = ecr.create_repository(ARN, mutability);
        let images = [1, 2].map(|seed| Recipe::new(seed).platforms(&["linux/amd64"]).layers(&[10]).index());
        for (number, image) in images.iter().enumerate() {
            let keep = format!("keep-{number}");
            repository.put_image(Some(keep.as_str()).filter(|_| kept), image);
        }
        // Something else that has the blob of records, which is not put by the API.
        let other = Image::referrer(images[0].root(), "application/x", "other");
        repository.put_image(Some("other"), &other);
        let world = Self { ecr, repository, images };
        for (number, event) in before.iter().enumerate() {
            let gate = Arc::new(Gate::default());
            let end = world.play(&[*event], &gate, number as u64, |gate| while gate.step(0) {});
            assert_eq!(end, [true], "{event:?}");
        }
        world
    }

    fn payload(&self, event: Event, second: u64) -> Value {
        let properties = |number: usize| {
            // Nobody answers there: all that is needed is in ECR.
            let reference = format!("localhost:1/app:1@{}", self.images[number].digest());
            json!({"ImageReference": reference, "RepositoryArn": ARN, "Platform": "all"})
        };
        let (kind, logical_id, old, new) = match event {
            Event::Create(id, new) => ("Create", id, None, new),
            Event::Update(id, old, new) => ("Update", id, Some(old), new),
            Event::Delete(id, new) => ("Delete", id, None, new),
        };
        let mut payload = json!({
            "RequestType": kind,
            "ResponseURL": format!("https://bucket.example/?X-Amz-Date=20261121T0000{second:02}Z"),
            "StackId": "arn:stack", "RequestId": "r", "ResourceType": "Custom::ContainerImage",
            "LogicalResourceId": logical_id, "ServiceToken": "arn:function",
            "ResourceProperties": properties(new),
        });
        if let Some(old) = old {
            payload["OldResourceProperties"] = properties(old);
        }
        match event {
            Event::Create(..) => {}
            _ => payload["PhysicalResourceId"] = json!(format!("{URI}:1")),
        }
        payload
    }

    /// Runs events, each in a thread of its own, and tells which succeeded.
    fn play(&self, events: &[Event], gate: &Arc<Gate>, second: u64, order: impl FnOnce(&Gate)) -> Vec<bool> {
        std::thread::scope(|scope| {
            let run = |(who, event): (usize, &Event)| {
                let waiting = gate.clone();
                let clients = clients(&self.ecr, move |_| waiting.pass(who));
                let payload = self.payload(*event, second + who as u64);
                let gate = gate.clone();
                scope.spawn(move || {
                    let succeeded = carry_out(payload, clients);
                    gate.finish(who);
                    succeeded
                })
            };
            let threads: Vec<_> = events.iter().enumerate().map(run).collect();
            order(gate);
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    fn end(&self, succeeded: Vec<bool>) -> End {
        let tags: BTreeMap<String, String> = self.repository.tags();
        let claims = tags.keys().filter(|tag| tag.starts_with("copy-claim.")).count();
        assert!(!tags.keys().any(|tag| tag.starts_with("copy-removal.")), "{tags:?}");
        if tags.contains_key("1") {
            assert_eq!(self.repository.damage("1"), Vec::<String>::new());
        }
        (tags.get("1").cloned(), claims, succeeded)
    }
}

fn carry_out(payload: Value, clients: EcrClients) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let services = Services::new(Settings::read(|_| None), clients).unwrap();
    let Ok(Input::CloudFormation(event)) = Input::read(payload) else { panic!("no event") };
    runtime.block_on(async {
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(3), None);
        let change = event.change.unwrap();
        job(change, &event.envelope, &services, &deadline, &event.round, &Trail::default()).await.is_ok()
    })
}

/// More calls than any event makes.
const ALL: usize = 1000;

/// One order of steps: who makes how many calls, in turn; then all to their ends.
type Order = Vec<(usize, usize)>;

fn drive(gate: &Gate, order: &Order, events: usize) -> bool {
    let mut in_full = true;
    for (who, steps) in order {
        let made = (0..*steps).all(|_| gate.step(*who));
        in_full &= made || *steps == ALL;
    }
    for who in order.iter().map(|(who, _)| *who).chain(0..events) {
        while gate.step(who) {}
    }
    in_full
}

/// Whether this order was gone through as it says.
fn run(
    mutability: &Mutability,
    before: &[Event],
    events: &[Event],
    kept: bool,
    order: &Order,
) -> (End, bool) {
    let world = World::new(mutability.clone(), before, kept);
    let gate = Arc::new(Gate::default());
    let mut in_full = false;
    let played = world.play(events, &gate, 10, |gate| in_full = drive(gate, order, events.len()));
    (world.end(played), in_full)
}

fn orders(events: usize) -> Vec<Vec<usize>> {
    if events == 2 {
        return vec![vec![0, 1], vec![1, 0]];
    }
    vec![vec![0, 1, 2], vec![0, 2, 1], vec![1, 0, 2], vec![1, 2, 0], vec![2, 0, 1], vec![2, 1, 0]]
}

/// Plays `events` after `before` in every order of steps in which the first to run is stopped once
/// after any number of steps, and the second once as well.
fn check(mutability: Mutability, before: &[Event], events: &[Event], kept: bool, stride: usize) -> usize {
    let whole = |order: &Vec<usize>| order.iter().map(|who| (*who, ALL)).collect::<Order>();
    let allowed: BTreeSet<End> = orders(events.len())
        .iter()
        .map(|order| run(&mutability, before, events, kept, &whole(order)).0)
        .collect();
    let mut played = 0;
    for order in orders(events.len()) {
        for first in (1..).step_by(stride) {
            let mut any = false;
            for second in (1..).step_by(stride) {
                let last = *order.last().expect("there are events");
                let steps = vec![
                    (order[0], first),
                    (order[1], second),
                    (last, if last == order[1] { 0 } else { ALL }),
                    (order[0], ALL),
                ];
                let (end, in_full) = run(&mutability, before, events, kept, &steps);
                played += 1;
                let what = format!("{events:?} after {before:?}, {mutability:?}, kept {kept}, {steps:?}");
                assert!(allowed.contains(&end), "{what}: {end:?}, allowed {allowed:#?}");
                if !in_full {
                    break;
                }
                any = true;
            }
            if !any {
                break;
            }
        }
    }
    played
}

const BOTH: [Mutability; 2] = [Mutability::Mutable, Mutability::Immutable];

#[test]
fn two_events_at_once_end_as_one_after_the_other() {
    let (one, two) = ([Event::Create("A", 0)], [Event::Create("A", 0), Event::Create("B", 0)]);
    let mut played = 0;
    for mutability in BOTH {
        let deletes = [Event::Delete("A", 0), Event::Delete("B", 0)];
        played += check(mutability.clone(), &two, &deletes, false, 1);
        played += check(mutability.clone(), &one, &[Event::Delete("A", 0), Event::Create("B", 0)], true, 1);
        played += check(mutability.clone(), &one, &[Event::Create("B", 1), Event::Delete("A", 0)], true, 1);
        played += check(mutability.clone(), &[], &[Event::Create("A", 0), Event::Create("B", 0)], true, 2);
    }
    assert!(played > 500, "{played}");
}

#[test]
fn two_events_at_once_where_a_tag_moves() {
    let two = [Event::Create("A", 0), Event::Create("B", 0)];
    check(Mutability::Mutable, &two, &[Event::Update("A", 0, 1), Event::Delete("B", 0)], true, 1);
    let moved = [Event::Create("A", 0), Event::Create("B", 1)];
    check(Mutability::Mutable, &moved, &[Event::Delete("B", 1), Event::Update("A", 0, 0)], true, 1);
}

#[test]
fn three_events_at_once_end_as_one_after_the_other() {
    let two = [Event::Create("A", 0), Event::Create("B", 0)];
    for mutability in BOTH {
        let events = [Event::Delete("A", 0), Event::Delete("B", 0), Event::Create("C", 0)];
        check(mutability, &two, &events, true, 3);
    }
}
