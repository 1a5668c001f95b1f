//! Minimum ages of images, such as `48h`.

use std::time::Duration;

use crate::text::SanitizedText;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Longest age in seconds. The images of a longer wait are as old as the next release of most projects.
const MAX_SECONDS: u64 = 60 * DAY;

/// Whole hours below this number of seconds are formatted as hours.
const MIN_DAYS: u64 = 3 * DAY;

/// Maximum length of a quoted text in characters.
const QUOTE_CHARS: usize = 40;

/// A text that is not an age.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not an age: expected a number with m, h or d, from 1m to 60d, such as 48h")]
pub struct InvalidAge(SanitizedText);

/// Parses an age of whole minutes, hours or days: `90m`, `48h` or `7d`.
///
/// # Errors
/// If the text has another form, or if the age is not from 1 minute to 60 days.
pub fn parse_age(text: &str) -> Result<Duration, InvalidAge> {
    let invalid = || InvalidAge(SanitizedText::quotable(text, QUOTE_CHARS));
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(invalid)?;
    let unit = match unit {
        "m" => MINUTE,
        "h" => HOUR,
        "d" => DAY,
        _ => return Err(invalid()),
    };
    // `u64` also accepts a plus sign.
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(invalid());
    }
    let seconds = number.parse().ok().and_then(|number: u64| number.checked_mul(unit)).ok_or_else(invalid)?;
    if (1..=MAX_SECONDS).contains(&seconds) { Ok(Duration::from_secs(seconds)) } else { Err(invalid()) }
}

/// Formats an age that [`parse_age`] accepts: whole days from 3 days on, whole hours, or minutes.
#[must_use]
pub fn format_age(age: Duration) -> String {
    let seconds = age.as_secs();
    if seconds >= MIN_DAYS && seconds.is_multiple_of(DAY) {
        format!("{}d", seconds / DAY)
    } else if seconds.is_multiple_of(HOUR) {
        format!("{}h", seconds / HOUR)
    } else {
        format!("{}m", seconds / MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_formats_ages() {
        for (text, seconds, formatted) in [
            ("1m", 60, "1m"),
            ("90m", 5_400, "90m"),
            ("120m", 7_200, "2h"),
            ("48h", 172_800, "48h"),
            ("2d", 172_800, "48h"),
            ("72h", 259_200, "3d"),
            ("60d", 5_184_000, "60d"),
        ] {
            let age = parse_age(text).unwrap();
            assert_eq!((age.as_secs(), format_age(age).as_str()), (seconds, formatted), "{text}");
            assert_eq!(parse_age(formatted), Ok(age), "{text}");
        }
    }

    #[test]
    fn rejects_other_texts() {
        for text in ["", "h", "48", "0h", "61d", "1441h", "-1h", "+1h", "1.5h", "1 h", "48H", "2w", "1é"] {
            let expected = "is not an age: expected a number with m, h or d, from 1m to 60d, such as 48h";
            assert_eq!(parse_age(text).unwrap_err().to_string(), format!("\"{text}\" {expected}"));
        }
        assert!(parse_age("99999999999999999999d").is_err());
        assert!(parse_age("18446744073709551615d").is_err());
    }
}
