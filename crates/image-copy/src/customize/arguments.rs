//! Arguments with a grammar of their own: modes, owners, durations, ports and signals.

use super::error::quoted;

/// Numeric owner of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Parses an octal mode.
pub(super) fn parse_mode(text: &str) -> Result<u32, String> {
    let is_octal = (1..=5).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if is_octal && mode <= 0o7777 => Ok(mode),
        _ => Err(format!("{} is not an octal mode, such as 0755", quoted(text))),
    }
}

/// Parses `uid`, `uid:gid` or `:gid`. Returns `None` for a missing part. Names other than `root` are rejected,
/// because `/etc/passwd` of the base is not read.
pub(super) fn parse_owner(text: &str) -> Result<(Option<u32>, Option<u32>), String> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let id = |name: &str| match name {
        "root" => Ok(0),
        _ if is_decimal(name) => name.parse().map_err(|_| not_numeric(text)),
        _ => Err(not_numeric(text)),
    };
    let uid = match user {
        "" if group.is_some_and(|group| !group.is_empty()) => None,
        user => Some(id(user)?),
    };
    Ok((uid, group.map(id).transpose()?))
}

fn not_numeric(text: &str) -> String {
    format!("the owner {} is not numeric. Use ids such as 1000:1000", quoted(text))
}

/// Returns the owner of files that `RUN` creates as this user. Names count as root, because `/etc/passwd` of
/// the base is not read.
pub(super) fn owner_of_user(user: &str) -> Owner {
    match parse_owner(user) {
        Ok((Some(uid), gid)) => Owner { uid, gid: gid.unwrap_or(0) },
        _ => Owner::default(),
    }
}

/// Parses a duration of Go, such as `1m30s`, into nanoseconds.
pub(super) fn parse_duration(text: &str) -> Result<u64, String> {
    let invalid = || format!("{} is not a duration, such as 30s or 1m30s", quoted(text));
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_lowercase).count();
        let nanoseconds: u64 = match &rest[digits..digits + letters] {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return Err(invalid()),
        };
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        let part = number.checked_mul(nanoseconds).ok_or_else(invalid)?;
        total = total.checked_add(part).filter(|sum| i64::try_from(*sum).is_ok()).ok_or_else(invalid)?;
        rest = &rest[digits + letters..];
    }
    // Docker rejects shorter durations.
    match total {
        1_000_000.. => Ok(total),
        0 if !text.is_empty() => Ok(0),
        _ => Err(invalid()),
    }
}

/// Maximum number of ports in one range.
const MAX_PORTS: u16 = 1000;

/// Parses `port`, `port/protocol` or `first-last/protocol` into keys such as `80/tcp`.
pub(super) fn parse_ports(text: &str) -> Result<Vec<String>, String> {
    let invalid = || format!("{} is not a port, such as 80, 53/udp or 8000-8010/tcp", quoted(text));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(invalid());
    }
    let port = |text: &str| {
        let number: Option<u16> = text.parse().ok().filter(|_| is_decimal(text));
        number.ok_or_else(invalid)
    };
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(range)?, port(range)?),
    };
    if last < first || last - first >= MAX_PORTS {
        return Err(invalid());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Names of Linux signals without `SIG`
/// (<https://github.com/moby/sys/blob/main/signal/signal_linux.go>).
const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE",
    "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX",
];

/// Checks a signal by name or number.
pub(super) fn check_signal(text: &str) -> Result<(), String> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let is_number = is_decimal(text) && text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    let real_time = |prefix| {
        let number: Option<&str> = name.strip_prefix(prefix);
        number.is_some_and(|n| is_decimal(n) && n.parse::<u8>().is_ok_and(|n| (1..=15).contains(&n)))
    };
    match is_number || SIGNALS.contains(&name) || real_time("RTMIN+") || real_time("RTMAX-") {
        true => Ok(()),
        false => Err(format!("{} is not a signal, such as SIGTERM or 15", quoted(text))),
    }
}

pub(super) fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_ports_modes_owners_and_signals() {
        assert_eq!(parse_duration("1m30s"), Ok(90_000_000_000));
        assert_eq!(parse_duration("500ms"), Ok(500_000_000));
        assert_eq!(parse_duration("0s"), Ok(0));
        for wrong in ["", "5", "s", "1.5s", "1d", "10ns", "99999999999h", "-1s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_ports("8000-8002/UDP").unwrap(), ["8000/udp", "8001/udp", "8002/udp"]);
        for wrong in ["", "x", "80/http", "70000", "9-8", "1-2000", "0.0.0.0:80:80", "+80"] {
            assert!(parse_ports(wrong).is_err(), "{wrong}");
        }
        assert_eq!((parse_mode("0755"), parse_mode("1777")), (Ok(0o755), Ok(0o1777)));
        for wrong in ["", "u+x", "888", "17777", "+7"] {
            assert!(parse_mode(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_owner("root:5"), Ok((Some(0), Some(5))));
        assert_eq!(parse_owner(":7"), Ok((None, Some(7))));
        for wrong in ["", ":", "app", "1:app", "1:", "-1", "4294967296"] {
            assert!(parse_owner(wrong).is_err(), "{wrong}");
        }
        for right in ["SIGTERM", "term", "9", "SIGRTMIN+3"] {
            assert_eq!(check_signal(right), Ok(()));
        }
        for wrong in ["", "0", "65", "SIGNOTHING", "SIGRTMIN+99", "+9"] {
            assert!(check_signal(wrong).is_err(), "{wrong}");
        }
        assert_eq!(owner_of_user("1000"), Owner { uid: 1000, gid: 0 });
        assert_eq!(owner_of_user("app:5"), Owner::default());
    }
}
