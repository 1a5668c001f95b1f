//! Records the IAM actions that programs request, so that a test can compare them with a role's
//! permissions.
//!
//! The file that [`VARIABLE`] names has one line for each program and action. Several processes can append
//! to it at the same time. Each process writes whole lines, and no line twice.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use http::HeaderMap;
use http::header::USER_AGENT;

/// Environment variable with the path of the file. If it is unset, nothing is written.
const VARIABLE: &str = "ACTIONS_SEEN";

static FILE: LazyLock<Option<OsString>> = LazyLock::new(|| std::env::var_os(VARIABLE));

/// Lines that this process has written.
static WRITTEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Records that a program requested an action such as `ecr:PutImage`, also if the action was denied. A
/// request without a program name is not recorded.
///
/// # Panics
///
/// Panics if the file cannot be written, because an incomplete list would pass for a complete one.
pub(crate) fn record(program_name: Option<&str>, action: &str) {
    let (Some(file), Some(program_name)) = (FILE.as_ref(), program_name) else { return };
    let line = format!("{program_name} {action}\n");
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if written.contains(&line) {
        return;
    }
    // One write per line, so that lines of other processes cannot split it.
    let opened = OpenOptions::new().create(true).append(true).open(file);
    let appended = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    appended.unwrap_or_else(|error| panic!("{VARIABLE}: {} cannot be written: {error}", file.display()));
    written.insert(line);
}

/// Returns the name of the program that sent these headers. AWS SDKs send their own name in `User-Agent`
/// and add the program's name as `app/NAME`.
pub(crate) fn program_name(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut words = text("x-amz-user-agent").unwrap_or_default().split(' ');
    let named = words.find_map(|word| word.strip_prefix("app/"));
    let product = || text(USER_AGENT.as_str())?.split(['/', ' ']).next();
    named.or_else(product).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_name_of_a_program() {
        let named = |pairs: &[(&'static str, &str)]| {
            let headers = pairs.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), value.parse().expect("a header's value"))
            });
            program_name(&headers.collect())
        };
        let sdk = ("user-agent", "aws-sdk-rust/1.3.0 os/linux");
        let with_name = ("x-amz-user-agent", "aws-sdk-rust/1.3.0 ua/2.1 api/ecr/1.1 app/shop");
        assert_eq!(named(&[sdk, with_name]).as_deref(), Some("shop"));
        assert_eq!(named(&[sdk]).as_deref(), Some("aws-sdk-rust"));
        assert_eq!(named(&[("user-agent", "shop/1.2")]).as_deref(), Some("shop"));
        assert_eq!(named(&[]), None);
    }
}
