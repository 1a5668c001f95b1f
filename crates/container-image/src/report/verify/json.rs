//! The JSON document.

use serde_json::{Value, json};

use super::{problems, word};
use crate::commands::verify::{Findings, ImageResult, Totals};

pub(super) fn document(results: &[ImageResult], notes: &[String], totals: &Totals, code: u8) -> Value {
    let images: Vec<Value> = results.iter().map(image).collect();
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
            let text = problems::text(result, &problem.kind);
            json!({"state": word(problem.kind.state()), "problem": text, "advice": problems::advice(problem)})
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
        "image": result.image.name.to_string(),
        "state": word(result.state),
        "digest": result.digest.as_ref().map(ToString::to_string),
        "owners": owners,
        "sources": sources,
        "problems": problems,
        "findings": result.findings.as_ref().map(findings),
    })
}

fn findings(found: &Findings) -> Value {
    let mut value: Value = found
        .counts
        .iter()
        .map(|(severity, count)| (format!("{severity:?}").to_lowercase(), json!(count)))
        .collect();
    if let Some(platform) = &found.platform {
        value["platform"] = json!(platform.to_string());
    }
    value
}
