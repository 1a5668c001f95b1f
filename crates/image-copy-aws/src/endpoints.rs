//! Host names of APIs and registries, according to the two endpoint settings of the AWS SDKs

use image_copy::oci::{self, Registry};

use crate::arn::RepositoryArn;
use crate::partition::Partition;

/// Endpoint settings of the AWS SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EndpointOptions {
    /// `AWS_USE_FIPS_ENDPOINT`. Not every Region has FIPS endpoints.
    pub fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`: endpoints that also have IPv6 addresses.
    pub dual_stack: bool,
}

/// Error: the partition has no such registry hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("partition {0} has no dual-stack registry hosts")]
pub struct UnsupportedEndpoint(&'static str);

/// AWS service with an API host.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service {
    Ecr,
    EcrPublic,
    SecretsManager,
    Ssm,
    DynamoDb,
    S3,
    #[cfg(feature = "command-line")]
    CloudFormation,
    #[cfg(feature = "command-line")]
    Lambda,
    #[cfg(feature = "command-line")]
    StepFunctions,
}

impl EndpointOptions {
    /// Returns the repository with the host for uploads and downloads. The repository URI always has the
    /// standard host.
    ///
    /// # Errors
    /// If the partition has no such host.
    pub fn repository(self, arn: &RepositoryArn) -> Result<oci::Repository, UnsupportedEndpoint> {
        let (account, region, partition) = (arn.account(), arn.region(), arn.partition());
        let fips = if self.fips { "-fips" } else { "" };
        let host = if self.dual_stack {
            let suffix = partition.dual_stack_suffix().ok_or(UnsupportedEndpoint(partition.name()))?;
            format!("{account}.dkr-ecr{fips}.{region}.{suffix}")
        } else {
            format!("{account}.dkr.ecr{fips}.{region}.{}", partition.suffix())
        };
        // Parsing the ARN has checked both parts.
        let registry: Registry = host.parse().expect("an account and a Region make a host");
        Ok(oci::Repository::new(registry, arn.name()).expect("the name was checked"))
    }

    /// Returns the API host of a service, as the SDK does.
    pub(crate) fn api_host(self, service: Service, region: &str) -> String {
        let partition = Partition::of_region(region);
        let fips = if self.fips { "-fips" } else { "" };
        let name = match (service, self.dual_stack) {
            (Service::Ecr, false) => "api.ecr",
            (Service::Ecr, true) => "ecr",
            (Service::EcrPublic, true) if !self.fips => "ecr-public",
            (Service::EcrPublic, _) => "api.ecr-public",
            (Service::SecretsManager, _) => "secretsmanager",
            (Service::Ssm, _) => "ssm",
            (Service::DynamoDb, _) => "dynamodb",
            // The dual-stack hosts of S3 are in the standard domain
            // (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/dual-stack-endpoints.html>,
            // <https://docs.aws.amazon.com/general/latest/gr/s3.html>).
            (Service::S3, true) => return format!("s3{fips}.dualstack.{region}.{}", partition.suffix()),
            (Service::S3, false) => "s3",
            #[cfg(feature = "command-line")]
            (Service::CloudFormation, _) => "cloudformation",
            #[cfg(feature = "command-line")]
            (Service::Lambda, _) => "lambda",
            #[cfg(feature = "command-line")]
            (Service::StepFunctions, _) => "states",
        };
        let suffix = if self.dual_stack { dual_stack_api_suffix(partition) } else { partition.suffix() };
        format!("{name}{fips}.{region}.{suffix}")
    }
}

/// Returns the domain of dual-stack APIs.
fn dual_stack_api_suffix(partition: Partition) -> &'static str {
    match partition {
        Partition::Aws | Partition::GovCloud => "api.aws",
        Partition::China => "api.amazonwebservices.com.cn",
        Partition::Iso => "api.aws.ic.gov",
        Partition::IsoB => "api.aws.scloud",
        Partition::IsoE => "api.cloud-aws.adc-e.uk",
        Partition::IsoF => "api.aws.hci.ic.gov",
        Partition::EuropeanSovereign => "api.amazonwebservices.eu",
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecr::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};

    use super::*;
    use crate::ecr_registry_host::EcrRegistryHost;

    const ALL: [EndpointOptions; 4] = [
        EndpointOptions { fips: false, dual_stack: false },
        EndpointOptions { fips: true, dual_stack: false },
        EndpointOptions { fips: false, dual_stack: true },
        EndpointOptions { fips: true, dual_stack: true },
    ];

    #[test]
    fn a_repository_has_four_hosts_of_the_same_registry() {
        let arn: RepositoryArn = "arn:aws:ecr:eu-west-1:123456789012:repository/team/app".parse().unwrap();
        for (endpoints, host) in ALL.into_iter().zip([
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
            "123456789012.dkr-ecr-fips.eu-west-1.on.aws",
        ]) {
            let repository = endpoints.repository(&arn).unwrap();
            assert_eq!(repository.to_string(), format!("{host}/team/app"));
            let host = EcrRegistryHost::parse(repository.registry().as_str()).unwrap();
            assert_eq!((host.account.as_str(), host.region.as_str()), ("123456789012", "eu-west-1"));
        }
        let isolated: RepositoryArn =
            "arn:aws-iso:ecr:us-iso-east-1:123456789012:repository/a".parse().unwrap();
        let error = ALL[2].repository(&isolated).unwrap_err().to_string();
        assert_eq!(error, "partition aws-iso has no dual-stack registry hosts");
        assert!(ALL[1].repository(&isolated).is_ok());
    }

    #[test]
    fn s3_has_its_own_dual_stack_hosts() {
        for (region, hosts) in [
            (
                "us-gov-west-1",
                [
                    "s3.us-gov-west-1.amazonaws.com",
                    "s3-fips.us-gov-west-1.amazonaws.com",
                    "s3.dualstack.us-gov-west-1.amazonaws.com",
                    "s3-fips.dualstack.us-gov-west-1.amazonaws.com",
                ],
            ),
            (
                "cn-north-1",
                [
                    "s3.cn-north-1.amazonaws.com.cn",
                    "s3-fips.cn-north-1.amazonaws.com.cn",
                    "s3.dualstack.cn-north-1.amazonaws.com.cn",
                    "s3-fips.dualstack.cn-north-1.amazonaws.com.cn",
                ],
            ),
        ] {
            assert_eq!(ALL.map(|endpoints| endpoints.api_host(Service::S3, region)), hosts);
        }
    }

    #[tokio::test]
    async fn the_api_host_in_errors_is_the_host_of_the_sdk() {
        for region in ["us-east-1", "cn-north-1", "us-gov-west-1", "eu-isoe-west-1", "eusc-de-east-1"] {
            for endpoints in ALL {
                let EndpointOptions { fips, dual_stack } = endpoints;
                let params = Params::builder().region(region).use_fips(fips).use_dual_stack(dual_stack);
                let resolved = DefaultResolver::new().resolve_endpoint(&params.build().unwrap()).await;
                // Some partitions have no such endpoint, and the SDK returns an error.
                let Ok(resolved) = resolved else { continue };
                let host = endpoints.api_host(Service::Ecr, region);
                assert_eq!(resolved.url(), format!("https://{host}"), "{region} {endpoints:?}");
            }
        }
    }
}
