//! Reads secrets of Secrets Manager and parameters of Parameter Store.

use aws_config::Region;
use image_copy::http::{Error as HttpError, ErrorKind};
use image_copy::registry::Error;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::AwsClients;
use crate::credential_arn::{CredentialArn, CredentialResource};
use crate::endpoints::Service;
use crate::retry::RetryingClient;

const GET_SECRET: &str = "secretsmanager:GetSecretValue";
const GET_PARAMETER: &str = "ssm:GetParameter";

/// Client for secrets and parameters, in the Region of their ARN.
#[derive(Clone)]
pub struct Secrets {
    clients: AwsClients,
}

/// A secret or parameter could not be read. The text is one line and contains nothing from it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct SecretReadError {
    /// Cause of the error.
    pub kind: SecretReadErrorKind,
    text: String,
}

/// Cause of a [`SecretReadError`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReadErrorKind {
    /// It does not exist.
    NotFound,
    /// The secret or parameter has no such version.
    VersionNotFound,
    /// It is scheduled for deletion.
    PendingDeletion,
    /// The role or the resource policy does not allow this action.
    AccessDenied {
        /// Name of the action in IAM policies.
        action: &'static str,
        /// True if the secret belongs to another account than the role.
        is_other_account: bool,
    },
    /// The KMS key that encrypts it cannot be used.
    KmsKey {
        /// True if the secret belongs to another account than the role.
        is_other_account: bool,
    },
    /// It contains bytes, or is not a `SecureString`.
    UnsupportedType,
    /// The service was not reached.
    Unreachable {
        /// Name of the service in endpoints, such as `ssm`.
        service: &'static str,
    },
    /// Any other cause, probably temporary.
    Other,
}

impl SecretReadErrorKind {
    /// Returns the code, which docs/troubleshooting.md explains.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "CI-201",
            Self::VersionNotFound => "CI-202",
            Self::PendingDeletion => "CI-203",
            Self::AccessDenied { is_other_account: false, .. } => "CI-204",
            Self::AccessDenied { is_other_account: true, .. } => "CI-205",
            Self::KmsKey { is_other_account: false } => "CI-206",
            Self::KmsKey { is_other_account: true } => "CI-207",
            Self::Unreachable { .. } => "CI-208",
            Self::Other => "CI-209",
            Self::UnsupportedType => "CI-210",
        }
    }
}

impl SecretReadError {
    /// Creates an error with a cause and its description.
    #[must_use]
    pub fn new(arn: &CredentialArn, kind: SecretReadErrorKind, response: &str) -> Self {
        Self { kind, text: format!("{} {arn} could not be read: {response}", arn.kind()) }
    }
}

impl AwsClients {
    /// Returns a client for secrets and parameters, with the same credentials and endpoints.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        Secrets { clients: self.clone() }
    }
}

impl Secrets {
    /// Reads the text of a secret or parameter.
    ///
    /// # Errors
    /// If it is missing, contains no text, or could not be read by `deadline`.
    pub async fn read(
        &self,
        arn: &CredentialArn,
        deadline: Option<Instant>,
    ) -> Result<SecretString, SecretReadError> {
        match arn.resource() {
            CredentialResource::Secret { version_stage, version_id, .. } => {
                let version = (version_stage.as_ref(), version_id.as_ref());
                self.read_secret(arn, version, deadline).await
            }
            CredentialResource::Parameter { .. } => self.read_parameter(arn, deadline).await,
        }
    }

    async fn read_secret(
        &self,
        arn: &CredentialArn,
        (stage, id): (Option<&String>, Option<&String>),
        deadline: Option<Instant>,
    ) -> Result<SecretString, SecretReadError> {
        let region = Region::new(arn.region().to_owned());
        let config = aws_sdk_secretsmanager::config::Builder::from(self.clients.config()).region(region);
        let sdk = aws_sdk_secretsmanager::Client::from_conf(config.build());
        let host = self.clients.api_host(Service::SecretsManager, arn.region());
        let client = RetryingClient::new(sdk, host, deadline, self.clients.retry_policy());
        let request = client.sdk.get_secret_value().secret_id(arn.to_string());
        let request = request.set_version_stage(stage.cloned()).set_version_id(id.cloned());
        match client.send(GET_SECRET, || request.clone().send()).await {
            Ok(response) => {
                let text = response.secret_string.map(SecretString::from);
                text.ok_or_else(|| {
                    SecretReadError::new(
                        arn,
                        SecretReadErrorKind::UnsupportedType,
                        "it contains bytes, not text",
                    )
                })
            }
            Err(error) => Err(read_error(arn, GET_SECRET, &error)),
        }
    }

    async fn read_parameter(
        &self,
        arn: &CredentialArn,
        deadline: Option<Instant>,
    ) -> Result<SecretString, SecretReadError> {
        let region = Region::new(arn.region().to_owned());
        let config = aws_sdk_ssm::config::Builder::from(self.clients.config()).region(region);
        let sdk = aws_sdk_ssm::Client::from_conf(config.build());
        let host = self.clients.api_host(Service::Ssm, arn.region());
        let client = RetryingClient::new(sdk, host, deadline, self.clients.retry_policy());
        let request = client.sdk.get_parameter().name(arn.to_string()).with_decryption(true);
        let response = client.send(GET_PARAMETER, || request.clone().send()).await;
        let response = response.map_err(|error| read_error(arn, GET_PARAMETER, &error))?;
        let parameter =
            response.parameter.unwrap_or_else(|| aws_sdk_ssm::types::Parameter::builder().build());
        // Principals that can list parameters can read the values of other types.
        match (parameter.r#type, parameter.value) {
            (Some(aws_sdk_ssm::types::ParameterType::SecureString), Some(value)) => Ok(value.into()),
            (kind, _) => {
                let kind = kind.as_ref().map_or("unknown", |kind| kind.as_str());
                let response = format!("its type is {kind}, not SecureString");
                Err(SecretReadError::new(arn, SecretReadErrorKind::UnsupportedType, &response))
            }
        }
    }
}

fn read_error(arn: &CredentialArn, action: &'static str, error: &Error) -> SecretReadError {
    let response = match error {
        // The other texts of this error name a registry.
        Error::Protocol(problem) => (*problem).to_owned(),
        error => error.to_string(),
    };
    SecretReadError::new(arn, error_kind(arn, action, error), &response)
}

fn error_kind(arn: &CredentialArn, action: &'static str, error: &Error) -> SecretReadErrorKind {
    let service = if action == GET_SECRET { "secretsmanager" } else { "ssm" };
    let (code, message) = match error {
        Error::Service { code, message, .. } => (code.as_str(), message.as_str()),
        Error::Http(HttpError { kind: ErrorKind::Tls(_), .. }) => return SecretReadErrorKind::Other,
        Error::Http(_) => return SecretReadErrorKind::Unreachable { service },
        _ => return SecretReadErrorKind::Other,
    };
    let contains = |text: &str| message.to_ascii_lowercase().contains(text);
    let is_other_account = principal_account(message).is_some_and(|account| account != arn.account());
    let is_key_error = ["InvalidKeyId", "DecryptionFailure"].contains(&code)
        || code.starts_with("Kms")
        // Both services report a denied key as a denial of this action.
        || contains("kms")
        || contains("ciphertext");
    match code {
        _ if is_key_error => SecretReadErrorKind::KmsKey {
            is_other_account: is_other_account || contains("different aws account"),
        },
        "ResourceNotFoundException" if contains("secret value for") => SecretReadErrorKind::VersionNotFound,
        "ParameterVersionNotFound" => SecretReadErrorKind::VersionNotFound,
        "ResourceNotFoundException" | "ParameterNotFound" => SecretReadErrorKind::NotFound,
        "InvalidRequestException" if contains("deletion") => SecretReadErrorKind::PendingDeletion,
        _ if code.starts_with("AccessDenied") => {
            SecretReadErrorKind::AccessDenied { action, is_other_account }
        }
        _ => SecretReadErrorKind::Other,
    }
}

/// Returns the account of the principal in IAM's message: `User: arn:aws:sts::123456789012:assumed-role/… is
/// not authorized to perform: …`.
fn principal_account(message: &str) -> Option<&str> {
    let (_, arn) = message.split_once("arn:")?;
    arn.split(':').nth(3).filter(|account| account.len() == 12)
}

#[cfg(test)]
mod tests;
