//! The list of IAM actions that programs asked for, from which a test learns what a role must allow.
//!
//! It is the file that [`VARIABLE`] names, one line for each program and action. Many processes may
//! write it at once: each appends whole lines, and none twice.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use http::HeaderMap;
use http::header::USER_AGENT;

/// Names the file; nothing is written without it.
const VARIABLE: &str = "ACTIONS_SEEN";

static FILE: LazyLock<Option<OsString>> = LazyLock::new(|| std::env::var_os(VARIABLE));

/// What this process has written.
static WRITTEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Notes that a program asked for an action such as `ecr:PutImage`, whether or not it may. One that
/// does not name itself is not noted.
///
/// # Panics
///
/// When the file cannot be written: a list that lacks something would be taken for whole.
pub(crate) fn note(program: Option<&str>, action: &str) {
    let (Some(file), Some(program)) = (FILE.as_ref(), program) else { return };
    let line = format!("{program} {action}\n");
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if written.contains(&line) {
        return;
    }
    // One write for each line, so that those of other processes do not come in between.
    let opened = OpenOptions::new().create(true).append(true).open(file);
    let appended = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    appended.unwrap_or_else(|error| panic!("{VARIABLE}: {} cannot be written: {error}", file.display()));
    written.insert(line);
}

/// What the program that sent these headers calls itself. The SDKs of AWS call themselves by their
/// own names, and name the program as `app/NAME` beside.
pub(crate) fn program(headers: &HeaderMap) -> Option<String> {
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
    fn a_program_is_known_by_its_own_name() {
        let named = |pairs: &[(&'static str, &str)]| {
            let headers = pairs.iter().map(|(name, value)| {
                (http::HeaderName::from_static(name), value.parse().expect("a header's value"))
            });
            program(&headers.collect())
        };
        let sdk = ("user-agent", "aws-sdk-rust/1.3.0 os/linux");
        let with_name = ("x-amz-user-agent", "aws-sdk-rust/1.3.0 ua/2.1 api/ecr/1.1 app/shop");
        assert_eq!(named(&[sdk, with_name]).as_deref(), Some("shop"));
        assert_eq!(named(&[sdk]).as_deref(), Some("aws-sdk-rust"));
        assert_eq!(named(&[("user-agent", "shop/1.2")]).as_deref(), Some("shop"));
        assert_eq!(named(&[]), None);
    }
}
