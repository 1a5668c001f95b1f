//! Findings of ECR's image scans.

use std::collections::BTreeMap;

use aws_sdk_ecr::types::{FindingSeverity, ImageIdentifier, ScanStatus};
use image_copy::oci::Digest;
use image_copy::registry::Error;
use image_copy::text::SanitizedText;

use crate::repository::EcrRepository;
use crate::retry::message_text;

/// State of the scan of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageScan {
    /// The image was not scanned. This is also the state directly after a push, and of every index: ECR scans
    /// its images (<https://github.com/aws/containers-roadmap/issues/1683>).
    Missing,
    /// The scan has not finished.
    InProgress,
    /// The scan is complete, with the number of findings of each severity. Severities without findings are
    /// missing.
    Complete(BTreeMap<Severity, u64>),
    /// ECR has no findings, for example because it cannot scan the image.
    Unavailable {
        /// ECR's status, such as `UNSUPPORTED_IMAGE`.
        status: String,
        /// ECR's description of the status.
        description: SanitizedText,
    },
}

/// Severity of a finding, the most severe first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `CRITICAL`
    Critical,
    /// `HIGH`
    High,
    /// `MEDIUM`
    Medium,
    /// `LOW`
    Low,
    /// `INFORMATIONAL`
    Informational,
    /// `UNDEFINED`, or a severity that ECR added later.
    Undefined,
}

impl EcrRepository {
    /// Returns the state of the last scan of an image, basic or enhanced
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html>).
    /// Starts no scan.
    ///
    /// # Errors
    /// ECR's error, also if the image is missing.
    pub async fn image_scan(&self, digest: &Digest) -> Result<ImageScan, Error> {
        let id = ImageIdentifier::builder().image_digest(digest.as_str()).build();
        let request = self
            .client
            .sdk
            .describe_image_scan_findings()
            .registry_id(self.arn.account())
            .repository_name(self.arn.name())
            .image_id(id)
            // The counts are those of the image, not of the page.
            .max_results(1);
        let response =
            match self.client.send("ecr:DescribeImageScanFindings", || request.clone().send()).await {
                Ok(response) => response,
                Err(error) if error.has_code("ScanNotFoundException") => return Ok(ImageScan::Missing),
                Err(error) => return Err(error),
            };
        let status = response.image_scan_status();
        Ok(match status.and_then(|status| status.status()) {
            // Enhanced scanning repeats the scan, and stays active.
            Some(ScanStatus::Complete | ScanStatus::Active) => {
                let findings = response.image_scan_findings();
                let counts = findings.and_then(|findings| findings.finding_severity_counts());
                let mut by_severity = BTreeMap::new();
                for (severity, count) in counts.into_iter().flatten() {
                    *by_severity.entry(Severity::from(severity)).or_default() +=
                        u64::try_from(*count).unwrap_or_default();
                }
                ImageScan::Complete(by_severity)
            }
            Some(ScanStatus::InProgress | ScanStatus::Pending) | None => ImageScan::InProgress,
            Some(other) => ImageScan::Unavailable {
                status: other.as_str().to_owned(),
                description: message_text(status.and_then(|status| status.description())),
            },
        })
    }
}

impl From<&FindingSeverity> for Severity {
    fn from(severity: &FindingSeverity) -> Self {
        match severity {
            FindingSeverity::Critical => Self::Critical,
            FindingSeverity::High => Self::High,
            FindingSeverity::Medium => Self::Medium,
            FindingSeverity::Low => Self::Low,
            FindingSeverity::Informational => Self::Informational,
            _ => Self::Undefined,
        }
    }
}

#[cfg(test)]
mod tests;
