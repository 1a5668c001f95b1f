//! Times in seconds since 1970, and as text.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};

/// Returns the current time in seconds since 1970.
#[must_use]
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Formats a time in seconds since 1970, for example `2026-11-21T12:00:00Z` (RFC 3339, UTC).
#[must_use]
pub fn format_timestamp(seconds: u64) -> String {
    let time = DateTime::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    // The format has four digits for the year.
    time.fmt(DateTimeFormat::DateTime).unwrap_or_else(|_| "9999-12-31T23:59:59Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_seconds_since_1970() {
        assert_eq!(format_timestamp(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_timestamp(1_795_262_400), "2026-11-21T12:00:00Z");
        assert_eq!(format_timestamp(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
