//! The `Reason` of a failure: one line of at most 400 characters that is complete without the log.
//!
//! It says what could not be done and why, in the engine's words, then one thing to change, naming
//! a property of the template or an IAM action, then the request id under which the log has more.

use image_copy::copy::{self, Operation, Problem, Side};
use image_copy::http;
use image_copy::registry;
use image_copy_aws::{NotInvoked, Obstacle, RegistryHost};

use crate::continuation::Halt;
use crate::deletion::NotDeleted;
use crate::event::InvalidEvent;
use crate::logins::{LoginProblem, Setting};
use crate::properties::InvalidProperty;
use crate::settings::NotAllowed;
use crate::watchdog::{Ending, Lost};

/// What a stack's events show without being cut.
const MAX_CHARS: usize = 400;

/// Why an event could not be carried out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Failure {
    /// The event is not one.
    Event(InvalidEvent),
    /// A property is wrong.
    Property(InvalidProperty),
    /// The installer set something wrong.
    Setting(String),
    /// The installer does not allow this source.
    NotAllowed(NotAllowed),
    /// The image could not be copied.
    Copy(copy::Error),
    /// The image could not be copied for want of a login out of a secret.
    Login { failure: copy::Error, problem: Box<LoginProblem> },
    /// Time ran out, and another invocation cannot go on.
    Halted { failure: copy::Error, halt: Halt },
    /// A Delete or a later event of the same resource was carried out meanwhile.
    Overtaken,
    /// The image could not be deleted.
    NotDeleted(Box<NotDeleted>),
    /// Earlier invocations could not answer; this is told by the watchdog.
    Lost(Lost),
    /// The job did not end by itself.
    TimeRanOut { seconds: u64 },
    /// A defect of ours.
    Panic,
}

/// The parts of a reason. When it gets too long, `what` is shortened, but for `subject` within it.
struct Parts {
    what: String,
    subject: String,
    hint: String,
}

/// Writes the reason for `failure`, with the Lambda request id.
pub(crate) fn reason(failure: &Failure, request_id: &str) -> String {
    let parts = parts(failure);
    let tail = format!(" ({request_id})");
    let hint = if parts.hint.is_empty() { String::new() } else { format!(" {}", parts.hint) };
    let room = MAX_CHARS.saturating_sub(tail.chars().count() + hint.chars().count());
    let what = one_line(&parts.what);
    let what = if what.chars().count() > room { shorten(&what, &parts.subject, room) } else { what };
    format!("{what}{hint}{tail}")
}

fn parts(failure: &Failure) -> Parts {
    let plain = |what: String| Parts { what, subject: String::new(), hint: String::new() };
    match failure {
        Failure::Event(error) => plain(format!("{error}.")),
        Failure::Property(error) => plain(format!("{error}.")),
        Failure::Setting(text) => plain(format!("{text}.")),
        Failure::Copy(failure) => {
            Parts { what: failure.summary(), subject: subject(failure).to_owned(), hint: advice(failure) }
        }
        Failure::NotAllowed(error) => Parts {
            what: format!("{error}."),
            subject: error.source_name.clone(),
            hint: "Check the spelling of ImageReference, or have whoever installed the provider allow it."
                .into(),
        },
        Failure::Login { failure, problem } => Parts {
            what: failure.summary(),
            subject: subject(failure).to_owned(),
            hint: login_advice(problem),
        },
        Failure::Halted { failure, halt } => Parts {
            what: format!("{} {}", failure.summary(), halted(halt)),
            subject: subject(failure).to_owned(),
            hint: halt_advice(halt).into(),
        },
        Failure::Lost(lost) => {
            Parts { hint: lost_advice(&lost.ending).into(), ..plain(format!("{}.", lost_what(lost))) }
        }
        Failure::NotDeleted(failed) => {
            let NotDeleted { subject, cause } = failed.as_ref();
            Parts {
                what: format!("image {subject} cannot be deleted: {cause}."),
                subject: subject.clone(),
                hint: deletion_advice(cause),
            }
        }
        Failure::Overtaken => plain(
            "a Delete or a later event of this resource was carried out meanwhile; the tag was left to it."
                .into(),
        ),
        Failure::TimeRanOut { seconds } => Parts {
            hint: "Run the operation again, or give the function a longer Timeout.".into(),
            ..plain(format!("time ran out after {seconds} s, and the work did not stop by itself."))
        },
        Failure::Panic => Parts {
            hint: "Please report it with the lines of this request in the function's log.".into(),
            ..plain("the provider failed by a defect of its own.".into())
        },
    }
}

/// What to change about a secret, or about what names it.
fn login_advice(problem: &LoginProblem) -> String {
    let (setting, cause) = match problem {
        LoginProblem::Unusable { cause, .. } => return cause.remedy(),
        LoginProblem::NotRead { setting, cause } => (setting, cause),
    };
    let place = match setting {
        Setting::Template => "CredentialArn",
        Setting::Installer => "the provider's setting REGISTRY_CREDENTIALS",
    };
    match &cause.obstacle {
        Obstacle::Missing => format!("Check the ARN in {place}."),
        Obstacle::NoSuchVersion => format!("Check the version at the end of the ARN in {place}."),
        Obstacle::Deleted => format!("Restore it, or name another in {place}."),
        Obstacle::Denied { action, is_foreign: false } => {
            let parameter = if action.starts_with("ssm:") { "ParameterArns" } else { "SecretArns" };
            format!(
                "Allow it in the function's role: add the ARN to the installer's parameter {parameter}, and its key, for kms:Decrypt, to KmsKeyArns."
            )
        }
        Obstacle::Denied { action, is_foreign: true } => format!(
            "It is another account's: allow {action} in its resource policy, kms:Decrypt in its key policy, and both in the function's role."
        ),
        Obstacle::Key { is_foreign: false } => {
            "Allow kms:Decrypt on its key in the function's role (installer's parameter KmsKeyArns), and check that the key is enabled.".into()
        }
        Obstacle::Key { is_foreign: true } => {
            "It is another account's: it needs a customer managed key, whose key policy and the function's role allow kms:Decrypt.".into()
        }
        Obstacle::Unsuitable => format!("Name another in {place}, or store it anew."),
        Obstacle::Unreachable { service } => format!(
            "If the function runs in a VPC, its subnets need an endpoint for {service}, or a NAT gateway; else check the Region in the ARN."
        ),
        Obstacle::Other => format!("Run the operation again; if it stays so, check {place}."),
    }
}

/// Why a copy that ran out of time does not go on.
fn halted(halt: &Halt) -> String {
    match halt {
        Halt::BlobTooLarge { digest, size, passed } => format!(
            "Blob {} of {:.1} MiB does not fit into one invocation, which moved {:.1} MiB.",
            digest.short(),
            mebibytes(*size),
            mebibytes(*passed)
        ),
        Halt::NoProgress => "No blob was finished in this invocation.".into(),
        Halt::StackTime { allowed } => format!("The {allowed} s for which CloudFormation waits are over."),
        Halt::Rounds(rounds) => format!("This was invocation {rounds} of it, and the last."),
        Halt::NotInvoked(cause) => format!("It could not go on in another invocation: {cause}."),
    }
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn halt_advice(halt: &Halt) -> &'static str {
    match halt {
        Halt::BlobTooLarge { .. } | Halt::NoProgress => {
            "Give the function a longer Timeout (up to 900 s) or more memory, which brings a faster network."
        }
        Halt::StackTime { .. } => {
            "Run the operation again, which skips blobs already present, or set a longer ServiceTimeout (up to 3600)."
        }
        Halt::Rounds(_) => {
            "Run the operation again, which skips blobs already present, or give the function a longer Timeout."
        }
        Halt::NotInvoked(NotInvoked::Denied { .. }) => {
            "Allow lambda:InvokeFunction on the function itself in its role."
        }
        Halt::NotInvoked(NotInvoked::Failed(_)) => {
            "Run the operation again, which skips blobs already present. If the function runs in a VPC, its subnets need a route to Lambda."
        }
    }
}

/// What became of an event that was lost.
fn lost_what(lost: &Lost) -> String {
    let attempts = match lost.attempts {
        0 | 1 => String::new(),
        attempts => format!(", {attempts} attempts"),
    };
    let what = match &lost.ending {
        Ending::TimedOut(time) => format!("was stopped by Lambda when it timed out after {time}"),
        Ending::Killed => "was killed, most likely for want of memory".into(),
        Ending::Exited(status) => format!("crashed ({status})"),
        Ending::Undelivered(problem) => format!("could not tell how it went: {problem}"),
        Ending::TooOld => "could not run in time: Lambda gave the event up".into(),
        Ending::Error(text) => format!("failed: \"{text}\""),
    };
    format!("the provider's function {what}{attempts}")
}

fn lost_advice(ending: &Ending) -> &'static str {
    match ending {
        Ending::TimedOut(_) => {
            "Run the operation again; if it stays so, report it with the lines of this request in the function's log."
        }
        Ending::Killed => "Give the function more memory.",
        Ending::Exited(_) | Ending::Error(_) => "See the lines of this request in the function's log.",
        Ending::Undelivered(_) => {
            "If the function runs in a VPC, its subnets need a route to S3 (a gateway endpoint, or a NAT gateway)."
        }
        Ending::TooOld => "Check whether the function is throttled, and its reserved concurrency.",
    }
}

fn subject(failure: &copy::Failure) -> &str {
    use copy::Failure;
    match failure {
        Failure::Registry { subject, .. }
        | Failure::NoPlatform { subject, .. }
        | Failure::TagImmutable { subject, .. }
        | Failure::NotStorable { subject, .. }
        | Failure::TooManyManifests { subject, .. }
        | Failure::Deadline { subject, .. } => subject,
    }
}

/// The one thing to change. Exhaustive, so that a new problem has to get its text.
fn advice(failure: &copy::Failure) -> String {
    let text = match (failure.problem(), failure.side()) {
        (Problem::Missing, Side::Source) => "Check the registry, repository and tag in ImageReference.",
        (Problem::Missing, Side::Destination) => {
            "Check RepositoryArn: the repository has to be there before the image."
        }
        (Problem::LoginNeeded, Side::Source) if subject(failure).starts_with("docker.io/") => {
            "Check the spelling of ImageReference, or set CredentialArn if the repository is private."
        }
        (Problem::LoginNeeded, Side::Source) => {
            "Check the spelling of ImageReference, for registries say this also of what does not exist, or set CredentialArn if the repository is private."
        }
        (Problem::LoginRefused, Side::Source) if source_account(failure).is_some() => {
            "Run the operation again; if it stays so, check the function's role, whose credentials AWS does not accept."
        }
        (Problem::LoginRefused, Side::Source) => {
            "Check user name and password in the secret that CredentialArn or the provider's setting REGISTRY_CREDENTIALS names."
        }
        (Problem::LoginNeeded, Side::Destination) => {
            "Allow ecr:GetAuthorizationToken on * in the function's role."
        }
        (Problem::LoginRefused, Side::Destination) => {
            "Run the operation again; if it stays so, check the function's role, whose credentials AWS does not accept."
        }
        (Problem::Denied, side) => return permission(failure, side),
        (Problem::CredentialsUnavailable, Side::Source | Side::Destination) => {
            "Check the function's role, and that the function can reach ECR."
        }
        (Problem::PullLimit, Side::Source) => {
            "Set CredentialArn to a login with a higher limit, have a mirror set up (the provider's setting SOURCE_MIRRORS), or run the operation again later."
        }
        (Problem::Throttled | Problem::PullLimit, Side::Destination) => {
            "ECR's limits hold for the whole account and Region: run the operation again, or have the quota raised."
        }
        (Problem::Throttled, Side::Source) => {
            "Run the operation again later, or name another registry in ImageReference."
        }
        (Problem::Unreachable, Side::Source | Side::Destination) if is_behind_proxy(failure) => {
            "Check the proxy and whether it reaches that host, or name the host in NO_PROXY in the function's environment."
        }
        (Problem::Unreachable, Side::Source) => {
            "Check the host in ImageReference. If the function runs in a VPC, its subnets need a route to that host (a NAT gateway, or peering)."
        }
        (Problem::Unreachable, Side::Destination) if is_fips(failure) => {
            "Not every Region has FIPS endpoints: unset AWS_USE_FIPS_ENDPOINT for the function, or choose another Region."
        }
        (Problem::Unreachable, Side::Destination) => {
            "If the function runs in a VPC, its subnets need a route to ECR (a NAT gateway, or endpoints for ecr.api and ecr.dkr); else check the Region in RepositoryArn."
        }
        (Problem::CertificateRefused, Side::Source) => {
            "Check the host in ImageReference; the provider's setting CA_BUNDLE adds authorities that the function trusts."
        }
        (Problem::CertificateRefused, Side::Destination) => {
            "A proxy between the function and ECR is not trusted: add its authority to the provider's setting CA_BUNDLE."
        }
        (Problem::Interrupted, Side::Source | Side::Destination) => {
            "Run the operation again, which skips blobs already present."
        }
        (Problem::ServerTrouble, Side::Source) => {
            "Run the operation again when the registry has recovered, or name another one in ImageReference."
        }
        (Problem::ServerTrouble, Side::Destination) => "Run the operation again when ECR has recovered.",
        (Problem::Corrupt, Side::Source) => {
            "Run the operation again; if it stays so, the registry's content is damaged: choose another tag or digest in ImageReference."
        }
        (Problem::Corrupt | Problem::Unreadable, Side::Destination) => {
            "Run the operation again; if it stays so, check what stands between the function and ECR."
        }
        (Problem::Unreadable | Problem::Refused, Side::Source) => {
            "Choose another tag or digest in ImageReference."
        }
        (Problem::ForbiddenAddress, Side::Source) => "Choose another registry in ImageReference.",
        (Problem::ForbiddenAddress, Side::Destination) => "Check RepositoryArn.",
        (Problem::Refused, Side::Destination) => refused_by_ecr(failure),
        (Problem::NoPlatform, Side::Source | Side::Destination) => {
            "Change Platform, or choose a tag that has it in ImageReference."
        }
        (Problem::TagImmutable, Side::Source | Side::Destination) => {
            "Choose a new Tag, or make the repository's tags mutable."
        }
        (Problem::NotStorable, Side::Source | Side::Destination) => {
            "Choose another tag or digest in ImageReference, or another Platform of it."
        }
        (Problem::TooManyManifests, Side::Source | Side::Destination) => {
            "Choose one platform in Platform, or another tag in ImageReference."
        }
        (Problem::Deadline, _) if matches!(failure, copy::Failure::Deadline { progress, .. } if progress.blobs == 0) => {
            "Run the operation again, or give the function a longer Timeout."
        }
        (Problem::Deadline, Side::Source | Side::Destination) => {
            "Run the operation again, which skips blobs already present, or name one platform in Platform."
        }
    };
    text.into()
}

/// ECR's own codes, which say more than that it refused.
fn refused_by_ecr(failure: &copy::Failure) -> &'static str {
    let copy::Failure::Registry { cause, .. } = failure else { return "Check RepositoryArn." };
    let is = |codes: &[&str]| match cause {
        registry::Error::Service { code, .. } => codes.contains(&code.as_str()),
        registry::Error::Refused(refusal) => codes.iter().any(|code| refusal.has(code)),
        _ => false,
    };
    if is(&["TAG_INVALID"]) {
        "Choose another Tag."
    } else if is(&["LimitExceededException"]) {
        "Delete images from the repository, or have its quota raised."
    } else if is(&["KmsException", "KmsError"]) {
        "Check the KMS key with which the repository is encrypted."
    } else if is(&["NotSent"]) {
        "Check AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT in the function's environment."
    } else if is(&["UNSUPPORTED"]) {
        "Choose another tag or digest in ImageReference, or another Platform of it."
    } else {
        "Check the repository that RepositoryArn names."
    }
}

/// The account of a source in ECR.
fn source_account(failure: &copy::Failure) -> Option<String> {
    let host = subject(failure).split('/').next().unwrap_or_default();
    RegistryHost::parse(host).map(|host| host.account)
}

fn is_behind_proxy(failure: &copy::Failure) -> bool {
    matches!(failure, copy::Failure::Registry { cause: registry::Error::Http(error), .. }
        if matches!(error.kind, http::Kind::Proxy { .. }))
}

/// Whether the host that could not be reached is a FIPS endpoint.
fn is_fips(failure: &copy::Failure) -> bool {
    let copy::Failure::Registry { cause: registry::Error::Http(http::Error { host, .. }), .. } = failure
    else {
        return false;
    };
    host.contains("-fips.")
}

/// Who has to allow what.
fn permission(failure: &copy::Failure, side: Side) -> String {
    if side == Side::Source && source_account(failure).is_none() {
        return "Check ImageReference, and that the login in CredentialArn may read this image.".into();
    }
    let copy::Failure::Registry { operation, cause, .. } = failure else { return String::new() };
    let action = denied_action(cause).unwrap_or_else(|| action(*operation).into());
    allow(&action)
}

fn allow(action: &str) -> String {
    if action == "ecr:GetAuthorizationToken" {
        return "Allow ecr:GetAuthorizationToken on * in the function's role.".into();
    }
    format!(
        "Allow {action} on the repository in the function's role, or in the repository policy if it belongs to another account."
    )
}

/// The action that the refusal itself names, else the call that was refused.
fn denied_action(cause: &registry::Error) -> Option<String> {
    let message = match cause {
        registry::Error::Service { message, .. } => message,
        registry::Error::Refused(refusal) => &refusal.codes.first()?.message,
        _ => return None,
    };
    let named = message.split_once("perform: ").map(|(_, rest)| rest);
    let named = named.and_then(|rest| rest.split(|c: char| c != ':' && !c.is_ascii_alphanumeric()).next());
    match (named.filter(|action| action.starts_with("ecr:")), cause) {
        (Some(action), _) => Some(action.into()),
        (None, registry::Error::Service { service, .. }) => Some(service.clone()),
        (None, _) => None,
    }
}

/// The IAM action behind each request
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html>).
fn action(operation: Operation) -> &'static str {
    match operation {
        Operation::Inspect => "ecr:DescribeRepositories",
        Operation::ReadManifest => "ecr:BatchGetImage",
        Operation::CheckBlobs => "ecr:BatchCheckLayerAvailability",
        Operation::ReadBlob => "ecr:GetDownloadUrlForLayer",
        Operation::StartUpload => "ecr:InitiateLayerUpload",
        Operation::SendBlob => "ecr:UploadLayerPart and ecr:CompleteLayerUpload",
        Operation::WriteManifest | Operation::WriteTag => "ecr:PutImage",
    }
}

fn deletion_advice(cause: &registry::Error) -> String {
    match cause {
        registry::Error::Service { code, .. } if code.starts_with("AccessDenied") => {
            allow(&denied_action(cause).unwrap_or_else(|| "ecr:BatchDeleteImage".into()))
        }
        _ => {
            "Run the operation again, or set DELETE_IMAGES=false for the function, which keeps images.".into()
        }
    }
}

/// Stands for the subject while the rest is shortened; [`one_line`] lets none through.
const PLACEHOLDER: &str = "\u{1}";

/// Shortens to `room` characters: first what stands in quotes, which is other people's text, then
/// digests to 12 digits. The subject is spared until nothing else is left.
fn shorten(what: &str, subject: &str, room: usize) -> String {
    let protect = !subject.is_empty() && what.contains(subject);
    let mut text = if protect { what.replacen(subject, PLACEHOLDER, 1) } else { what.to_owned() };
    let room = room.saturating_sub(if protect { subject.chars().count().saturating_sub(1) } else { 0 });
    if text.chars().count() > room {
        text = shorten_quoted(&text, text.chars().count() - room);
    }
    if text.chars().count() > room {
        text = shorten_digests(&text);
    }
    if protect {
        let excess = text.chars().count().saturating_sub(room);
        let subject = if excess > 0 { shorten_digests(subject) } else { subject.to_owned() };
        let room = room + if protect { subject.chars().count().saturating_sub(1) } else { 0 };
        return cut(&text.replacen(PLACEHOLDER, &subject, 1), room);
    }
    cut(&text, room)
}

/// Takes up to `excess` characters out of the text between the first and the last quotation mark.
fn shorten_quoted(text: &str, excess: usize) -> String {
    let (Some(open), Some(close)) = (text.find('"'), text.rfind('"')) else { return text.into() };
    let quoted = &text[(open + 1).min(close)..close];
    let kept = quoted.chars().count().saturating_sub(excess + 1);
    if quoted.is_empty() {
        return text.into();
    }
    let kept: String = quoted.chars().take(kept).collect();
    format!("{}{kept}…{}", &text[..=open], &text[close..])
}

fn shorten_digests(text: &str) -> String {
    let mut short = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("sha256:") {
        let digits = at + "sha256:".len();
        let length = rest[digits..].bytes().take_while(u8::is_ascii_hexdigit).count();
        short += &rest[..digits + length.min(12)];
        rest = &rest[digits + length..];
    }
    short + rest
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.into();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
