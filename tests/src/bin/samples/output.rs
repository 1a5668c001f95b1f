//! Tells what became of the samples, in lines of 80 columns.

use crate::lifecycle::{End, Played};
use crate::defect::Spoil;

/// Columns of text.
const WIDTH: usize = 80;

/// One line for each image, and what is off below.
pub(crate) fn tell(sample: &str, played: &Played) {
    for row in &played.rows {
        let digest = |number: usize| {
            let digest = row.digests.get(number).and_then(|digest| digest.strip_prefix("sha256:"));
            digest.and_then(|hex| hex.get(..12)).unwrap_or("-")
        };
        let end = match row.end {
            End::Open => "broken off",
            End::Deleted => "deleted",
            End::Retained => "retained",
        };
        let id = &row.logical_id;
        println!("{sample:18} {id:8} created {:12}, updated {:12}, {end}", digest(0), digest(1));
    }
    for problem in &played.problems {
        wrapped("  OFF: ", problem);
    }
}

/// A symptom of something spoilt that the checks did not see.
pub(crate) fn unnoticed(spoil: Spoil, symptom: &str) {
    wrapped("  OFF: ", &format!("{spoil:?} was spoilt, and no check said {symptom:?}"));
}

/// Prints a text in lines of bounded length.
fn wrapped(indent: &str, text: &str) {
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
