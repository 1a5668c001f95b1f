//! Partitions, and what of a host name is the Region.

/// A partition of AWS, with the ends of its host names.
pub(crate) struct Partition {
    /// What its Regions begin with.
    regions: &'static str,
    /// Its name in ARNs.
    pub(crate) name: &'static str,
    /// End of ordinary names.
    pub(crate) suffix: &'static str,
    /// End of the dual-stack names of registries.
    pub(crate) registry_suffix: &'static str,
    /// End of the dual-stack names of APIs.
    pub(crate) api_suffix: &'static str,
}

/// Every partition; the one whose Regions begin with anything comes last.
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

/// The partition of a Region.
pub(crate) fn partition_of(region: &str) -> &'static Partition {
    let found = PARTITIONS.iter().find(|partition| region.starts_with(partition.regions));
    found.unwrap_or(&PARTITIONS[7])
}

/// The name of a Region's partition.
pub(crate) fn partition(region: &str) -> &'static str {
    partition_of(region).name
}

/// Splits a host name before and after its Region, which is the first label that looks like one.
pub(crate) fn split(host: &str) -> Option<(String, String, String)> {
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
