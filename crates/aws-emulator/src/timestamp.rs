//! Timestamps in the formats of AWS.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Returns the time since 1970.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Formats a timestamp as in signatures: `20260102T030405Z`.
pub(crate) fn compact(time: SystemTime) -> String {
    let (date, [hour, minute, second]) = civil(time);
    let [year, month, day] = date;
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Formats a timestamp as in records and events: `2026-01-02T03:04:05.678Z`.
pub(crate) fn iso(time: SystemTime) -> String {
    let (date, [hour, minute, second]) = civil(time);
    let [year, month, day] = date;
    let millis = since_epoch(time).subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Returns year, month and day, and hour, minute and second.
fn civil(time: SystemTime) -> ([u64; 3], [u64; 3]) {
    let seconds = since_epoch(time).as_secs();
    // Years start on 1 March, so that a leap day is the last day of its year:
    // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    ([year, month, day], [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_leap_days_and_new_year() {
        let at = |seconds| iso(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59.000Z");
        assert_eq!(compact(UNIX_EPOCH + Duration::from_secs(1_798_761_600)), "20270101T000000Z");
    }
}
