//! ARNs of ECR repositories.

use std::fmt;
use std::str::FromStr;

use image_copy::oci::{self, Registry};
use image_copy::text::{SanitizedText, name_without_userinfo};

use crate::ecr_registry_host::EcrRegistryHost;
use crate::partition::{Partition, is_account, is_region};

/// Parts of the ARN of a regional resource
pub(crate) struct ArnParts<'a> {
    pub(crate) partition: Partition,
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) resource: &'a str,
}

impl<'a> ArnParts<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let fields: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, service, region, account, resource] = fields.as_slice() else { return None };
        let partition = Partition::of_name(partition)?;
        let valid = is_region(region) && Partition::of_region(region) == partition && is_account(account);
        valid.then_some(Self { partition, service, region, account, resource })
    }
}

/// The ARN of an ECR repository.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RepositoryArn {
    partition: Partition,
    region: String,
    account: String,
    name: String,
}

/// Text that is not the ARN of an ECR repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Invalid AWS ECR repository ARN: {input}; expected arn:<partition>:ecr:<region>:<account>:repository/<name>"
)]
pub struct InvalidRepositoryArn {
    /// Start of the text.
    pub input: SanitizedText,
}

impl RepositoryArn {
    /// Returns the partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Returns the Region.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns the account. ECR calls it registry ID.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Returns the repository's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the registry's host.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.dkr.ecr.{}.{}", self.account, self.region, self.partition.suffix())
    }

    /// Returns the repository for the engine. Its text is the repository URI.
    #[must_use]
    pub fn repository(&self) -> oci::Repository {
        // Parsing the ARN has checked both parts.
        let registry: Registry = self.host().parse().expect("an account and a Region make a host");
        oci::Repository::new(registry, &self.name).expect("the name was checked")
    }

    /// Returns the ARN of a repository with any host of private ECR: standard, FIPS or dual-stack.
    #[must_use]
    pub fn from_any_host(repository: &oci::Repository) -> Option<Self> {
        let EcrRegistryHost { partition, region, account } =
            EcrRegistryHost::parse(repository.registry().as_str())?;
        Some(Self { partition, region, account, name: repository.path().into() })
    }

    /// Returns the ARN of a repository with a standard host of private ECR.
    #[must_use]
    pub fn from_repository(repository: &oci::Repository) -> Option<Self> {
        Self::from_any_host(repository).filter(|arn| arn.host() == repository.registry().as_str())
    }
}

impl FromStr for RepositoryArn {
    type Err = InvalidRepositoryArn;

    fn from_str(text: &str) -> Result<Self, InvalidRepositoryArn> {
        let invalid = || InvalidRepositoryArn { input: excerpt(text) };
        let fields = ArnParts::parse(text).filter(|fields| fields.service == "ecr").ok_or_else(invalid)?;
        let ArnParts { partition, region, account, resource, .. } = fields;
        let name = resource.strip_prefix("repository/").ok_or_else(invalid)?;
        let arn = Self { partition, region: region.into(), account: account.into(), name: name.into() };
        let registry: Registry = arn.host().parse().map_err(|_| invalid())?;
        oci::Repository::new(registry, name).map_err(|_| invalid())?;
        Ok(arn)
    }
}

impl fmt::Display for RepositoryArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, region, account, name } = self;
        write!(f, "arn:{}:ecr:{region}:{account}:repository/{name}", partition.name())
    }
}

/// Returns the start of invalid text for an error, without user names and passwords.
pub(crate) fn excerpt(text: &str) -> SanitizedText {
    SanitizedText::new(&name_without_userinfo(text), 120)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(arn: &str, uri: &str) {
        let parsed: RepositoryArn = arn.parse().unwrap();
        assert_eq!(parsed.to_string(), arn);
        assert_eq!(parsed.repository().to_string(), uri);
        assert_eq!(RepositoryArn::from_repository(&uri_of(uri)), Some(parsed), "{uri}");
    }

    fn uri_of(uri: &str) -> oci::Repository {
        uri.parse::<oci::Reference>().unwrap().repository
    }

    #[test]
    fn each_partition_has_a_separate_host() {
        for (partition, region, suffix) in [
            ("aws", "eu-west-1", "amazonaws.com"),
            ("aws-cn", "cn-north-1", "amazonaws.com.cn"),
            ("aws-us-gov", "us-gov-west-1", "amazonaws.com"),
            ("aws-iso", "us-iso-east-1", "c2s.ic.gov"),
            ("aws-iso-b", "us-isob-east-1", "sc2s.sgov.gov"),
            ("aws-iso-e", "eu-isoe-west-1", "cloud.adc-e.uk"),
            ("aws-iso-f", "us-isof-south-1", "csp.hci.ic.gov"),
            ("aws-eusc", "eusc-de-east-1", "amazonaws.eu"),
        ] {
            check(
                &format!("arn:{partition}:ecr:{region}:123456789012:repository/team/app"),
                &format!("123456789012.dkr.ecr.{region}.{suffix}/team/app"),
            );
        }
    }

    #[test]
    fn rejects_text_that_is_not_a_repository_arn() {
        for wrong in [
            "",
            "python",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/python",
            "arn:aws:s3:eu-west-1:123456789012:repository/python",
            "arn:aws:ecr:eu-west-1:12345678901:repository/python",
            "arn:aws:ecr:eu-west-1:123456789012:python",
            "arn:aws:ecr:eu-west-1:123456789012:repository/",
            "arn:aws:ecr:eu-west-1:123456789012:repository/Python",
            "arn:aws:ecr:eu-west-1:123456789012:repository/a:b",
            "arn:aws:ecr:evil.example/:123456789012:repository/python",
            "arn:aws:ecr:cn-north-1:123456789012:repository/python",
            "arn:aws-moon:ecr:eu-west-1:123456789012:repository/python",
        ] {
            let error = wrong.parse::<RepositoryArn>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("Invalid AWS ECR repository ARN: {wrong}")), "{error}");
        }
        let error = "x\n".repeat(500).parse::<RepositoryArn>().unwrap_err().to_string();
        assert!(error.chars().count() < 250 && !error.contains('\n'), "{error}");
    }

    #[test]
    fn only_the_standard_host_converts_to_an_arn() {
        let fips = uri_of("123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com/app");
        assert_eq!(RepositoryArn::from_repository(&fips), None);
        let arn = RepositoryArn::from_any_host(&fips).unwrap().to_string();
        assert_eq!(arn, "arn:aws:ecr:eu-west-1:123456789012:repository/app");
        assert_eq!(RepositoryArn::from_repository(&uri_of("ghcr.io/acme/app")), None);
    }
}
