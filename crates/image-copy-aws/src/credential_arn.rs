//! ARNs of registry credentials: a secret of Secrets Manager, or a parameter of Systems Manager.

use std::fmt;
use std::str::FromStr;

use image_copy::text::SanitizedText;

use crate::arn::{ArnParts, excerpt};
use crate::partition::Partition;

/// ARN of a secret or parameter that contains registry credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialArn {
    partition: Partition,
    region: String,
    account: String,
    resource: CredentialResource,
}

/// Resource of a credential ARN.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CredentialResource {
    /// A secret of Secrets Manager, with the optional suffix of ECS
    Secret {
        name: String,
        json_key: Option<String>,
        version_stage: Option<String>,
        version_id: Option<String>,
    },
    /// A parameter of Parameter Store. Its name has no leading `/`.
    Parameter { name: String },
}

/// Text that is not the ARN of a secret or parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{input}\", which is not {expected}")]
pub struct InvalidCredentialArn {
    /// Start of the text.
    pub input: SanitizedText,
    /// Description of valid ARNs.
    pub expected: &'static str,
}

const EXPECTED: &str = "the ARN of a secret (arn:aws:secretsmanager:<region>:<account>:secret:<name>) or of a parameter (arn:aws:ssm:<region>:<account>:parameter/<name>)";

impl CredentialArn {
    /// Returns the Region of the secret or parameter.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the account of the secret or parameter.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Returns `secret` or `parameter`, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.resource {
            CredentialResource::Secret { .. } => "secret",
            CredentialResource::Parameter { .. } => "parameter",
        }
    }

    /// Returns the key of the credentials in a secret with several keys.
    #[must_use]
    pub fn json_key(&self) -> Option<&str> {
        match &self.resource {
            CredentialResource::Secret { json_key, .. } => json_key.as_deref(),
            CredentialResource::Parameter { .. } => None,
        }
    }

    /// Returns true if both mean the same credentials, in any version.
    #[must_use]
    pub fn is_same_secret(&self, other: &Self) -> bool {
        self.to_string() == other.to_string() && self.json_key() == other.json_key()
    }

    pub(crate) fn resource(&self) -> &CredentialResource {
        &self.resource
    }
}

impl FromStr for CredentialArn {
    type Err = InvalidCredentialArn;

    fn from_str(text: &str) -> Result<Self, InvalidCredentialArn> {
        let invalid = || InvalidCredentialArn { input: excerpt(text), expected: EXPECTED };
        let ArnParts { partition, service, region, account, resource } =
            ArnParts::parse(text).ok_or_else(invalid)?;
        let resource = match service {
            "secretsmanager" => parse_secret(resource),
            "ssm" => parse_parameter(resource),
            _ => None,
        };
        let resource = resource.ok_or_else(invalid)?;
        Ok(Self { partition, region: region.into(), account: account.into(), resource })
    }
}

fn parse_secret(text: &str) -> Option<CredentialResource> {
    let mut parts = text.strip_prefix("secret:")?.split(':');
    let name = parts.next()?;
    let mut part = || parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
    let (json_key, version_stage, version_id) = (part(), part(), part());
    let is_name = !name.is_empty()
        && name.len() <= 519
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b));
    let is_printable = |part: &Option<String>| {
        part.iter().all(|part| part.len() <= 256 && !part.chars().any(char::is_control))
    };
    let valid = is_name
        && parts.next().is_none()
        && [&json_key, &version_stage, &version_id].into_iter().all(is_printable);
    valid.then(|| CredentialResource::Secret { name: name.into(), json_key, version_stage, version_id })
}

fn parse_parameter(text: &str) -> Option<CredentialResource> {
    let name = text.strip_prefix("parameter/")?;
    let component = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    let valid = name.len() <= 1011 && name.split('/').all(component);
    valid.then(|| CredentialResource::Parameter { name: name.into() })
}

/// Writes the ARN without the suffix of ECS, because the services reject it.
impl fmt::Display for CredentialArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, resource } = self;
        let partition = partition.name();
        match resource {
            CredentialResource::Secret { name, .. } => {
                write!(f, "arn:{partition}:secretsmanager:{region}:{account}:secret:{name}")
            }
            CredentialResource::Parameter { name } => {
                write!(f, "arn:{partition}:ssm:{region}:{account}:parameter/{name}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub/login-AbCdEf";
    const PARAMETER: &str = "arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/logins/hub";

    fn parse(text: &str) -> CredentialArn {
        text.parse().unwrap()
    }

    #[test]
    fn parses_the_key_and_version_of_ecs() {
        let text = |text: &str| Some(text.to_owned());
        for (suffix, key, stage, id) in [
            ("", None, None, None),
            (":::", None, None, None),
            (":hub", text("hub"), None, None),
            (":hub::", text("hub"), None, None),
            ("::AWSPREVIOUS:", None, text("AWSPREVIOUS"), None),
            (":hub::1-2", text("hub"), None, text("1-2")),
        ] {
            let arn = parse(&format!("{SECRET}{suffix}"));
            assert_eq!((arn.region(), arn.account()), ("eu-west-1", "123456789012"));
            assert_eq!(arn.to_string(), SECRET, "the service rejects a suffix");
            let CredentialResource::Secret { json_key, version_stage, version_id, .. } = arn.resource()
            else {
                panic!()
            };
            assert_eq!((json_key, version_stage, version_id), (&key, &stage, &id), "{suffix}");
        }
    }

    #[test]
    fn parses_arns_of_every_partition() {
        for (partition, region) in [
            ("aws", "eu-west-1"),
            ("aws-cn", "cn-north-1"),
            ("aws-us-gov", "us-gov-west-1"),
            ("aws-iso", "us-iso-east-1"),
            ("aws-iso-b", "us-isob-east-1"),
            ("aws-iso-e", "eu-isoe-west-1"),
            ("aws-iso-f", "us-isof-south-1"),
            ("aws-eusc", "eusc-de-east-1"),
        ] {
            for resource in ["secretsmanager:R:123456789012:secret:a/b", "ssm:R:123456789012:parameter/a/b"] {
                let text = format!("arn:{partition}:{}", resource.replace('R', region));
                assert_eq!(parse(&text).to_string(), text);
            }
        }
        assert_eq!(parse(PARAMETER).resource(), &CredentialResource::Parameter { name: "logins/hub".into() });
    }

    #[test]
    fn another_version_is_the_same_secret_and_another_key_is_not() {
        let arn = parse(&format!("{SECRET}:hub::"));
        assert!(arn.is_same_secret(&parse(&format!("{SECRET}:hub:AWSPREVIOUS:"))));
        assert!(!arn.is_same_secret(&parse(SECRET)));
        assert!(!arn.is_same_secret(&parse(PARAMETER)));
    }

    #[test]
    fn rejects_other_text_in_one_line() {
        for wrong in [
            "",
            "hub/login",
            "arn:aws:secretsmanager:eu-west-1:123456789012:hub",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a b",
            "arn:aws:secretsmanager:eu-west-1:12345:secret:a",
            "arn:aws:secretsmanager:cn-north-1:123456789012:secret:a",
            "arn:aws:secretsmanager:evil.example/:123456789012:secret:a",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a:b:c:d:e",
            "arn:aws:ssm:eu-west-1:123456789012:parameter//a",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/a:3",
            "arn:aws:s3:::bucket/key",
            "arn:aws:ecr:eu-west-1:123456789012:repository/a",
        ] {
            let error = wrong.parse::<CredentialArn>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("\"{wrong}\", which is not the ARN of a secret")), "{error}");
        }
        let error = "x\n".repeat(500).parse::<CredentialArn>().unwrap_err().to_string();
        assert!(error.chars().count() < 400 && !error.contains('\n'), "{error}");
    }
}
