//! Output of the samples, in lines of 80 columns.

use crate::defect::Defect;
use crate::lifecycle::{FinalState, SampleResult};

/// Maximum number of columns.
const WIDTH: usize = 80;

/// Prints one line for each image, then the problems.
pub(crate) fn print_result(sample: &str, result: &SampleResult) {
    for image in &result.images {
        let digest = |number: usize| {
            let digest = image.digests.get(number).and_then(|digest| digest.strip_prefix("sha256:"));
            digest.and_then(|hex| hex.get(..12)).unwrap_or("-")
        };
        let end = match image.end {
            FinalState::NotReached => "incomplete",
            FinalState::Deleted => "deleted",
            FinalState::Retained => "retained",
        };
        let id = &image.logical_id;
        println!("{sample:18} {id:8} created {:12}, updated {:12}, {end}", digest(0), digest(1));
    }
    for problem in &result.problems {
        print_wrapped("  PROBLEM: ", problem);
    }
}

/// Prints a problem of an injected defect that no check reported.
pub(crate) fn print_undetected(defect: Defect, problem: &str) {
    print_wrapped("  PROBLEM: ", &format!("defect {defect:?}: no check reported {problem:?}"));
}

/// Prints a text, wrapped at [`WIDTH`].
fn print_wrapped(indent: &str, text: &str) {
    let mut line = indent.to_owned();
    for word in text.split_whitespace() {
        if line.len() > indent.len() {
            if line.len() + 1 + word.len() > WIDTH {
                println!("{line}");
                line = " ".repeat(indent.len());
            } else {
                line.push(' ');
            }
        }
        line += word;
    }
    println!("{line}");
}
