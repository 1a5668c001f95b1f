//! Times of images.

use super::object::Object;

/// Returns the time of an image's `created` in seconds since 1970, or 0 if it is missing or invalid.
pub(crate) fn creation_time(config: &[u8]) -> u64 {
    let created = std::str::from_utf8(config).ok().and_then(|text| {
        let config = Object::parse(text).ok()?;
        config.get_as::<String>("created").ok()?
    });
    created.and_then(|created| seconds_since_epoch(&created)).unwrap_or(0)
}

/// Parses a time of RFC 3339. Returns `None` for a time before 1970.
fn seconds_since_epoch(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let zone = text.get(19..)?.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let offset = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let start = text.len() - 5;
            let minutes = number(start, start + 2)? * 60 + number(start + 3, start + 5)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds =
        days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    u64::try_from(seconds).ok().filter(|_| valid)
}

/// Returns the number of days between 1970-01-01 and a day of the Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html#days_from_civil>).
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    // Years start in March, so that the leap day is the last one.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_times_of_images() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T23:59:59.123456789Z", Some(951_868_799)),
            ("2026-11-29T21:00:00+01:00", Some(1_795_982_400)),
            ("2026-11-29T19:30:00-00:30", Some(1_795_982_400)),
            ("0001-01-01T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-29", None),
            ("2026-11-29T21:00:00", None),
            ("2026-11-29T21:00:00 +01:0ä", None),
        ] {
            assert_eq!(seconds_since_epoch(text), expected, "{text}");
        }
        assert_eq!(creation_time(br#"{"created":"1970-01-02T00:00:00Z"}"#), 86_400);
        assert_eq!(creation_time(b"{}"), 0);
    }
}
