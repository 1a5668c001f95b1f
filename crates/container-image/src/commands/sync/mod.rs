//! `container-image sync`: copies the images of lists, several at once, and keeps going after a failure.
//!
//! [`images`] reads the lists, [`tags`] selects images by rules, [`copy`] handles one image, [`result`] describes its
//! result, [`progress`] shows bars, and [`report_file`] writes the file of `--report`.

mod copy;
mod images;
mod progress;
mod report_file;
mod result;
mod tags;

use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use futures_util::{StreamExt as _, stream};
use image_copy::copy::{ConcurrentBlobs, TransferLimits};
use tokio::time::Instant;

use crate::args::{SyncArgs, Verbosity};
use crate::connection::Connection;
use crate::creation;
use crate::report::sync::{SyncReport, SyncSummary};
use crate::report::{self, Signal};
use crate::signals::wait_for_signal;
use crate::tag_lists::TagLists;
use copy::Copier;
use images::Lists;
use progress::SyncProgress;
use report_file::{ReportFile, ReportKeys};
use tags::Selected;

pub(crate) use images::{Image, ListOptions, images_of_list};
pub(crate) use result::{Change, ChangeKind, ImageResult, Totals};

/// Exit code of `--check` if an image differs.
const DIFFERS: u8 = 3;

/// Copies the images of lists.
pub(crate) async fn run(args: &SyncArgs, verbosity: Verbosity) -> ExitCode {
    let lists = match images::read(args) {
        Ok(lists) => lists,
        Err(lines) => return report::invalid(&lines),
    };
    let spec = match creation::settings(&args.creation, lists.destinations()) {
        Ok(spec) => spec,
        Err(line) => return report::invalid(&[line]),
    };
    let connection = match Connection::open(&args.connection, lists.repositories()) {
        Ok(connection) => connection,
        Err(line) => return report::fail(&line),
    };
    let notes = ignored_settings(&lists);
    let tag_lists = TagLists::new(&connection.client);
    // One handler for the whole run, because a signal between two handlers would be lost.
    let mut signal = pin!(wait_for_signal());
    let selected = tokio::select! {
        biased;
        signal = &mut signal => return report::interrupted(signal, "nothing was changed"),
        selected = lists.select(&tag_lists, args.jobs.into()) => selected,
    };
    let Selected { images, failures } = match selected {
        Ok(selected) => selected,
        Err(lines) => return report::invalid(&lines),
    };
    let created = args.report.as_ref().map(|path| {
        let keys = ReportKeys::of(&images, args.report_format, args.to.as_ref())?;
        ReportFile::create(path, args.report_format, keys)
    });
    let report_file = match created.transpose() {
        Ok(report_file) => report_file,
        Err(line) => return report::invalid(&[line]),
    };
    if verbosity != Verbosity::Quiet {
        notes.iter().for_each(|note| report::note(note));
    }
    failures.iter().for_each(|line| _ = report::fail(line));
    let started = Instant::now();
    let progress = Arc::new(SyncProgress::new(images.len()));
    let concurrent_blobs = ConcurrentBlobs::new(args.jobs.into());
    let copier = Copier {
        args,
        verbosity,
        connection,
        spec,
        repositories: Mutex::default(),
        limits: TransferLimits { deadline: None, concurrent_blobs },
        progress: progress.clone(),
        failed_registries: Mutex::default(),
    };
    let mut report = SyncReport::new(images.len(), mode(args), args.json, verbosity, &args.connection);
    let signal = copy_all(&copier, &images, verbosity, &mut report, signal).await;
    progress.clear();
    let mut is_written = true;
    if let Some(report_file) = report_file
        && let Err(line) = report_file.write(report.results())
    {
        report::fail(&line);
        is_written = false;
    }
    let totals = report.totals().clone();
    let code = match signal {
        Some(signal) => signal as u8,
        None if totals.failed > 0 || !failures.is_empty() || !is_written => 1,
        None if args.check && totals.differences() > 0 => DIFFERS,
        None => 0,
    };
    let is_printed = report.print_summary(&SyncSummary {
        elapsed: started.elapsed(),
        code,
        without_images: failures.len(),
        repositories: copier.repositories(),
    });
    if let Some(signal) = signal {
        return report::interrupted(signal, &interrupted_state(&totals, &images));
    }
    if is_printed { ExitCode::from(code) } else { ExitCode::FAILURE }
}

/// Copies all images. Returns the signal that ended it early.
async fn copy_all<'a>(
    copier: &Copier<'_>,
    images: &'a [Image],
    verbosity: Verbosity,
    report: &mut SyncReport<'a>,
    mut signal: Pin<&mut impl Future<Output = Signal>>,
) -> Option<Signal> {
    let progress = copier.progress.clone();
    let mut show = pin!(async {
        if verbosity == Verbosity::Normal {
            progress.show_after_delay().await;
        }
        std::future::pending::<()>().await;
    });
    let results = stream::iter(images.iter().enumerate())
        .map(|(at, image)| async move { (at, copier.run(image).await) })
        .buffer_unordered(copier.args.jobs.into());
    let mut results = pin!(results);
    loop {
        tokio::select! {
            biased;
            signal = &mut signal => return Some(signal),
            next = results.next() => match next {
                Some((at, result)) => progress.finish_image(|| report.add(at, result)),
                None => return None,
            },
            () = &mut show => unreachable!("the bars never complete"),
        }
    }
}

/// Returns notes about settings that have no effect here.
fn ignored_settings(lists: &Lists) -> Vec<String> {
    let entries = |count| if count == 1 { "1 entry".into() } else { format!("{count} entries") };
    let note = |settings: &str, count: usize, problem: &str| {
        (count > 0).then(|| format!("{settings} of {} are ignored{problem}", entries(count)))
    };
    let is_login = ". sync uses those of docker login, and AWS credentials for Amazon ECR";
    let is_refresh = ", because only the refresh stack uses them";
    let notes = [
        note("credentials", lists.credentials, is_login),
        note("prune and shared", lists.refresh_settings, is_refresh),
    ];
    notes.into_iter().flatten().collect()
}

fn mode(args: &SyncArgs) -> report::sync::Mode {
    use report::sync::Mode;
    match (args.check, args.dry_run) {
        (true, _) => Mode::Check,
        (false, true) => Mode::DryRun,
        (false, false) => Mode::Copy,
    }
}

fn interrupted_state(totals: &Totals, images: &[Image]) -> String {
    format!("{} of {} images are complete; a second run skips them", totals.complete(), images.len())
}
