//! Plays every sample's images through the provider's real program, with the environment that its
//! template sets: created, updated to the digest of a new release, deleted.
//!
//! `samples FILE`, where `tests/templates/run.sh --export FILE` has written the templates' values. An
//! emulated CloudFormation sends the events; registries that the samples name hold images made to
//! order. When all is well, samples are played once more with one thing spoilt each, which the checks
//! must then notice.

mod checks;
mod environment;
mod export;
mod lifecycle;
mod release;
mod deployment;
mod defect;
mod output;

use std::path::PathBuf;
use std::process::ExitCode;

use aws_emulator::BoxError;

use export::Export;
use lifecycle::{End, play};
use defect::Spoil;

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

/// Plays everything; tells whether all was well.
async fn run() -> Result<bool, BoxError> {
    let path = std::env::args_os().nth(1).map(PathBuf::from);
    let path = path.ok_or("which file? tests/templates/run.sh --export FILE writes one")?;
    let export = Export::read(&path)?;
    let (mut images, mut retained, mut is_off) = (0, 0, false);
    for sample in &export.samples {
        let played =
            play(&export, sample, None).await.map_err(|error| format!("{}: {error}", sample.name))?;
        output::tell(&sample.name, &played);
        images += played.rows.len();
        retained += played.rows.iter().filter(|row| row.end == End::Retained).count();
        is_off |= !played.problems.is_empty();
    }
    if images == 0 {
        return Err("no sample has an image".into());
    }
    if is_off {
        println!("Something is off.");
        return Ok(false);
    }
    let samples = export.samples.len();
    println!("{samples} samples, {images} images: created, updated, deleted ({retained} retained)");
    let mut unnoticed = 0;
    for spoil in Spoil::ALL {
        let missing = unnoticed_symptoms(&export, spoil).await?;
        unnoticed += missing.len();
        missing.iter().for_each(|symptom| output::unnoticed(spoil, symptom));
    }
    if unnoticed > 0 {
        println!("{unnoticed} symptoms of things spoilt on purpose were not noticed");
        return Ok(false);
    }
    println!("{} things spoilt on purpose, one after the other: all noticed", Spoil::ALL.len());
    Ok(true)
}

/// Spoils one thing in a sample that can show it; gives what the checks should have said and did not.
async fn unnoticed_symptoms(export: &Export, spoil: Spoil) -> Result<Vec<&'static str>, BoxError> {
    let sample = export.samples.iter().find(|sample| spoil.fits(sample));
    let sample = sample.ok_or_else(|| format!("no sample can show {spoil:?}"))?;
    let played = play(export, sample, Some(spoil)).await?;
    let noticed = |symptom: &&&str| played.problems.iter().any(|problem| problem.contains(**symptom));
    Ok(spoil.symptoms().iter().filter(|symptom| !noticed(symptom)).copied().collect())
}
