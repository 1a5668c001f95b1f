//! The file of `--report`: the URI of each image, by its source.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use image_copy::copy::Request;
use image_copy::oci::Prefix;
use serde_json::json;

use super::images::Image;
use super::result::ImageResult;
use crate::args::ReportFormat;
use crate::display;
use crate::output_file::OutputFile;

/// Keys of the report, by the position of the image.
pub(crate) struct ReportKeys(Vec<String>);

impl ReportKeys {
    /// Returns the key of each image.
    ///
    /// # Errors
    /// One line if two images have the same key.
    pub(crate) fn of(images: &[Image], format: ReportFormat, to: Option<&Prefix>) -> Result<Self, String> {
        let mut first: BTreeMap<String, &Request> = BTreeMap::new();
        let mut keys = Vec::new();
        for Image { request, .. } in images {
            let key = match format {
                ReportFormat::Json => request.source.to_string(),
                ReportFormat::CloudformationParameters => parameter_name(request, to),
            };
            if let Some(other) = first.insert(key.clone(), request) {
                return Err(format!(
                    "--report: {key} would name both {} and {}. Write a report for each list.",
                    other.destination_name(),
                    request.destination_name()
                ));
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }
}

/// A report that is not written yet. It is created before the copies, so that a wrong path fails at once.
pub(crate) struct ReportFile {
    keys: ReportKeys,
    format: ReportFormat,
    output: OutputFile,
}

impl ReportFile {
    /// Creates a temporary file in the folder of the report.
    ///
    /// # Errors
    /// One line.
    pub(crate) fn create(path: &Path, format: ReportFormat, keys: ReportKeys) -> Result<Self, String> {
        let output = OutputFile::create(path).map_err(|error| unwritable(path, &error))?;
        Ok(Self { keys, format, output })
    }

    /// Writes the report of all images that did not fail. The file is replaced completely or not at all.
    ///
    /// # Errors
    /// One line.
    pub(crate) fn write(self, results: &[Option<ImageResult<'_>>]) -> Result<(), String> {
        let Self { keys, format, output } = self;
        let uris: BTreeMap<&str, String> = keys
            .0
            .iter()
            .zip(results)
            .filter_map(|(key, result)| {
                let result = result.as_ref()?;
                let digest = result.change.as_ref().ok()?.digest.clone();
                Some((key.as_str(), result.image.request.destination.with_digest(digest).to_string()))
            })
            .collect();
        let document = match format {
            ReportFormat::Json => json!(uris),
            ReportFormat::CloudformationParameters => uris
                .into_iter()
                .map(|(key, value)| json!({"ParameterKey": key, "ParameterValue": value}))
                .collect(),
        };
        let path = output.path().to_owned();
        output.write(&format!("{document:#}\n")).map_err(|error| unwritable(&path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> String {
    let (path, error) = (display::path(path), display::io_error(error));
    format!(
        "the report {path} cannot be written: {error}. Correct --report, or the permissions of its folder."
    )
}

/// Returns the words of the path below the prefix as one name: `prometheus/node-exporter` becomes
/// `PrometheusNodeExporter`. Names of parameters are alphanumeric
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html>). The name
/// does not contain the tag, so that a template does not change with the version.
fn parameter_name(request: &Request, to: Option<&Prefix>) -> String {
    let repository = &request.destination;
    let relative = to.and_then(|prefix| prefix.relative_path(repository));
    let path = relative.filter(|path| !path.is_empty()).unwrap_or(repository.path());
    path.split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters)
        })
        .collect()
}
