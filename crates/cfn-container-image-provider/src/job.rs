//! What an event asks for, carried out: a copy, or what a Delete may undo.

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use image_copy::copy::{self, Destination, Outcome, Platforms, Problem, Progress, Request, Side};
use image_copy::registry::{self, ManifestId};
use serde_json::Value;

use crate::continuation::{Round, Tally};
use crate::copying::{self, Claimed, Ends, Wish};
use crate::deadline::Deadline;
use crate::deletion::{Deleted, NotDeleted, Subject};
use crate::event::{CREATE_FAILED, Change, Envelope};
use crate::ledger;
use crate::logins::UpstreamCredentials;
use crate::properties::{Properties, platform_names};
use crate::reason::Failure;
use crate::response::Attributes;
use crate::services::Services;
use crate::undoing::{self, Undo};

/// What came of an event.
pub(crate) enum Done {
    /// The image is in ECR.
    Copied { properties: Box<Properties>, outcome: Box<Outcome> },
    /// The image was deleted as far as it may be.
    Deleted(Deleted),
    /// There was nothing to do, for this reason.
    Nothing(&'static str),
}

/// What the log tells of a job, also of one that did not come to its end.
#[derive(Default)]
pub(crate) struct Trail {
    pub(crate) request: OnceLock<Request>,
    pub(crate) source: OnceLock<copy::Source>,
    pub(crate) destination: OnceLock<registry::Repository>,
    /// What the transfer moved.
    pub(crate) tally: Arc<Tally>,
    /// What was claimed for this event.
    pub(crate) claimed: OnceLock<Claimed>,
}

/// Does what the event asks for.
pub(crate) async fn job(
    change: Change,
    envelope: &Envelope,
    services: &Services,
    deadline: &Deadline,
    round: &Round,
    trail: &Trail,
) -> Result<Done, Failure> {
    let (properties, previous) = match change {
        Change::Delete { properties } => return delete(&properties, envelope, services, deadline).await,
        Change::Create { properties } => (properties, Value::Null),
        Change::Update { properties, previous } => (properties, previous),
    };
    let copying = services.settings.copying.as_ref().map_err(|error| Failure::Setting(error.clone()))?;
    let default = &copying.default_platforms;
    let is_continued = round.number > 1;
    let wish = Wish { is_continued, ..wish(&properties, &previous, default, envelope)? };
    copying.allowed_sources.check(&wish.properties.source).map_err(Failure::NotAllowed)?;
    let until = Some(deadline.work);
    let repository = &wish.properties.repository;
    let request = wish.properties.request();
    let name = &request.source.repository;
    let (upstream, logins) =
        services.upstream(wish.properties.credentials.clone(), name.registry(), deadline.work);
    let source = trail
        .source
        .get_or_init(|| copy::Source::with_mirrors(&upstream, name.clone(), until, &copying.mirrors));
    let data = services.data(repository).map_err(Failure::Setting)?;
    let destination = Destination::with_inventory(
        services.registries.repository(data, until),
        Arc::new(services.ecr.repository(repository, until)),
    );
    trail.destination.get_or_init(|| destination.repository.clone());
    let ledger = services.settings.copy_records.then(|| services.ledger(repository, envelope, deadline));
    if let (Some(ledger), Some(place)) = (&ledger, &round.claimed) {
        trail.claimed.get_or_init(|| Claimed(ledger.clone(), place.clone()));
    }
    let (deadline, concurrent_blobs) = (deadline.work, round.concurrent_blobs);
    let ends = Ends { source, destination, ledger, deadline, concurrent_blobs };
    match copying::copy(&wish, &ends, trail).await {
        Ok(outcome) => Ok(Done::Copied { properties: Box::new(wish.properties), outcome: Box::new(outcome) }),
        Err(failure) => {
            let may_go_on = unfinished(&failure, &trail.tally).is_some();
            // Where the copy goes on in another invocation, that one needs the claim. Whoever
            // overtook this event has need of it too, or has withdrawn it.
            if let (false, false, Some(claimed)) =
                (may_go_on, failure == Failure::Overtaken, trail.claimed.get())
            {
                copying::give_up(claimed).await;
            }
            Err(with_login_problem(failure, &logins))
        }
    }
}

/// Says what is wrong with a login where that was what went wrong.
fn with_login_problem(failure: Failure, logins: &UpstreamCredentials) -> Failure {
    match (failure, logins.problem()) {
        (Failure::Copy(failure), Some(problem))
            if failure.side() == Side::Source && failure.problem() == Problem::CredentialsUnavailable =>
        {
            Failure::Login { failure, problem: Box::new(problem) }
        }
        (failure, _) => failure,
    }
}

/// How far a copy came that lacked time: its own, or ECR's, which told it to slow down until time
/// was up. None if it was not even known what to copy.
pub(crate) fn unfinished(failure: &Failure, tally: &Tally) -> Option<(copy::Error, Progress)> {
    let Failure::Copy(failure) = failure else { return None };
    let progress = match failure.as_ref() {
        copy::Failure::Deadline { progress, .. } => *progress,
        other if other.side() == Side::Destination && other.problem() == Problem::Throttled => {
            tally.progress().filter(|_| tally.gets_on())?
        }
        _ => return None,
    };
    (progress.blobs > 0).then(|| (failure.clone(), progress))
}

fn wish(
    properties: &Value,
    previous: &Value,
    default: &Platforms,
    envelope: &Envelope,
) -> Result<Wish, Failure> {
    let (parsed, objection) = match Properties::parse(properties, previous, default) {
        Ok(parsed) => (parsed, None),
        Err(error) if previous.is_null() => return Err(Failure::Property(error)),
        // Excused by itself, nothing is unknown: any other mistake stays one.
        Err(error) => match Properties::parse(properties, properties, default) {
            Ok(parsed) => (parsed, Some(error)),
            Err(error) => return Err(Failure::Property(error)),
        },
    };
    let before = Properties::parse(previous, previous, default).ok();
    let subject = Subject::parse(&envelope.physical_resource_id);
    let keeps_tag = subject.is_some_and(|subject| {
        subject.repository == parsed.repository
            && matches!((&subject.image, &parsed.tag), (ManifestId::Tag(old), Some(new)) if old == new)
    });
    Ok(Wish {
        fingerprint: ledger::fingerprint(properties),
        keeps_tag: keeps_tag && !previous.is_null(),
        previous: before.map(|before| (before, ledger::fingerprint(previous))),
        issued: seconds(envelope),
        is_continued: false,
        properties: parsed,
        objection,
    })
}

fn seconds(envelope: &Envelope) -> Option<u64> {
    Some(envelope.issued()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
}

async fn delete(
    properties: &Value,
    envelope: &Envelope,
    services: &Services,
    deadline: &Deadline,
) -> Result<Done, Failure> {
    let id = &envelope.physical_resource_id;
    let copying = services.settings.copying.as_ref();
    let default = copying.map_or(Platforms::All, |copying| copying.default_platforms.clone());
    let properties = Properties::parse(properties, properties, &default).ok();
    let subject = Subject::parse(id);
    let repository = match (&subject, &properties) {
        (Some(subject), _) => subject.repository.clone(),
        (None, Some(properties)) => properties.repository.clone(),
        (None, None) => return Ok(Done::Nothing("the id names no image of ours, so nothing was deleted")),
    };
    if !services.settings.copy_records {
        return Ok(Done::Nothing("the provider's setting COPY_RECORDS keeps no claims, and so every image"));
    }
    let ledger = services.ledger(&repository, envelope, deadline);
    let delete_images = services.settings.delete_images;
    let undo = Undo { ledger: &ledger, properties, issued: seconds(envelope), delete_images };
    let Some(subject) = subject else {
        // A Create that answered has withdrawn its claim. Other ids are made up for one that did not.
        undo.claims(if id == CREATE_FAILED { 1 } else { undoing::LOOKS }).await;
        return Ok(Done::Nothing("the id names no image of ours, so no image was deleted"));
    };
    match undo.image(&subject).await {
        Ok(deleted) => Ok(Done::Deleted(deleted)),
        Err(cause) => Err(Failure::NotDeleted(Box::new(NotDeleted { subject: id.clone(), cause }))),
    }
}

/// The physical id and the attributes that go with what was done.
pub(crate) fn identity(done: &Done, envelope: &Envelope) -> (String, Option<Attributes>) {
    match done {
        Done::Copied { properties, outcome } => {
            let attributes = attributes(properties, outcome);
            (attributes.image_reference.clone(), Some(attributes))
        }
        Done::Deleted(_) | Done::Nothing(_) => (envelope.physical_resource_id.clone(), None),
    }
}

fn attributes(properties: &Properties, outcome: &Outcome) -> Attributes {
    let repository = properties.repository.repository();
    let by_digest = repository.with_digest(outcome.digest.clone()).to_string();
    let by_tag = properties.tag.as_ref().map(|tag| repository.tagged(tag.clone()).to_string());
    let mut source = properties.source.clone();
    source.digest = Some(outcome.source_digest.clone());
    Attributes {
        image_reference: by_tag.unwrap_or_else(|| by_digest.clone()),
        digest: outcome.digest.to_string(),
        image_uri: by_digest,
        source_digest: outcome.source_digest.to_string(),
        source_reference: source.to_string(),
        platforms: platform_names(&outcome.platforms),
        repository_uri: repository.to_string(),
        tag: properties.tag.as_ref().map(ToString::to_string).unwrap_or_default(),
        media_type: outcome.media_type.clone(),
        size: outcome.size.to_string(),
        referrers: outcome.referrers.as_ref().map(ToString::to_string),
    }
}
