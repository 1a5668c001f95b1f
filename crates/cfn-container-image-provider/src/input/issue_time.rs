//! Time at which an event was issued, from its response URL.
//!
//! Events contain no time, but their `ResponseURL` was signed when they were issued. Its format is not
//! documented, so the time is optional.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Url;

/// Validity of a URL with the older signature, in seconds.
const VALIDITY_SECONDS: u64 = 7200;

/// Reads the time from the signature's parameters: `X-Amz-Date` in the newer format, `Expires` in the older
/// one.
pub(crate) fn issue_time(url: &Url) -> Option<SystemTime> {
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
    let seconds = match parameter("X-Amz-Date") {
        Some(date) => parse_amz_date(&date)?,
        None => parameter("Expires")?.parse::<u64>().ok()?.checked_sub(VALIDITY_SECONDS)?,
    };
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Converts a time such as `20261121T114847Z` to seconds since 1970.
fn parse_amz_date(date: &str) -> Option<u64> {
    let (day, time) = date.strip_suffix('Z')?.split_once('T')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if day.len() != 8 || time.len() != 6 || !digits(day) || !digits(time) {
        return None;
    }
    let number = |text: &str| text.parse::<u64>().ok();
    let (year, month, day) = (number(&day[..4])?, number(&day[4..6])?, number(&day[6..])?);
    let (hour, minute, second) = (number(&time[..2])?, number(&time[2..4])?, number(&time[4..])?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    // Years start with March here, so that a leap day is the last day.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    /// Days from March 1 of the year 0 to January 1, 1970.
    const EPOCH: u64 = 719_468;
    Some((days - EPOCH) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issue_seconds(query: &str) -> Option<u64> {
        let url = Url::parse(&format!("https://bucket.s3.amazonaws.com/key?{query}")).unwrap();
        issue_time(&url).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn reads_both_formats_of_a_signed_url() {
        for (query, expected) in [
            ("X-Amz-Date=19700101T000000Z", 0),
            ("X-Amz-Date=20000229T235959Z&X-Amz-Expires=7199", 951_868_799),
            ("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261121T114847Z", 1_795_261_727),
            ("X-Amz-Date=21000301T000000Z", 4_107_542_400),
            ("AWSAccessKeyId=A&Expires=1795268927&Signature=x", 1_795_261_727),
        ] {
            assert_eq!(issue_seconds(query), Some(expected), "{query}");
        }
    }

    #[test]
    fn returns_none_for_other_formats() {
        for query in [
            "",
            "X-Amz-Signature=x",
            "X-Amz-Date=",
            "X-Amz-Date=2026-11-21T11:48:47Z",
            "X-Amz-Date=20261321T114847Z",
            "X-Amz-Date=20261100T114847Z",
            "X-Amz-Date=00000101T000000Z",
            "X-Amz-Date=2026112%C3%B6T114847Z",
            "Expires=never",
            "Expires=7199",
            "Expires=99999999999999999999",
            "Expires=18446744073709551615",
        ] {
            assert!(issue_seconds(query).is_none_or(|at| at > 1 << 60), "{query}");
        }
    }
}
