//! Hosts of private ECR registries. Each contains account and Region.

use crate::partition::{Partition, is_account, is_region};

/// Account, Region and partition in the host of a private ECR registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EcrRegistryHost {
    /// The partition.
    pub partition: Partition,
    /// The Region.
    pub region: String,
    /// The account.
    pub account: String,
}

impl EcrRegistryHost {
    /// Parses a host in any case: standard, FIPS or dual-stack. Returns `None` if it is not of private ECR.
    #[must_use]
    pub fn parse(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host);
        let (account, rest) = host.split_once('.')?;
        let standard = |rest: &str| {
            let rest = rest.strip_prefix("dkr.ecr.").or_else(|| rest.strip_prefix("dkr.ecr-fips."))?;
            let (region, suffix) = rest.split_once('.')?;
            let partition = Partition::of_region(region);
            (partition.suffix() == suffix).then(|| (partition, region.to_owned()))
        };
        let dual_stack = |rest: &str| {
            let rest = rest.strip_prefix("dkr-ecr.").or_else(|| rest.strip_prefix("dkr-ecr-fips."))?;
            let (region, suffix) = rest.split_once('.')?;
            let partition = Partition::of_region(region);
            (partition.dual_stack_suffix() == Some(suffix)).then(|| (partition, region.to_owned()))
        };
        let (partition, region) = standard(rest).or_else(|| dual_stack(rest))?;
        let valid = is_account(account) && is_region(&region);
        valid.then(|| Self { partition, region, account: account.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_hosts_in_any_case_and_of_any_kind() {
        for host in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.DKR.ECR.EU-WEST-1.AMAZONAWS.COM:443",
            "123456789012.dkr.ecr-fips.eu-west-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws",
            "123456789012.dkr-ecr-fips.eu-west-1.on.aws",
        ] {
            let parsed = EcrRegistryHost::parse(host).unwrap();
            assert_eq!((parsed.account.as_str(), parsed.region.as_str()), ("123456789012", "eu-west-1"));
        }
    }

    #[test]
    fn rejects_hosts_that_only_resemble_ecr() {
        for host in [
            "public.ecr.aws",
            "docker.io",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.eu-west-1.evil.example",
            "123456789012.dkr.ecr.eu-west-1.c2s.ic.gov",
            "evil.123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443",
            "123456789012.dkr.ecr..amazonaws.com",
        ] {
            assert_eq!(EcrRegistryHost::parse(host), None, "{host}");
        }
    }
}
