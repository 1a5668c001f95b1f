//! The JSON document.

use serde_json::{Value, json};

use super::{problems, word};
use crate::commands::verify::{Findings, ImageResult, ImageState, Totals};
use crate::report::inspect::severity_name;

pub(super) fn document(results: &[ImageResult], notes: &[String], totals: &Totals, code: u8) -> Value {
    let images: Vec<Value> = results.iter().map(image).collect();
    let notes: Vec<Value> = notes.iter().map(|note| json!({"message": note})).collect();
    json!({
        "images": images,
        "notes": notes,
        "summary": {
            "images": results.len(),
            "ok": totals.ok,
            "moved": totals.moved,
            "at_risk": totals.at_risk,
            "incomplete": totals.incomplete,
            "missing": totals.missing,
            "unknown": totals.unknown,
            "exit_code": code,
        },
    })
}

fn image(result: &ImageResult) -> Value {
    let problems: Vec<Value> = result
        .problems
        .iter()
        .map(|problem| {
            let message = format!("{}. {}", problems::text(result, &problem.kind), problems::advice(problem));
            json!({"status": json_word(problem.kind.state()), "message": message})
        })
        .collect();
    let owners: Vec<String> =
        result.image.copies.iter().map(|copy| problems::owner_name(&copy.origin)).collect();
    let sources: Vec<String> = result
        .image
        .copies
        .iter()
        .filter_map(|copy| Some(copy.source.as_ref()?.reference.to_string()))
        .collect();
    json!({
        "reference": result.image.name.to_string(),
        "status": json_word(result.state),
        "digest": result.digest.as_ref().map(ToString::to_string),
        "owners": owners,
        "sources": sources,
        "problems": problems,
        "findings": result.findings.as_ref().map(findings),
        "findings_platform": result.findings.as_ref().and_then(|found| Some(found.platform.as_ref()?.to_string())),
    })
}

/// Returns the word of the table as a name, such as `at_risk`.
fn json_word(state: ImageState) -> String {
    word(state).replace(' ', "_")
}

fn findings(found: &Findings) -> Value {
    let counts = found.counts.iter();
    counts.map(|(severity, count)| (severity_name(*severity).to_owned(), json!(count))).collect()
}
