//! When an event was issued, as far as the address for its answer tells.
//!
//! Events carry no time of their own, but their `ResponseURL` was signed when they were made. Its
//! form is not documented, so this is a hint: whoever uses it has to do without.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Url;

/// How long an address of the older form is valid.
const VALIDITY_SECONDS: u64 = 7200;

/// Reads the time out of the signature's parameters: `X-Amz-Date` of the newer form, `Expires` of
/// the older.
pub(crate) fn issue_time(url: &Url) -> Option<SystemTime> {
    let parameter = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
    let seconds = match parameter("X-Amz-Date") {
        Some(date) => parse_amz_date(&date)?,
        None => parameter("Expires")?.parse::<u64>().ok()?.checked_sub(VALIDITY_SECONDS)?,
    };
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Seconds since 1970 of a time as `20261121T114847Z`.
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
    // Years begin with March here, so that the day that comes and goes is a year's last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    /// Days from the first of March of the year 0 to the first of January 1970.
    const EPOCH: u64 = 719_468;
    Some((days - EPOCH) * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued_at(query: &str) -> Option<u64> {
        let url = Url::parse(&format!("https://bucket.s3.amazonaws.com/key?{query}")).unwrap();
        issue_time(&url).map(|time| time.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn reads_both_forms_of_a_signed_address() {
        for (query, expected) in [
            ("X-Amz-Date=19700101T000000Z", 0),
            ("X-Amz-Date=20000229T235959Z&X-Amz-Expires=7199", 951_868_799),
            ("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261121T114847Z", 1_795_261_727),
            ("X-Amz-Date=21000301T000000Z", 4_107_542_400),
            ("AWSAccessKeyId=A&Expires=1795268927&Signature=x", 1_795_261_727),
        ] {
            assert_eq!(issued_at(query), Some(expected), "{query}");
        }
    }

    #[test]
    fn tells_nothing_of_what_it_does_not_know() {
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
            assert!(issued_at(query).is_none_or(|at| at > 1 << 60), "{query}");
        }
    }
}
