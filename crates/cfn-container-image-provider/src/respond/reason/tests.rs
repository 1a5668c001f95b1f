//! Every failure and its exact text.

use image_copy::copy::{self, Operation, Problem, Side};
use image_copy::oci::Digest;
use image_copy::registry::{self, CredentialsSent};

use super::*;

mod examples;
mod refresh;
mod secrets;
mod table;

use examples::*;
use table::table;

const REQUEST: &str = "8f2a1c3e-0000-4000-8000-000000000000";
const SOURCE: &str = "docker.io/library/nginx:1.27";
const DESTINATION: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/app:1.27";

fn text(failure: copy::Failure) -> String {
    reason(&Failure::Copy(Box::new(failure)), MoreTime::None, REQUEST)
}

#[track_caller]
fn assert_one_short_line(text: &str) {
    assert!(text.chars().count() <= MAX_CHARS, "{} {text}", text.chars().count());
    assert!(
        !text.chars().any(char::is_control) && text.ends_with(&format!(", request {REQUEST})")),
        "{text}"
    );
    assert!(text.starts_with(|first: char| first.is_uppercase() || first == '"'), "{text}");
}

/// Returns the digits of the code in a reason.
#[track_caller]
fn code_of(text: &str) -> &str {
    let (_, tail) = text.rsplit_once(" (CI-").unwrap_or_else(|| panic!("{text}"));
    tail.split(',').next().filter(|digits| digits.len() == 3).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn each_failure_has_its_text_in_the_golden_file() {
    let table = table();
    let expected = include_str!("reasons.txt");
    for (number, (line, expected)) in table.lines().zip(expected.lines()).enumerate() {
        assert_eq!(line, expected, "line {} of reasons.txt; the table is now:\n{table}", number + 1);
    }
    assert_eq!(table.lines().count(), expected.lines().count(), "{table}");
}

#[test]
fn each_failure_suggests_a_change_at_each_step() {
    for problem in PROBLEMS {
        for side in [Side::Source, Side::Destination] {
            for failure in OPERATIONS.into_iter().filter_map(|operation| example(problem, side, operation)) {
                let hint = advice::copy(&failure, MoreTime::None);
                assert!(!hint.is_empty() && hint.ends_with('.'), "{hint}");
                assert_one_short_line(&text(failure));
            }
        }
    }
}

#[test]
fn a_denied_step_names_its_iam_action() {
    for (operation, expected) in OPERATIONS.into_iter().zip([
        "Allow ecr:DescribeRepositories with",
        "Allow ecr:BatchGetImage with",
        "Allow ecr:BatchGetImage with",
        "Allow ecr:BatchCheckLayerAvailability with",
        "Allow ecr:GetDownloadUrlForLayer with",
        "Allow ecr:InitiateLayerUpload with",
        "Allow ecr:UploadLayerPart and ecr:CompleteLayerUpload with",
        "Allow ecr:PutImage with",
        "Allow ecr:PutImage with",
    ]) {
        let failure = example(Problem::AccessDenied, Side::Destination, operation).unwrap();
        assert!(text(failure).contains(expected), "{expected}");
    }
}

#[test]
fn long_reasons_are_shortened_in_order() {
    let digest = Digest::of(b"x");
    let long = |quoted: usize, path: usize| {
        let subject = format!("docker.io/{}@{digest}", "a".repeat(path));
        let cause = refusal(
            404,
            CredentialsSent::No,
            "MANIFEST_UNKNOWN",
            &format!("{} {digest} \n\u{7}é", "q".repeat(quoted)),
        );
        let cause = registry::Error::ErrorResponse(Box::new(cause));
        let text = text(copy::Failure::Registry {
            side: Side::Source,
            operation: Operation::ReadManifest,
            subject: subject.clone(),
            cause,
        });
        assert_one_short_line(&text);
        assert!(text.contains("Check the name in ImageReference."), "{text}");
        (text, subject)
    };
    let (text, subject) = long(40, 10);
    assert!(text.contains(&subject) && text.matches(digest.as_str()).count() == 2, "{text}");
    let (text, subject) = long(900, 10);
    assert!(text.contains(&subject) && text.contains("qqq…\""), "{text}");
    let (text, _) = long(900, 250);
    assert!(text.contains(&"a".repeat(200)), "{text}");
    for path in 1..255 {
        long(path, path);
    }
}
