//! AWS credentials that could not be loaded, with the SDK's own words.

use std::error::Error as StdError;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ecr::error::ErrorMetadata;
use image_copy::text::SanitizedText;

/// Maximum length of the SDK's words in characters. They can contain the output of a process.
const MAX_CHARS: usize = 300;

/// Messages of the SDK that say nothing about the cause.
const GENERIC: [&str; 13] = [
    "the credential provider was not enabled",
    "the credentials provider was not properly configured",
    "an error occurred while loading credentials",
    "unexpected credentials error",
    "the access token provider was not enabled",
    "the access token provider was not properly configured",
    "an error occurred while loading an access token",
    "unexpected access token error",
    "service error",
    "dispatch failure",
    "response error",
    "other",
    "io error",
];

/// AWS credentials that could not be loaded. Displays one clause.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnavailableCredentials {
    /// No source of credentials is configured.
    #[error("{}", Self::NOT_CONFIGURED)]
    NotConfigured,
    /// A source failed, with the SDK's words.
    #[error("{} (\"{_0}\")", Self::NOT_LOADED)]
    NotLoaded(SanitizedText),
}

impl UnavailableCredentials {
    /// Text if no source is configured.
    pub const NOT_CONFIGURED: &str = "no AWS credentials are configured";
    /// Start of the text if a source failed.
    pub const NOT_LOADED: &str = "AWS credentials cannot be loaded";
    /// The SDK's words about a profile that does not exist.
    pub const MISSING_PROFILE: &str = "was not defined";

    /// Returns the error as the SDK's credentials providers return it.
    pub(crate) fn to_sdk_error(&self) -> CredentialsError {
        match self {
            Self::NotConfigured => CredentialsError::not_loaded(self.clone()),
            Self::NotLoaded(_) => CredentialsError::provider_error(self.clone()),
        }
    }

    /// Returns the failure to load credentials that caused the error of a call.
    pub(crate) fn cause_of(error: &(dyn StdError + 'static)) -> Option<Self> {
        causes(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()).map(Self::from)
    }
}

impl From<&CredentialsError> for UnavailableCredentials {
    fn from(error: &CredentialsError) -> Self {
        if let Some(known) = causes(error).find_map(|cause| cause.downcast_ref::<Self>()) {
            return known.clone();
        }
        let mut words: Vec<String> = Vec::new();
        for cause in causes(error).map(words_of).filter(|words| !GENERIC.contains(&words.as_str())) {
            // Some messages of the SDK repeat their cause.
            if words.last().is_none_or(|last| !last.contains(&cause)) {
                words.push(cause);
            }
        }
        let reason = match words.as_slice() {
            [] => error.to_string(),
            words => words.join(": "),
        };
        Self::NotLoaded(SanitizedText::quotable(&reason, MAX_CHARS))
    }
}

/// Returns the error and its chain of causes.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        next = current.source();
        Some(current)
    })
}

fn words_of(error: &(dyn StdError + 'static)) -> String {
    let metadata = error.downcast_ref::<ErrorMetadata>();
    match metadata.and_then(|metadata| Some((metadata.code()?, metadata.message()?))) {
        Some((code, message)) => format!("{code} {message}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_words_about_the_cause() {
        let denied = ErrorMetadata::builder().code("AccessDenied").message("no\nsts:AssumeRole").build();
        for (error, expected) in [
            (
                CredentialsError::provider_error(CredentialsError::provider_error(denied)),
                "AccessDenied no sts:AssumeRole",
            ),
            (CredentialsError::invalid_configuration("a loop"), "a loop"),
            (
                CredentialsError::provider_timed_out(std::time::Duration::from_secs(30)),
                "credentials provider timed out after 30 seconds",
            ),
        ] {
            let unavailable = UnavailableCredentials::from(&error);
            let expected = format!("AWS credentials cannot be loaded (\"{expected}\")");
            assert_eq!(unavailable.to_string(), expected);
            // The SDK wraps the error that its providers return.
            let wrapped = CredentialsError::unhandled(unavailable.to_sdk_error());
            assert_eq!(UnavailableCredentials::cause_of(&wrapped), Some(unavailable));
        }
        let none = UnavailableCredentials::NotConfigured;
        assert_eq!(UnavailableCredentials::from(&none.to_sdk_error()), none);
    }
}
