//! Counts of the referrers of an image.

use std::fmt;

/// Counts of the referrers of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReferrerCounts {
    /// Referrers that were copied.
    pub copied: usize,
    /// Referrers that the destination already had.
    pub present: usize,
    /// Referrers that could not be read at the source, or that the destination rejected.
    pub refused: usize,
    /// Referrers that were not copied because of a limit of time, number or size.
    pub left_out: usize,
    /// Images and referrers whose own referrers could not be looked up.
    pub failed_lookups: usize,
    /// Images whose index of referrers could not be written, at a destination without the referrers API.
    pub unlisted: usize,
    /// First reason for an incomplete result, in one line.
    pub first_reason: Option<String>,
}

impl ReferrerCounts {
    /// Returns true if a referrer can be missing at the destination.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.refused + self.left_out + self.failed_lookups + self.unlisted > 0
    }
}

/// `3 copied, 1 refused`
impl fmt::Display for ReferrerCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lookups = if self.failed_lookups == 1 { "lookup failed" } else { "lookups failed" };
        let parts: Vec<String> = [
            (self.copied, "copied"),
            (self.present, "present"),
            (self.refused, "refused"),
            (self.left_out, "left out"),
            (self.failed_lookups, lookups),
            (self.unlisted, "not listed"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, label)| format!("{count} {label}"))
        .collect();
        if parts.is_empty() { f.write_str("none") } else { f.write_str(&parts.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_only_counts_above_zero() {
        assert_eq!(ReferrerCounts::default().to_string(), "none");
        let some = ReferrerCounts { copied: 3, refused: 1, ..ReferrerCounts::default() };
        assert_eq!(some.to_string(), "3 copied, 1 refused");
        let all = ReferrerCounts {
            copied: 1,
            present: 2,
            refused: 3,
            left_out: 4,
            failed_lookups: 1,
            unlisted: 2,
            first_reason: None,
        };
        assert_eq!(
            all.to_string(),
            "1 copied, 2 present, 3 refused, 4 left out, 1 lookup failed, 2 not listed"
        );
        assert!(
            all.is_incomplete()
                && !ReferrerCounts { present: 1, ..ReferrerCounts::default() }.is_incomplete()
        );
    }
}
