//! Host names of ECR in all partitions
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html>).

use crate::api::hosts::{partition_of, split_at_region};
use crate::api::{Api, JsonVersion};

/// ECR's API.
pub(super) static API: Api = Api {
    service: "ecr",
    log_service: "ecr-api",
    target_prefix: "AmazonEC2ContainerRegistry_V20150921.",
    hosts: &["api.ecr", "api.ecr-fips", "ecr-fips"],
    dual_stack_hosts: &["ecr", "ecr-fips"],
    json: JsonVersion::V1_1,
};

/// Endpoint behind a host name of ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Registry of an account.
    Registry { account: String, region: String },
    /// API of a Region.
    Api { region: String },
    /// Bucket with the layers of a Region.
    Layers { region: String },
}

impl Endpoint {
    /// Parses a host name in lower case.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        if let Some(region) = API.region(host) {
            return Some(Self::Api { region });
        }
        let (name, region, suffix) = split_at_region(host)?;
        let partition = partition_of(&region);
        let region_of = |wanted: &str| (suffix == wanted).then(|| region.clone());
        if name == format!("prod-{region}-starport-layer-bucket.s3") {
            return Some(Self::Layers { region: region_of(partition.suffix)? });
        }
        let (account, kind) = name.split_once('.')?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let region = match kind {
            "dkr.ecr" | "dkr.ecr-fips" => region_of(partition.suffix)?,
            "dkr-ecr" | "dkr-ecr-fips" => region_of(partition.registry_suffix)?,
            _ => return None,
        };
        Some(Self::Registry { account: account.to_owned(), region })
    }
}

/// Returns the IPv4 host name of an account's registry.
pub(crate) fn registry_host(account: &str, region: &str) -> String {
    format!("{account}.dkr.ecr.{region}.{}", partition_of(region).suffix)
}

/// Returns the host from which layers are downloaded.
pub(crate) fn layer_host(region: &str) -> String {
    format!("prod-{region}-starport-layer-bucket.s3.{region}.{}", partition_of(region).suffix)
}

/// Returns the ARN of a repository.
pub(crate) fn repository_arn(account: &str, region: &str, repository: &str) -> String {
    format!("arn:{}:ecr:{region}:{account}:repository/{repository}", partition_of(region).name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_host_names() {
        let data = |region: &str| {
            Some(Endpoint::Registry { account: "123456789012".to_owned(), region: region.to_owned() })
        };
        let control = |region: &str| Some(Endpoint::Api { region: region.to_owned() });
        for (host, endpoint) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", data("eu-west-1")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", data("cn-north-1")),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", data("us-gov-west-1")),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", data("eu-west-1")),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", data("eusc-de-east-1")),
            ("api.ecr.eu-west-1.amazonaws.com", control("eu-west-1")),
            ("123456789012.dkr-ecr-fips.us-east-1.on.aws", data("us-east-1")),
            ("123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn", data("cn-north-1")),
            ("ecr.eu-west-1.api.aws", control("eu-west-1")),
            ("ecr-fips.us-east-1.amazonaws.com", control("us-east-1")),
            ("ecr-fips.us-east-1.api.aws", control("us-east-1")),
            ("api.ecr-fips.us-gov-west-1.amazonaws.com", control("us-gov-west-1")),
            ("api.ecr.eu-west-1.api.aws", None),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com", None),
            ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("sts.eu-west-1.amazonaws.com", None),
            ("registry-1.docker.io", None),
        ] {
            assert_eq!(Endpoint::parse(host), endpoint, "{host}");
        }
        let layers = Some(Endpoint::Layers { region: "eu-west-1".to_owned() });
        assert_eq!(Endpoint::parse(&layer_host("eu-west-1")), layers);
    }
}
