//! AWS partitions
//! (<https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>).

/// A group of AWS Regions with separate accounts and domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partition {
    /// Commercial Regions.
    Aws,
    /// China.
    China,
    /// GovCloud (US).
    GovCloud,
    /// US, Top Secret.
    Iso,
    /// US, Secret.
    IsoB,
    /// Europe, isolated.
    IsoE,
    /// US, isolated.
    IsoF,
    /// European Sovereign Cloud.
    EuropeanSovereign,
}

impl Partition {
    const ALL: [Self; 8] = [
        Self::Aws,
        Self::China,
        Self::GovCloud,
        Self::Iso,
        Self::IsoB,
        Self::IsoE,
        Self::IsoF,
        Self::EuropeanSovereign,
    ];

    /// Returns the partition with this name in ARNs.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.name() == name)
    }

    /// Returns the name in ARNs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
            Self::Iso => "aws-iso",
            Self::IsoB => "aws-iso-b",
            Self::IsoE => "aws-iso-e",
            Self::IsoF => "aws-iso-f",
            Self::EuropeanSovereign => "aws-eusc",
        }
    }

    /// Returns the domain of registries
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Aws | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
            Self::Iso => "c2s.ic.gov",
            Self::IsoB => "sc2s.sgov.gov",
            Self::IsoE => "cloud.adc-e.uk",
            Self::IsoF => "csp.hci.ic.gov",
            Self::EuropeanSovereign => "amazonaws.eu",
        }
    }

    /// Returns the domain of dual-stack registries. `None` if the partition has none.
    pub(crate) fn dual_stack_suffix(self) -> Option<&'static str> {
        match self {
            Self::Aws | Self::GovCloud => Some("on.aws"),
            Self::China => Some("on.amazonwebservices.com.cn"),
            Self::Iso | Self::IsoB | Self::IsoE | Self::IsoF | Self::EuropeanSovereign => None,
        }
    }

    /// Returns the partition of a Region from its name. Unknown names belong to the commercial partition.
    #[must_use]
    pub fn of_region(region: &str) -> Self {
        let mut words = region.split('-');
        match (words.next().unwrap_or_default(), words.next().unwrap_or_default()) {
            ("cn", _) => Self::China,
            ("eusc", _) => Self::EuropeanSovereign,
            (_, "gov") => Self::GovCloud,
            (_, "iso") => Self::Iso,
            (_, "isob") => Self::IsoB,
            (_, "isoe") => Self::IsoE,
            (_, "isof") => Self::IsoF,
            _ => Self::Aws,
        }
    }
}

pub(crate) fn is_region(text: &str) -> bool {
    let words: Vec<&str> = text.split('-').collect();
    words.len() >= 3
        && text.len() <= 32
        && words.iter().all(|word| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
}

pub(crate) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}
