//! Runs the images of every sample through the provider's real program, with the environment that its
//! template sets. Each image is created, updated to the digest of a new release, and deleted.
//!
//! Usage: `samples FILE`. `tests/templates/run.sh --export FILE` writes the file. An emulated
//! CloudFormation sends the events. The emulated registries contain generated images. If all samples
//! pass, one defect at a time is injected, and the checks must detect it.

mod checks;
mod defect;
mod deployment;
mod environment;
mod export;
mod lifecycle;
mod output;
mod release;

use std::path::PathBuf;
use std::process::ExitCode;

use aws_emulator::BoxError;

use defect::Defect;
use export::Export;
use lifecycle::{FinalState, run_lifecycle};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("samples: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all samples and defects. Returns true if all checks passed.
async fn run() -> Result<bool, BoxError> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.ok_or("usage: samples FILE; tests/templates/run.sh --export FILE writes the file")?;
    let export = Export::read(&path)?;
    let (mut images, mut retained, mut has_problems) = (0, 0, false);
    for sample in &export.samples {
        let result = run_lifecycle(&export, sample, None).await;
        let result = result.map_err(|error| format!("{}: {error}", sample.name))?;
        output::print_result(&sample.name, &result);
        images += result.images.len();
        retained += result.images.iter().filter(|image| image.end == FinalState::Retained).count();
        has_problems |= !result.problems.is_empty();
    }
    if images == 0 {
        return Err("no sample contains an image".into());
    }
    if has_problems {
        println!("Samples failed.");
        return Ok(false);
    }
    let samples = export.samples.len();
    println!("{samples} samples, {images} images: created, updated, deleted ({retained} retained)");
    let mut undetected = 0;
    for defect in Defect::ALL {
        let missing = undetected_problems(&export, defect).await?;
        undetected += missing.len();
        missing.iter().for_each(|problem| output::print_undetected(defect, problem));
    }
    if undetected > 0 {
        println!("{undetected} problems of injected defects were not detected");
        return Ok(false);
    }
    println!("{} injected defects: all detected", Defect::ALL.len());
    Ok(true)
}

/// Injects a defect into a sample. Returns the expected problems that the checks did not report.
async fn undetected_problems(export: &Export, defect: Defect) -> Result<Vec<&'static str>, BoxError> {
    let sample = export.samples.iter().find(|sample| defect.applies_to(sample));
    let sample = sample.ok_or_else(|| format!("no sample can show {defect:?}"))?;
    let result = run_lifecycle(export, sample, Some(defect)).await?;
    let is_reported = |expected: &&&str| result.problems.iter().any(|problem| problem.contains(**expected));
    Ok(defect.expected_problems().iter().filter(|expected| !is_reported(expected)).copied().collect())
}
