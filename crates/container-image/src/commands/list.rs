//! `container-image list`: one line for each image in each file, or a JSON document.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use image_copy::text::escaped_json;
use serde_json::{Value, json};

use crate::args::{ListArgs, Verbosity};
use crate::documents::{self, Document};
use crate::git::Checkout;
use crate::report;
use crate::signals::wait_for_signal;

/// Lists the images of the files.
pub(crate) async fn run(args: &ListArgs, verbosity: Verbosity) -> ExitCode {
    tokio::select! {
        biased;
        signal = wait_for_signal() => report::interrupted(signal, "nothing was changed"),
        result = list(args, verbosity) => result.unwrap_or_else(|line| report::fail(&line)),
    }
}

async fn list(args: &ListArgs, verbosity: Verbosity) -> Result<ExitCode, String> {
    let checkout = Checkout::of(&args.search, None).await?;
    let base = checkout.as_ref().map_or(Path::new(""), Checkout::folder);
    let documents = documents::read(base, &args.search).await?;
    if verbosity != Verbosity::Quiet {
        documents.all.iter().flat_map(Document::notes).for_each(|note| report::note(&note));
    }
    let text = if args.json {
        document(&documents.all)
    } else {
        documents
            .all
            .iter()
            .flat_map(|document| lines(document, args.no_filename))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let code = if text.is_empty() { ExitCode::SUCCESS } else { report::print(&text, "") };
    Ok(if !documents.errors.is_empty() { ExitCode::FAILURE } else { code })
}

/// Sorted and without duplicates within a file, as cru prints them.
fn lines(document: &Document, no_filename: bool) -> Vec<String> {
    let images: BTreeSet<String> = document.scan.images.iter().map(|found| found.image.to_string()).collect();
    let line = |image| if no_filename { image } else { format!("{}:{image}", document.file.display_name) };
    images.into_iter().map(line).collect()
}

fn document(documents: &[Document]) -> String {
    let images: Vec<Value> = documents.iter().flat_map(images).collect();
    escaped_json(&format!("{:#}", Value::Array(images)))
}

fn images(document: &Document) -> impl Iterator<Item = Value> {
    document.scan.images.iter().enumerate().map(|(index, found)| {
        let (line, column) = document.position(index);
        let image = &found.image;
        json!({
            "path": document.file.name,
            "line": line,
            "column": column,
            "reference": image.to_string(),
            "name": image.name,
            "tag": image.tag,
            "digest": image.digest,
            "evidence": found.evidence.name(),
            "normalized": image.normalized().to_string(),
        })
    })
}
