//! Settings of a new repository.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_ecr::types::{
    EncryptionConfiguration, EncryptionType, ImageTagMutability, ImageTagMutabilityExclusionFilter,
    ImageTagMutabilityExclusionFilterType, RepositoryCreationTemplate,
};

/// Settings of a new repository. The default is ECR's default: mutable tags, AES-256, no scans, no policies
/// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html>).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositorySpec {
    /// Mutability of image tags.
    pub mutability: TagMutability,
    /// True if ECR scans each image after its push.
    pub scan_on_push: bool,
    /// Encryption, which cannot be changed later.
    pub encryption: Encryption,
    /// JSON text of the lifecycle policy.
    pub lifecycle_policy: Option<String>,
    /// JSON text of the repository policy.
    pub repository_policy: Option<String>,
    /// Tags of the repository itself, not of its images.
    pub tags: BTreeMap<String, String>,
}

/// Mutability of image tags
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html>). In a filter, `*`
/// matches any characters. ECR accepts at most 5 filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagMutability {
    /// All tags can be moved, except those that match a filter.
    Mutable {
        /// The filters.
        except: Vec<String>,
    },
    /// No tag can be moved, except those that match a filter.
    Immutable {
        /// The filters.
        except: Vec<String>,
    },
}

impl Default for TagMutability {
    fn default() -> Self {
        Self::Mutable { except: Vec::new() }
    }
}

/// Encryption of a repository
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html>).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Encryption {
    /// AES-256 with keys of Amazon S3.
    #[default]
    Aes256,
    /// A key of AWS KMS in the repository's Region. `None` means the key `aws/ecr`.
    Kms(Option<String>),
    /// Two layers of encryption with a key of AWS KMS. Only in AWS GovCloud.
    KmsDsse(Option<String>),
}

impl RepositorySpec {
    /// Returns the settings that a creation template gives a repository.
    pub(crate) fn of_template(template: &RepositoryCreationTemplate) -> Self {
        let filters = template.image_tag_mutability_exclusion_filters().iter();
        let except = filters.map(|filter| filter.filter().to_owned()).collect();
        let encryption = template.encryption_configuration();
        let key = encryption.and_then(|encryption| encryption.kms_key()).map(ToOwned::to_owned);
        let tags = template.resource_tags().iter();
        Self {
            mutability: match template.image_tag_mutability() {
                Some(ImageTagMutability::Immutable | ImageTagMutability::ImmutableWithExclusion) => {
                    TagMutability::Immutable { except }
                }
                Some(ImageTagMutability::MutableWithExclusion) => TagMutability::Mutable { except },
                _ => TagMutability::default(),
            },
            scan_on_push: false,
            encryption: match encryption.map(|encryption| encryption.encryption_type()) {
                Some(EncryptionType::Kms) => Encryption::Kms(key),
                Some(EncryptionType::KmsDsse) => Encryption::KmsDsse(key),
                _ => Encryption::Aes256,
            },
            lifecycle_policy: template.lifecycle_policy().map(ToOwned::to_owned),
            repository_policy: template.repository_policy().map(ToOwned::to_owned),
            tags: tags.map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect(),
        }
    }
}

impl TagMutability {
    /// Returns the mode for ECR.
    pub(crate) fn mode(&self) -> ImageTagMutability {
        match self {
            Self::Mutable { except } if except.is_empty() => ImageTagMutability::Mutable,
            Self::Mutable { .. } => ImageTagMutability::MutableWithExclusion,
            Self::Immutable { except } if except.is_empty() => ImageTagMutability::Immutable,
            Self::Immutable { .. } => ImageTagMutability::ImmutableWithExclusion,
        }
    }

    /// Returns the filters for ECR. `None` if there are none.
    pub(crate) fn filters(&self) -> Option<Vec<ImageTagMutabilityExclusionFilter>> {
        let (Self::Mutable { except } | Self::Immutable { except }) = self;
        let filters = except.iter().filter_map(|filter| {
            let wildcard = ImageTagMutabilityExclusionFilterType::Wildcard;
            // Type and filter are all that the builder requires.
            ImageTagMutabilityExclusionFilter::builder().filter_type(wildcard).filter(filter).build().ok()
        });
        Some(filters.collect()).filter(|filters: &Vec<_>| !filters.is_empty())
    }
}

impl Encryption {
    /// Returns the configuration for ECR. `None` leaves it to ECR.
    pub(crate) fn configuration(&self) -> Option<EncryptionConfiguration> {
        let (kind, key) = match self {
            Self::Aes256 => return None,
            Self::Kms(key) => (EncryptionType::Kms, key),
            Self::KmsDsse(key) => (EncryptionType::KmsDsse, key),
        };
        EncryptionConfiguration::builder().encryption_type(kind).set_kms_key(key.clone()).build().ok()
    }
}

/// Lists the settings, such as `immutable tags except dev-*, encryption KMS, scan on push`.
impl fmt::Display for RepositorySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, except) = match &self.mutability {
            TagMutability::Mutable { except } => ("mutable", except),
            TagMutability::Immutable { except } => ("immutable", except),
        };
        write!(f, "{word} tags")?;
        if !except.is_empty() {
            write!(f, " except {}", except.join(" "))?;
        }
        let (kind, key) = match &self.encryption {
            Encryption::Aes256 => ("AES256", &None),
            Encryption::Kms(key) => ("KMS", key),
            Encryption::KmsDsse(key) => ("KMS_DSSE", key),
        };
        write!(f, ", encryption {kind}")?;
        if let Some(key) = key {
            write!(f, " with key {key}")?;
        }
        for (word, is_set) in [
            ("scan on push", self.scan_on_push),
            ("lifecycle policy", self.lifecycle_policy.is_some()),
            ("repository policy", self.repository_policy.is_some()),
        ] {
            if is_set {
                write!(f, ", {word}")?;
            }
        }
        if !self.tags.is_empty() {
            let tags: Vec<_> = self.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            write!(f, ", tags {}", tags.join(" "))?;
        }
        Ok(())
    }
}
