//! Failures in one line: the step, the registry's own words, the attempts, and the state of the tag.
//! Front ends add their advice.

use std::fmt;

use super::amounts::{blob_share, list_platforms};
use super::error::{Failure, Operation, Problem, Side};
use crate::http;
use crate::oci::Registry;
use crate::registry::{Error, ErrorResponse};

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Returns the failure in one line without advice. It ends with a full stop or an ellipsis.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Registry { operation, subject, cause, .. } => {
                let (before, name, after) = self.effect(*operation);
                format!("{before} {name} {after}: {}.", reason(subject, cause))
            }
            Self::NoPlatform { subject, wanted, available } => match available.as_slice() {
                [] => format!("Image {subject} is not available for {wanted}. It lists no platforms."),
                some => format!(
                    "Image {subject} is not available for {wanted}. Available: {}.",
                    list_platforms(some)
                ),
            },
            Self::TagImmutable { subject, existing, wanted } => format!(
                "Tag {subject} is immutable and names image {}. The new image is {}.",
                existing.short(),
                wanted.short()
            ),
            Self::NotStorable { subject, reason } => {
                format!("Image {subject} cannot be stored at the destination: {reason}. Nothing was copied.")
            }
            Self::ImageLimitExceeded { subject, limit } => {
                format!("Image {subject} cannot be copied: it has {limit}.")
            }
            Self::ForeignLayer { subject, layer, platform, cause } => {
                let platform = platform.as_ref().map_or(String::new(), |platform| format!(" of {platform}"));
                format!(
                    "Image {subject} was rejected without non-distributable layer {}{platform}, which the source does not have: {}.",
                    layer.short(),
                    reason(subject, cause)
                )
            }
            Self::NotCustomizable { subject, platform, cause } => {
                let platform = platform.as_ref().map_or(String::new(), |platform| format!(" for {platform}"));
                format!("Image {subject}{platform} cannot be customized: {cause}. Nothing was copied.")
            }
            Self::Deadline { subject, progress, elapsed, silent_host } => {
                let time = format!(
                    "Time ran out after {} s{}",
                    elapsed.as_secs(),
                    silent_host_note(silent_host.as_ref())
                );
                match progress.blobs {
                    0 => format!("{time} before the copy of image {subject} started."),
                    _ => format!(
                        "{time}: {} of image {subject} were copied. The tag was not written.",
                        blob_share(progress)
                    ),
                }
            }
        }
    }

    /// Returns the effect of a registry's error: the words before a name, the name, the words after it.
    fn effect(&self, operation: Operation) -> (&'static str, &str, &'static str) {
        let name = self.subject();
        match (self.side(), operation) {
            _ if self.problem() == Problem::CredentialsUnavailable => {
                ("Credentials for", name, "are not available")
            }
            (_, Operation::CreateRepository) => ("Repository", repository(name), "could not be created"),
            (_, Operation::SetRepositoryPolicy) => {
                ("Repository", repository(name), "was created, but a policy could not be set")
            }
            _ if self.is_missing_repository() => ("Repository", repository(name), "was not found"),
            (_, Operation::ListTags) if self.problem() == Problem::Missing => {
                ("Repository", name, "was not found")
            }
            (_, Operation::ListTags) => ("The tags of", name, "could not be read"),
            (Side::Source, _) if self.problem() != Problem::Missing || self.is_not_from_registry() => {
                ("Image", name, "could not be read")
            }
            (Side::Source, _) if self.concerns_image_content() => ("Image", name, "is incomplete"),
            (Side::Source, _) => ("Image", name, "was not found"),
            (
                Side::Destination,
                Operation::ReadSettings
                | Operation::ReadManifest
                | Operation::ReadChildManifest
                | Operation::CheckBlobs
                | Operation::ReadBlob,
            ) => ("Destination", name, "could not be read"),
            (
                Side::Destination,
                Operation::StartUpload | Operation::SendBlob | Operation::WriteManifest | Operation::WriteTag,
            ) => ("Image", name, "could not be pushed"),
        }
    }
}

/// Returns the name without its tag or digest.
fn repository(name: &str) -> &str {
    let name = name.split(['@', ' ']).next().unwrap_or(name);
    let path = name.rfind('/').unwrap_or(0);
    name[path..].find(':').map_or(name, |colon| &name[..path + colon])
}

/// ` (source host cdn.example sent nothing for the last 40 s)`
fn silent_host_note(silent_host: Option<&(Side, http::SilentHost)>) -> String {
    let Some((side, http::SilentHost { host, time })) = silent_host else { return String::new() };
    let side = match side {
        Side::Source => "source",
        Side::Destination => "destination",
    };
    format!(" ({side} host {host} sent nothing for the last {})", http::format_seconds(*time))
}

fn reason(subject: &str, cause: &Error) -> String {
    match cause {
        Error::ErrorResponse(response) | Error::AuthorizationExpired(response) => {
            let name = registry_name(subject);
            let is_request_limit = response.status == 429 && name == DOCKER_HUB && !response.is_pull_limit();
            let note = if is_request_limit { "; this is its limit on requests, not on pulls" } else { "" };
            format!("{}{}{note}", response.sentence(name), limit_note(response))
        }
        other => other.to_string(),
    }
}

const DOCKER_HUB: &str = "Docker Hub";

/// Returns the name of the registry in a reference: a brand, or else the host.
fn registry_name(reference: &str) -> &str {
    let host = reference.split('/').next().unwrap_or_default();
    match host.parse::<Registry>() {
        Ok(registry) if registry.is_docker_hub() => DOCKER_HUB,
        Ok(registry) if registry.is_ecr() => "ECR",
        _ if host == "public.ecr.aws" => "ECR Public",
        _ => host,
    }
}

/// ` (0 of 100 pulls left for 203.0.113.7 per 6 h)`
fn limit_note(response: &ErrorResponse) -> String {
    let Some(limit) = response.rate_limit.as_ref().filter(|_| response.is_pull_limit()) else {
        return match response.retry_after {
            Some(pause) if response.status == 429 => {
                format!(" (retry after {})", http::format_duration(pause))
            }
            _ => String::new(),
        };
    };
    let mut text = format!(" ({limit}");
    match response.retry_after.filter(|_| limit.reset.is_none()) {
        Some(pause) => text += &format!(", resets in {})", http::format_duration(pause)),
        None => text += ")",
    }
    text
}

#[cfg(test)]
mod tests;
