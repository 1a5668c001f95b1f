//! Reads what Secrets Manager or Systems Manager's Parameter Store keep, and says why it could not.

use aws_config::Region;
use image_copy::http::{Error as HttpError, Kind};
use image_copy::registry::Error;
use secrecy::SecretString;
use tokio::time::Instant;

use crate::EcrClients;
use crate::credential_arn::{CredentialArn, Place};
use crate::endpoints::Service;
use crate::retry::Calls;

const GET_SECRET: &str = "secretsmanager:GetSecretValue";
const GET_PARAMETER: &str = "ssm:GetParameter";

/// Secrets and parameters, in the Region of their ARN.
#[derive(Clone)]
pub struct Secrets {
    clients: EcrClients,
}

/// Why a secret or parameter could not be read, in one line that shows nothing of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{text}")]
pub struct NotRead {
    /// What stands in the way.
    pub obstacle: Obstacle,
    text: String,
}

/// What stands between the function and a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// There is none of this name.
    Missing,
    /// The secret has no such version.
    NoSuchVersion,
    /// It waits for its deletion.
    Deleted,
    /// The role, or the secret's own policy, does not allow this action.
    Denied {
        /// Name of the action.
        action: &'static str,
        /// The secret belongs to another account than the role, or may do so.
        is_foreign: bool,
    },
    /// The key with which it is encrypted cannot be used.
    Key {
        /// The secret belongs to another account than the role.
        is_foreign: bool,
    },
    /// It is of a kind that holds no login.
    Unsuitable,
    /// The service was not reached.
    Unreachable {
        /// Name of the service in endpoints, such as `ssm`.
        service: &'static str,
    },
    /// Anything else, which is likely to pass.
    Other,
}

impl NotRead {
    /// A secret or parameter that this obstacle keeps from being read, with what was answered.
    #[must_use]
    pub fn new(arn: &CredentialArn, obstacle: Obstacle, answer: &str) -> Self {
        Self { obstacle, text: format!("{} {arn} cannot be read: {answer}", arn.kind()) }
    }
}

impl EcrClients {
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
    ) -> Result<SecretString, NotRead> {
        match arn.place() {
            Place::Secret { version_stage, version_id, .. } => {
                let version = (version_stage.as_ref(), version_id.as_ref());
                self.read_secret(arn, version, deadline).await
            }
            Place::Parameter { .. } => self.read_parameter(arn, deadline).await,
        }
    }

    async fn read_secret(
        &self,
        arn: &CredentialArn,
        (stage, id): (Option<&String>, Option<&String>),
        deadline: Option<Instant>,
    ) -> Result<SecretString, NotRead> {
        let region = Region::new(arn.region().to_owned());
        let config = aws_sdk_secretsmanager::config::Builder::from(self.clients.config()).region(region);
        let client = aws_sdk_secretsmanager::Client::from_conf(config.build());
        let host = self.clients.host(Service::SecretsManager, arn.region());
        let calls = Calls::new(client, host, deadline, self.clients.patience());
        let request = calls.client.get_secret_value().secret_id(arn.to_string());
        let request = request.set_version_stage(stage.cloned()).set_version_id(id.cloned());
        match calls.send(GET_SECRET, || request.clone().send()).await {
            Ok(answer) => {
                let text = answer.secret_string.map(SecretString::from);
                text.ok_or_else(|| NotRead::new(arn, Obstacle::Unsuitable, "it holds bytes, not text"))
            }
            Err(error) => Err(not_read(arn, GET_SECRET, &error)),
        }
    }

    async fn read_parameter(
        &self,
        arn: &CredentialArn,
        deadline: Option<Instant>,
    ) -> Result<SecretString, NotRead> {
        let region = Region::new(arn.region().to_owned());
        let config = aws_sdk_ssm::config::Builder::from(self.clients.config()).region(region);
        let client = aws_sdk_ssm::Client::from_conf(config.build());
        let host = self.clients.host(Service::Ssm, arn.region());
        let calls = Calls::new(client, host, deadline, self.clients.patience());
        let request = calls.client.get_parameter().name(arn.to_string()).with_decryption(true);
        let answer = calls.send(GET_PARAMETER, || request.clone().send()).await;
        let answer = answer.map_err(|error| not_read(arn, GET_PARAMETER, &error))?;
        let parameter = answer.parameter.unwrap_or_else(|| aws_sdk_ssm::types::Parameter::builder().build());
        // Whoever may list parameters reads those of the other types in the clear.
        match (parameter.r#type, parameter.value) {
            (Some(aws_sdk_ssm::types::ParameterType::SecureString), Some(value)) => Ok(value.into()),
            (kind, _) => {
                let kind = kind.as_ref().map_or("unknown", |kind| kind.as_str());
                let answer = format!("it is of type {kind}, and not a SecureString");
                Err(NotRead::new(arn, Obstacle::Unsuitable, &answer))
            }
        }
    }
}

fn not_read(arn: &CredentialArn, action: &'static str, error: &Error) -> NotRead {
    let answer = match error {
        // The text of this error speaks of a registry.
        Error::Protocol(problem) => (*problem).to_owned(),
        error => error.to_string(),
    };
    NotRead::new(arn, obstacle(arn, action, error), &answer)
}

fn obstacle(arn: &CredentialArn, action: &'static str, error: &Error) -> Obstacle {
    let service = if action == GET_SECRET { "secretsmanager" } else { "ssm" };
    let (code, message) = match error {
        Error::Service { code, message, .. } => (code.as_str(), message.as_str()),
        Error::Http(HttpError { kind: Kind::Tls(_), .. }) => return Obstacle::Other,
        Error::Http(_) => return Obstacle::Unreachable { service },
        _ => return Obstacle::Other,
    };
    let says = |text: &str| message.to_ascii_lowercase().contains(text);
    let is_foreign = principal_account(message).is_some_and(|account| account != arn.account());
    let of_key = ["InvalidKeyId", "DecryptionFailure"].contains(&code)
        || code.starts_with("Kms")
        // Both services report it as a denial of their own call.
        || says("kms")
        || says("ciphertext");
    match code {
        _ if of_key => Obstacle::Key { is_foreign: is_foreign || says("different aws account") },
        "ResourceNotFoundException" if says("secret value for") => Obstacle::NoSuchVersion,
        "ParameterVersionNotFound" => Obstacle::NoSuchVersion,
        "ResourceNotFoundException" | "ParameterNotFound" => Obstacle::Missing,
        "InvalidRequestException" if says("deletion") => Obstacle::Deleted,
        _ if code.starts_with("AccessDenied") => Obstacle::Denied { action, is_foreign },
        _ => Obstacle::Other,
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
