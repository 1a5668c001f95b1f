//! Host names of ECR, in every partition
//! (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-requests.html>).

/// Region prefix, partition, suffix of classic names, suffix of dual-stack names of the data
/// plane, suffix of dual-stack names of the control plane. The empty prefix comes last.
const PARTITIONS: [(&str, &str, &str, &str, &str); 8] = [
    ("cn-", "aws-cn", "amazonaws.com.cn", "on.amazonwebservices.com.cn", "api.amazonwebservices.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com", "on.aws", "api.aws"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov", "on.aws.scloud", "api.aws.scloud"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov", "on.aws.hci.ic.gov", "api.aws.hci.ic.gov"),
    ("us-iso-", "aws-iso", "c2s.ic.gov", "on.aws.ic.gov", "api.aws.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", "on.cloud-aws.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ("eusc-", "aws-eusc", "amazonaws.eu", "on.amazonwebservices.eu", "api.amazonwebservices.eu"),
    ("", "aws", "amazonaws.com", "on.aws", "api.aws"),
];

/// What a host name of ECR stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The registry of an account.
    Data { account: String, region: String },
    /// The API of a Region.
    Control { region: String },
    /// The bucket that layers are downloaded from.
    Layers { region: String },
}

impl Place {
    /// Reads a host name in lower case.
    pub(crate) fn parse(host: &str) -> Option<Self> {
        let (name, region, suffix) = split(host)?;
        let (_, _, classic, dual_data, dual_control) = partition_row(&region);
        let region_of = |wanted: &str| (suffix == wanted).then(|| region.clone());
        if name == "api.ecr" || name == "ecr-fips" || name == "api.ecr-fips" {
            return Some(Self::Control { region: region_of(classic)? });
        }
        if name == "ecr" {
            return Some(Self::Control { region: region_of(dual_control)? });
        }
        if name == format!("prod-{region}-starport-layer-bucket.s3") {
            return Some(Self::Layers { region: region_of(classic)? });
        }
        let (account, kind) = name.split_once('.')?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let region = match kind {
            "dkr.ecr" | "dkr.ecr-fips" => region_of(classic)?,
            "dkr-ecr" | "dkr-ecr-fips" => region_of(dual_data)?,
            _ => return None,
        };
        Some(Self::Data { account: account.to_owned(), region })
    }
}

/// Splits a host name before and after its Region, which is the first label that looks like one.
fn split(host: &str) -> Option<(String, String, String)> {
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

fn partition_row(region: &str) -> (&str, &str, &str, &str, &str) {
    let fits = |row: &&(&'static str, &'static str, &'static str, &'static str, &'static str)| {
        region.starts_with(row.0)
    };
    *PARTITIONS.iter().find(fits).unwrap_or(&PARTITIONS[7])
}

/// The partition of a Region.
pub(crate) fn partition(region: &str) -> &str {
    partition_row(region).1
}

/// The registry host of an account, by its classic name.
pub(crate) fn registry_host(account: &str, region: &str) -> String {
    format!("{account}.dkr.ecr.{region}.{}", partition_row(region).2)
}

/// The host that layers are downloaded from.
pub(crate) fn layer_host(region: &str) -> String {
    format!("prod-{region}-starport-layer-bucket.s3.{region}.{}", partition_row(region).2)
}

/// The ARN of a repository.
pub(crate) fn repository_arn(account: &str, region: &str, repository: &str) -> String {
    format!("arn:{}:ecr:{region}:{account}:repository/{repository}", partition(region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_for_what_it_is() {
        let data = |region: &str| {
            Some(Place::Data { account: "123456789012".to_owned(), region: region.to_owned() })
        };
        let control = |region: &str| Some(Place::Control { region: region.to_owned() });
        for (host, place) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", data("eu-west-1")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", data("cn-north-1")),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", data("us-gov-west-1")),
            ("123456789012.dkr-ecr.eu-west-1.on.aws", data("eu-west-1")),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", data("eusc-de-east-1")),
            ("api.ecr.eu-west-1.amazonaws.com", control("eu-west-1")),
            ("ecr.eu-west-1.api.aws", control("eu-west-1")),
            ("ecr-fips.us-east-1.amazonaws.com", control("us-east-1")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com", None),
            ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("sts.eu-west-1.amazonaws.com", None),
            ("registry-1.docker.io", None),
        ] {
            assert_eq!(Place::parse(host), place, "{host}");
        }
        let layers = Some(Place::Layers { region: "eu-west-1".to_owned() });
        assert_eq!(Place::parse(&layer_host("eu-west-1")), layers);
    }
}
