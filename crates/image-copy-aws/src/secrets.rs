//! Reads what Secrets Manager or Systems Manager's Parameter Store keep, and says why it could not.

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

/// Secrets and parameters, in the Region of their ARN.
#[derive(Clone)]
pub struct Secrets {
    clients: AwsClients,
}

/// Why a secret or parameter could not be read, in one line that shows nothing of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct SecretReadError {
    /// What stands in the way.
    pub kind: SecretReadErrorKind,
    text: String,
}

/// What stands between the function and a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReadErrorKind {
    /// There is none of this name.
    NotFound,
    /// The secret has no such version.
    VersionNotFound,
    /// It waits for its deletion.
    PendingDeletion,
    /// The role, or the secret's own policy, does not allow this action.
    AccessDenied {
        /// Name of the action.
        action: &'static str,
        /// The secret belongs to another account than the role, or may do so.
        is_other_account: bool,
    },
    /// The key with which it is encrypted cannot be used.
    KmsKey {
        /// The secret belongs to another account than the role.
        is_other_account: bool,
    },
    /// It is of a kind that holds no login.
    UnsupportedType,
    /// The service was not reached.
    Unreachable {
        /// Name of the service in endpoints, such as `ssm`.
        service: &'static str,
    },
    /// Anything else, which is likely to pass.
    Other,
}

impl SecretReadError {
    /// A secret or parameter that this obstacle keeps from being read, with what was answered.
    #[must_use]
    pub fn new(arn: &CredentialArn, kind: SecretReadErrorKind, answer: &str) -> Self {
        Self { kind, text: format!("{} {arn} cannot be read: {answer}", arn.kind()) }
    }
}

impl AwsClients {
    /// Secrets and parameters, with the same credentials and endpoints.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        Secrets { clients: self.clone() }
    }
}

impl Secrets {
    /// Reads the text of a secret or parameter.
    ///
    /// # Errors
    /// When there is none, it is none of text, or it could not be had by `deadline`.
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
            Ok(answer) => {
                let text = answer.secret_string.map(SecretString::from);
                text.ok_or_else(|| {
                    SecretReadError::new(
                        arn,
                        SecretReadErrorKind::UnsupportedType,
                        "it holds bytes, not text",
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
        let answer = client.send(GET_PARAMETER, || request.clone().send()).await;
        let answer = answer.map_err(|error| read_error(arn, GET_PARAMETER, &error))?;
        let parameter = answer.parameter.unwrap_or_else(|| aws_sdk_ssm::types::Parameter::builder().build());
        // Whoever may list parameters reads those of the other types in the clear.
        match (parameter.r#type, parameter.value) {
            (Some(aws_sdk_ssm::types::ParameterType::SecureString), Some(value)) => Ok(value.into()),
            (kind, _) => {
                let kind = kind.as_ref().map_or("unknown", |kind| kind.as_str());
                let answer = format!("it is of type {kind}, and not a SecureString");
                Err(SecretReadError::new(arn, SecretReadErrorKind::UnsupportedType, &answer))
            }
        }
    }
}

fn read_error(arn: &CredentialArn, action: &'static str, error: &Error) -> SecretReadError {
    let answer = match error {
        // The text of this error speaks of a registry.
        Error::Protocol(problem) => (*problem).to_owned(),
        error => error.to_string(),
    };
    SecretReadError::new(arn, error_kind(arn, action, error), &answer)
}

fn error_kind(arn: &CredentialArn, action: &'static str, error: &Error) -> SecretReadErrorKind {
    let service = if action == GET_SECRET { "secretsmanager" } else { "ssm" };
    let (code, message) = match error {
        Error::Service { code, message, .. } => (code.as_str(), message.as_str()),
        Error::Http(HttpError { kind: ErrorKind::Tls(_), .. }) => return SecretReadErrorKind::Other,
        Error::Http(_) => return SecretReadErrorKind::Unreachable { service },
        _ => return SecretReadErrorKind::Other,
    };
    let says = |text: &str| message.to_ascii_lowercase().contains(text);
    let is_other_account = principal_account(message).is_some_and(|account| account != arn.account());
    let of_key = ["InvalidKeyId", "DecryptionFailure"].contains(&code)
        || code.starts_with("Kms")
        // Both services report it as a denial of their own call.
        || says("kms")
        || says("ciphertext");
    match code {
        _ if of_key => SecretReadErrorKind::KmsKey {
            is_other_account: is_other_account || says("different aws account"),
        },
        "ResourceNotFoundException" if says("secret value for") => SecretReadErrorKind::VersionNotFound,
        "ParameterVersionNotFound" => SecretReadErrorKind::VersionNotFound,
        "ResourceNotFoundException" | "ParameterNotFound" => SecretReadErrorKind::NotFound,
        "InvalidRequestException" if says("deletion") => SecretReadErrorKind::PendingDeletion,
        _ if code.starts_with("AccessDenied") => {
            SecretReadErrorKind::AccessDenied { action, is_other_account }
        }
        _ => SecretReadErrorKind::Other,
    }
}

/// The account of whom IAM's sentence is about: `User: arn:aws:sts::123456789012:assumed-role/… is
/// not authorized to perform: …`.
fn principal_account(message: &str) -> Option<&str> {
    let (_, arn) = message.split_once("arn:")?;
    arn.split(':').nth(3).filter(|account| account.len() == 12)
}

#[cfg(test)]
mod tests;
