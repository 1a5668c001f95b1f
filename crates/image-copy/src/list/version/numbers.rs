//! Numbers in tags that are dates or times.

/// Years in tags. Docker exists since 2013, but tags can name older software.
const YEARS: std::ops::RangeInclusive<u64> = 1990..=2099;

/// Seconds since 1970 with ten digits, from 2001 to 2039.
const UNIX_SECONDS: std::ops::RangeInclusive<u64> = 1_000_000_000..=2_199_999_999;

/// A later number with fewer digits can be any counter.
const MIN_DATE_DIGITS: u32 = 8;

/// Returns true for a year.
pub(super) fn is_year(number: u64) -> bool {
    YEARS.contains(&number)
}

/// Returns the number of digits if the number can be a year, a date or a time.
pub(super) fn calendar_digits(number: u64) -> Option<u32> {
    let is_month = |number: u64| is_year(number / 100) && (1..=12).contains(&(number % 100));
    let is_day = |number: u64| is_month(number / 100) && (1..=31).contains(&(number % 100));
    let is_hour = |number: u64| is_day(number / 100) && number % 100 < 24;
    let is_minute = |number: u64| is_hour(number / 100) && number % 100 < 60;
    let digits = digits(number);
    let is_calendar = match digits {
        4 => is_year(number),
        6 => is_month(number),
        8 => is_day(number),
        10 => is_hour(number) || UNIX_SECONDS.contains(&number),
        12 => is_minute(number),
        13 => UNIX_SECONDS.contains(&(number / 1000)),
        14 => is_minute(number / 100) && number % 100 < 60,
        _ => false,
    };
    is_calendar.then_some(digits)
}

/// Returns true for a number that is a complete date, such as `20240807` or `20240807093000`.
pub(super) fn is_full_date(number: u64) -> bool {
    calendar_digits(number).is_some_and(|digits| digits >= MIN_DATE_DIGITS)
}

/// Returns the number of decimal digits.
pub(super) fn digits(number: u64) -> u32 {
    number.checked_ilog10().unwrap_or_default() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_dates_and_times() {
        for date in [1990, 2099, 202_412, 20_240_229, 2_024_010_203, 202_401_022_359, 20_240_102_235_959] {
            assert!(calendar_digits(date).is_some(), "{date}");
        }
        for time in [1_700_000_000, 1_700_000_000_123] {
            assert!(calendar_digits(time).is_some(), "{time}");
        }
        for other in [0, 9, 999, 1007, 1989, 2100, 202_413, 20_241_301, 20_240_132, 99_999, 9_876_543_210] {
            assert_eq!(calendar_digits(other), None, "{other}");
        }
        assert!(is_full_date(20_240_807) && !is_full_date(2024) && !is_full_date(202_408));
    }
}
