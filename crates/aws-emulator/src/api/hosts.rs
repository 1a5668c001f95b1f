//! AWS partitions, and the Region in AWS host names.

/// An AWS partition with the suffixes of its host names.
pub(crate) struct Partition {
    /// Prefix of its Regions.
    regions: &'static str,
    /// Name in ARNs.
    pub(crate) name: &'static str,
    /// Suffix of IPv4 host names.
    pub(crate) suffix: &'static str,
    /// Suffix of dual-stack host names of registries.
    pub(crate) registry_suffix: &'static str,
    /// Suffix of dual-stack host names of APIs.
    pub(crate) api_suffix: &'static str,
}

/// All partitions. The one without a prefix is last.
static PARTITIONS: [Partition; 8] = [
    row("cn-", "aws-cn", "amazonaws.com.cn", "on.amazonwebservices.com.cn", "api.amazonwebservices.com.cn"),
    row("us-gov-", "aws-us-gov", "amazonaws.com", "on.aws", "api.aws"),
    row("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "on.aws.scloud", "api.aws.scloud"),
    row("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "on.aws.hci.ic.gov", "api.aws.hci.ic.gov"),
    row("us-iso-", "aws-iso", "c2s.ic.gov", "on.aws.ic.gov", "api.aws.ic.gov"),
    row("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "on.cloud-aws.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    row("eusc-", "aws-eusc", "amazonaws.eu", "on.amazonwebservices.eu", "api.amazonwebservices.eu"),
    row("", "aws", "amazonaws.com", "on.aws", "api.aws"),
];

const fn row(
    regions: &'static str,
    name: &'static str,
    suffix: &'static str,
    registry_suffix: &'static str,
    api_suffix: &'static str,
) -> Partition {
    Partition { regions, name, suffix, registry_suffix, api_suffix }
}

/// Returns the partition of a Region.
pub(crate) fn partition_of(region: &str) -> &'static Partition {
    let found = PARTITIONS.iter().find(|partition| region.starts_with(partition.regions));
    found.unwrap_or(&PARTITIONS[7])
}

/// Returns the name of a Region's partition.
pub(crate) fn partition(region: &str) -> &'static str {
    partition_of(region).name
}

/// Splits a host name at its Region, which is the first label in the form of a Region.
pub(crate) fn split_at_region(host: &str) -> Option<(String, String, String)> {
    let labels: Vec<_> = host.split('.').collect();
    let at = labels.iter().position(|label| is_region(label))?;
    Some((labels[..at].join("."), labels[at].to_owned(), labels[at + 1..].join(".")))
}

fn is_region(label: &str) -> bool {
    let mut parts = label.rsplit('-');
    let number = parts.next().unwrap_or_default();
    let rest = parts.count();
    (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
        && (2..=3).contains(&rest)
}
