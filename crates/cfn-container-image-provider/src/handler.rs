//! From an event to its one answer.
//!
//! The job may fail, panic or not come to an end: the answer is given in each case, and only when
//! that could not be delivered does Lambda hear of an error (and tries the whole event again).

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use image_copy::copy::{self, Destination, Limits, Outcome, Platforms, Progress, Request};
use image_copy::registry::{self, ManifestId};
use image_copy_aws::{EcrClients, EcrCredentials, Functions, RepositoryArn};
use serde_json::Value;
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::continuation::{self, Halt, Tally};
use crate::copying::{self, Claimed, Ends, Wish};
use crate::deadline::Deadline;
use crate::deletion::{Deleted, NotDeleted, Subject};
use crate::event::{CREATE_FAILED, Change, Envelope, Event, Input};
use crate::ledger::{self, Claimant, Ledger};
use crate::properties::{Properties, platform_names};
use crate::reason::{Failure, reason};
use crate::report;
use crate::response::{Answer, Attributes, Courier, Undelivered};
use crate::settings::Settings;
use crate::undoing::{self, Undo};
use crate::watchdog::FailedInvocation;

/// What events share: made once, for as long as the function lives.
pub(crate) struct Services {
    settings: Settings,
    ecr: EcrClients,
    registries: registry::Client,
    functions: Functions,
    courier: Courier,
}

/// One call of the function.
pub(crate) struct Invocation {
    /// Lambda's request id.
    pub(crate) request_id: String,
    /// The function as it was called, which is how it calls itself.
    pub(crate) function_arn: String,
    /// Time until Lambda stops the function.
    pub(crate) left: Duration,
}

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
    pub(crate) source: OnceLock<registry::Repository>,
    pub(crate) destination: OnceLock<registry::Repository>,
    /// What the transfer moved.
    pub(crate) tally: Arc<Tally>,
    /// What was claimed for this event.
    pub(crate) claimed: OnceLock<Claimed>,
    /// Whether an earlier invocation began the job.
    pub(crate) is_continued: bool,
}

impl Services {
    /// Makes the clients; nothing is sent.
    pub(crate) fn new(settings: Settings, ecr: EcrClients) -> Result<Self, String> {
        let http = image_copy::http::Options {
            user_agent: crate::USER_AGENT.into(),
            ..image_copy::http::Options::default()
        };
        let options = registry::Options { http, ..registry::Options::default() };
        let registries = registry::Client::new(options, Arc::new(EcrCredentials::new(ecr.clone())))?;
        let functions = ecr.functions();
        let courier = Courier::new().map_err(|error| error.without_url().to_string())?;
        Ok(Self { settings, ecr, registries, functions, courier })
    }

    /// Records and claims in a repository, as the event's resource sees them. What a failure leaves
    /// is put in order after the work's own deadline.
    fn ledger(&self, arn: &RepositoryArn, envelope: &Envelope, deadline: &Deadline) -> Ledger {
        let until = Some(deadline.job);
        let (stack_id, logical_id) = (envelope.stack_id.clone(), envelope.logical_resource_id.clone());
        Ledger::new(
            self.ecr.repository(arn, until),
            self.registries.repository(arn.repository(), until),
            Claimant { stack_id, logical_id },
        )
    }
}

/// Handles one call.
///
/// # Errors
/// When the call is none of CloudFormation's, or the answer could not be delivered.
pub(crate) async fn handle(
    payload: Value,
    invocation: &Invocation,
    services: &Services,
) -> Result<(), String> {
    let now = Instant::now();
    match Input::read(payload).map_err(|error| error.to_string())? {
        Input::CloudFormation(event) | Input::Continuation(event) => {
            let span = span(&event.envelope, invocation);
            let left = event.round.left(&event.envelope, SystemTime::now());
            let deadline = Deadline::new(now, invocation.left, Some(left));
            let answered = answer(event, invocation, services, deadline).instrument(span).await;
            answered.map_err(|error| error.to_string())
        }
        Input::FailedInvocation(failed) => {
            let deadline = Deadline::new(now, invocation.left, None);
            answer_for(failed, invocation, services, deadline).await.map_err(|error| error.to_string())
        }
    }
}

fn span(envelope: &Envelope, invocation: &Invocation) -> tracing::Span {
    tracing::error_span!(
        "event",
        stack_id = envelope.stack_id,
        logical_resource_id = envelope.logical_resource_id,
        request_type = envelope.request_type,
        request_id = envelope.request_id,
        lambda_request_id = invocation.request_id,
        version = env!("CARGO_PKG_VERSION"),
    )
}

async fn answer(
    event: Event,
    invocation: &Invocation,
    services: &Services,
    deadline: Deadline,
) -> Result<(), Undelivered> {
    let Event { envelope, change, round } = event;
    let trail = Trail { is_continued: round.number > 1, ..Trail::default() };
    let mut result = match change {
        Err(error) => Err(Failure::Event(error)),
        Ok(change) => guarded(job(change, &envelope, services, &deadline, &trail), &deadline).await,
    };
    let ending = report::Ending { envelope: &envelope, trail: &trail, round: round.number, deadline };
    if let Some((failure, progress)) = out_of_time(&result) {
        let next = continuation::next(&round, &envelope, &trail.tally, &progress, deadline.reserve);
        let handed_over = match next {
            Ok(payload) => {
                let invoked = services.functions.invoke(&invocation.function_arn, payload, deadline.job);
                invoked.await.map_err(Halt::NotInvoked)
            }
            Err(halt) => Err(halt),
        };
        match handed_over {
            // The next round answers.
            Ok(()) => {
                ending.continued(progress);
                return Ok(());
            }
            Err(halt) => {
                if let Some(claimed) = trail.claimed.get() {
                    copying::give_up(claimed).await;
                }
                result = Err(Failure::Halted { failure, halt });
            }
        }
    }
    let text = match &result {
        Ok(done) => format!("{} ({})", report::sentence(done), invocation.request_id),
        Err(failure) => reason(failure, &invocation.request_id),
    };
    let answer = match &result {
        Ok(done) => {
            let (id, attributes) = identity(done, &envelope);
            Answer::success(&envelope, id, text.clone(), attributes)
        }
        Err(_) => Answer::failure(&envelope, text.clone()),
    };
    let delivered = deliver(answer, &envelope, services, &deadline).await;
    ending.answered(&result, &text);
    delivered
}

/// Gives the answer that invocations which failed did not give.
async fn answer_for(
    failed: FailedInvocation,
    invocation: &Invocation,
    services: &Services,
    deadline: Deadline,
) -> Result<(), Undelivered> {
    let FailedInvocation { waiting, request_id, lost } = failed;
    let envelope = match waiting {
        Ok(envelope) => envelope,
        // Not an error: Lambda would try it again, and perhaps hand us the record of that.
        Err(error) => {
            tracing::warn!(%error, failed_request_id = request_id, "a failed call that nobody waits for");
            return Ok(());
        }
    };
    let span = span(&envelope, invocation);
    let work = async {
        let text = reason(&Failure::Lost(lost), &request_id);
        let answer = Answer::failure(&envelope, text.clone());
        let delivered = deliver(answer, &envelope, services, &deadline).await;
        report::lost(&text, &request_id, deadline.started.elapsed());
        delivered
    };
    work.instrument(span).await
}

async fn deliver(
    answer: Answer<'_>,
    envelope: &Envelope,
    services: &Services,
    deadline: &Deadline,
) -> Result<(), Undelivered> {
    let delivered = services.courier.deliver(&envelope.response_url, answer.body(), deadline.answer).await;
    if let Err(error) = &delivered {
        tracing::error!(%error, "CloudFormation does not know how it went");
    }
    delivered
}

/// How far a copy came that only lacked time; none if it was not even known what to copy.
fn out_of_time(result: &Result<Done, Failure>) -> Option<(copy::Error, Progress)> {
    let Err(Failure::Copy(failure)) = result else { return None };
    let copy::Failure::Deadline { progress, .. } = failure.as_ref() else { return None };
    (progress.blobs > 0).then(|| (failure.clone(), *progress))
}

/// Sees to it that a job ends: with a result of its own, by a panic, or because time is up.
async fn guarded(
    job: impl Future<Output = Result<Done, Failure>>,
    deadline: &Deadline,
) -> Result<Done, Failure> {
    // Nothing of a job that panicked is used again but the clients, which hold no half-made state.
    let caught = AssertUnwindSafe(job).catch_unwind();
    match tokio::time::timeout_at(deadline.job, caught).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Failure::Panic),
        Err(_) => Err(Failure::TimeRanOut { seconds: deadline.started.elapsed().as_secs() }),
    }
}

pub(crate) async fn job(
    change: Change,
    envelope: &Envelope,
    services: &Services,
    deadline: &Deadline,
    trail: &Trail,
) -> Result<Done, Failure> {
    let (properties, previous) = match change {
        Change::Delete { properties } => return delete(&properties, envelope, services, deadline).await,
        Change::Create { properties } => (properties, Value::Null),
        Change::Update { properties, previous } => (properties, previous),
    };
    let default: Platforms = services.settings.default_platforms.clone().map_err(Failure::Setting)?;
    let wish = Wish { is_continued: trail.is_continued, ..wish(&properties, &previous, &default, envelope)? };
    let until = Some(deadline.work);
    let registries = &services.registries;
    let repository = &wish.properties.repository;
    let request = wish.properties.request();
    let source = trail.source.get_or_init(|| registries.repository(request.source.repository.clone(), until));
    let destination = Destination::with_inventory(
        registries.repository(request.destination.clone(), until),
        Arc::new(services.ecr.repository(repository, until)),
    );
    trail.destination.get_or_init(|| destination.repository.clone());
    let ledger = services.settings.copy_records.then(|| services.ledger(repository, envelope, deadline));
    let limits = Limits { deadline: until, ..Limits::default() };
    let ends = Ends { source, destination, ledger, limits };
    match copying::copy(&wish, &ends, trail).await {
        Ok(outcome) => Ok(Done::Copied { properties: Box::new(wish.properties), outcome: Box::new(outcome) }),
        Err(failure) => {
            // Where the copy goes on in another invocation, that one needs the claim.
            let result = Err(failure);
            if let (None, Some(claimed)) = (out_of_time(&result), trail.claimed.get()) {
                copying::give_up(claimed).await;
            }
            result
        }
    }
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
    let default = services.settings.default_platforms.clone().unwrap_or(Platforms::All);
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
        Err(cause) => Err(Failure::NotDeleted(NotDeleted { subject: id.clone(), cause })),
    }
}

/// The physical id and the attributes that go with what was done.
fn identity(done: &Done, envelope: &Envelope) -> (String, Option<Attributes>) {
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
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tracing::instrument::WithSubscriber as _;

    use super::*;
    use crate::event::tests::fixture;
    use crate::logging;
    use crate::testing::{Ecr, URI};

    const REQUEST: &str = "8f2a1c3e-0000-4000-8000-000000000000";

    fn services(ecr: &Ecr, settings: &[(&str, &str)]) -> Services {
        let settings = Settings::read(|name| {
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        Services::new(settings, ecr.clients()).unwrap()
    }

    fn invocation() -> Invocation {
        Invocation {
            request_id: REQUEST.into(),
            function_arn: "arn:aws:lambda:eu-west-1:123456789012:function:provider".into(),
            left: Duration::from_secs(10),
        }
    }

    /// Hands an event to the handler and gives the documents that its bucket got, and the log.
    async fn handled(mut event: Value, services: &Services) -> (Value, Vec<Value>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        event["ResponseURL"] =
            json!(format!("http://{}/?X-Amz-Signature=secret", listener.local_addr().unwrap()));
        let bucket = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut request, mut buffer) = (Vec::new(), [0; 8192]);
            let body = loop {
                let read = stream.read(&mut buffer).await.unwrap();
                request.extend_from_slice(&buffer[..read]);
                let text = String::from_utf8(request.clone()).unwrap();
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
                if let Some(Ok(body)) = body.map(|body| serde_json::from_str::<Value>(&body)) {
                    break body;
                }
            };
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            drop(stream);
            let again = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
            assert!(again.is_err(), "there is one answer");
            body
        });
        let lines = logging::tests::Lines::default();
        handle(event, &invocation(), services)
            .with_subscriber(lines.subscriber(Some("trace")))
            .await
            .unwrap();
        (bucket.await.unwrap(), lines.read())
    }

    #[tokio::test]
    async fn what_is_wrong_with_an_event_is_answered() {
        let services = services(&Ecr::default(), &[]);
        for (name, value, expected) in [
            ("RequestType", json!("Destroy"), "the event cannot be read: its RequestType is \"Destroy\""),
            ("ResourceProperties", Value::Null, "the event cannot be read: it has no ResourceProperties"),
            ("ResourceProperties", json!({}), "ImageReference is missing or not a string"),
            ("LogicalResourceId", json!(17), "the event cannot be read: its LogicalResourceId"),
        ] {
            for kind in ["create", "update"] {
                let mut event = fixture(kind);
                event[name] = value.clone();
                let id = event["PhysicalResourceId"].as_str().unwrap_or("create-failed").to_owned();
                let (answer, _) = handled(event, &services).await;
                let reason = answer["Reason"].as_str().unwrap();
                assert_eq!(
                    (&answer["Status"], &answer["PhysicalResourceId"]),
                    (&json!("FAILED"), &json!(id))
                );
                assert!(
                    reason.starts_with(expected) && reason.ends_with(&format!("({REQUEST})")),
                    "{reason}"
                );
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_setting_is_told_to_whoever_waits_but_hinders_no_delete() {
        let services = services(&Ecr::default(), &[("DEFAULT_PLATFORM", "amd64")]);
        let (answer, _) = handled(fixture("create"), &services).await;
        assert!(answer["Reason"].as_str().unwrap().starts_with("the provider's setting DEFAULT_PLATFORM"));
        let (answer, _) = handled(fixture("delete"), &services).await;
        assert_eq!(answer["Status"], "SUCCESS");
    }

    #[tokio::test]
    async fn delete_removes_what_its_id_names() {
        let ecr = Ecr::default();
        let image = ecr.image("a", &["1"]);
        let mut event = fixture("delete");
        event["PhysicalResourceId"] = json!(format!("{URI}:1"));
        event["ResourceProperties"] = json!({"Nonsense": ["a"]});
        for settings in [&[][..], &[("COPY_RECORDS", "false")], &[("DELETE_IMAGES", "false")]] {
            let (answer, _) = handled(event.clone(), &services(&ecr, settings)).await;
            assert_eq!(
                (answer["Status"].as_str(), ecr.holds(&image)),
                (Some("SUCCESS"), true),
                "{settings:?}"
            );
            // The first time, there was no claim.
            ecr.claim("1");
        }
        let (answer, lines) = handled(event, &services(&ecr, &[])).await;
        assert_eq!((answer["Status"].as_str(), ecr.holds(&image)), (Some("SUCCESS"), false));
        assert_eq!(answer["PhysicalResourceId"], format!("{URI}:1"));
        assert_eq!((&lines.last().unwrap()["outcome"], ecr.tags().len()), (&json!("deleted"), 0));
    }

    #[tokio::test]
    async fn delete_of_an_id_that_is_not_ours_touches_nothing() {
        let ecr = Ecr::default();
        for id in ["create-failed", "images-Python-1ABCDEFGHIJKL", ""] {
            let mut event = fixture("delete");
            event["PhysicalResourceId"] = json!(id);
            let (answer, _) = handled(event, &services(&ecr, &[])).await;
            assert_eq!(answer["Status"], "SUCCESS");
            assert!(!answer["PhysicalResourceId"].as_str().unwrap().is_empty());
        }
        let looks = ["BatchGetImage"];
        assert!(
            ecr.state().calls.iter().all(|call| looks.contains(&call.as_str())),
            "{:?}",
            ecr.state().calls
        );
    }

    #[tokio::test]
    async fn a_delete_that_is_denied_names_the_permission() {
        let ecr = Ecr::default();
        ecr.image("a", &["1"]);
        ecr.claim("1");
        ecr.state().denied = vec!["BatchDeleteImage"];
        let mut event = fixture("delete");
        event["PhysicalResourceId"] = json!(format!("{URI}:1"));
        let (answer, _) = handled(event, &services(&ecr, &[])).await;
        assert_eq!(answer["Status"], "FAILED");
        assert!(answer["Reason"].as_str().unwrap().contains("Allow ecr:BatchDeleteImage on"), "{answer}");
    }

    #[tokio::test]
    async fn every_log_line_says_whose_it_is_and_none_has_a_secret() {
        let (_, lines) =
            handled(fixture("create"), &services(&Ecr::default(), &[("DEFAULT_PLATFORM", "x")])).await;
        let fields =
            ["stack_id", "logical_resource_id", "request_type", "request_id", "lambda_request_id", "version"];
        for line in &lines {
            assert!(fields.iter().all(|field| line[field].is_string()), "{line}");
            assert!(!line.to_string().contains("secret"), "{line}");
        }
        let last = lines.last().unwrap();
        assert_eq!((&last["message"], &last["outcome"]), (&json!("answered"), &json!("failed")));
        assert!(last["seconds"].is_number() && last["reason"].is_string(), "{last}");
    }

    #[tokio::test]
    async fn a_panic_and_a_job_without_end_have_results() {
        let deadline = Deadline::new(Instant::now(), Duration::from_millis(200), None);
        let panics = async { panic!("boom") };
        assert_eq!(guarded(panics, &deadline).await.err(), Some(Failure::Panic));
        let endless = std::future::pending();
        let result = guarded(endless, &deadline).await;
        assert!(matches!(result.err(), Some(Failure::TimeRanOut { .. })));
        assert!(Instant::now() < deadline.answer);
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_and_an_answer_that_does_not_arrive_are_errors_for_lambda() {
        let services = services(&Ecr::default(), &[]);
        let error = handle(json!({"hello": "world"}), &invocation(), &services).await.unwrap_err();
        assert!(error.contains("not an event of a CloudFormation custom resource"), "{error}");
        let mut event = fixture("delete");
        event["PhysicalResourceId"] = json!("create-failed");
        event["ResponseURL"] = json!("http://127.0.0.1:1/?X-Amz-Signature=secret");
        let short = Invocation { left: Duration::from_millis(600), ..invocation() };
        let error = handle(event, &short, &services).await.unwrap_err();
        assert!(error.contains("could not be delivered") && !error.contains("secret"), "{error}");
    }
}
