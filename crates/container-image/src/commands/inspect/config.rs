//! The config of an image: creation time and history
//! (<https://github.com/opencontainers/image-spec/blob/main/config.md>).

use image_copy::text::SanitizedText;
use jiff::Timestamp;
use serde::Deserialize;

/// Maximum length of a build step in characters. Longer ones contain whole scripts.
const MAX_STEP_CHARS: usize = 4000;

/// The parts of a config that are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageConfig {
    /// Creation time, if the config states a valid one.
    pub(crate) created: Option<Timestamp>,
    /// Build steps, the oldest first.
    pub(crate) history: Vec<HistoryEntry>,
}

/// A build step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoryEntry {
    pub(crate) created: Option<Timestamp>,
    /// Instruction of a Dockerfile, or the shell command.
    pub(crate) step: SanitizedText,
    pub(crate) has_layer: bool,
}

#[derive(Deserialize)]
struct Config {
    created: Option<String>,
    history: Option<Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    created: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
    empty_layer: Option<bool>,
}

/// Parses a config. Returns `None` if it is invalid.
pub(super) fn parse(config: &[u8]) -> Option<ImageConfig> {
    let config: Config = serde_json::from_slice(config).ok()?;
    let history = config.history.unwrap_or_default().into_iter().map(|entry| {
        let step = entry.created_by.filter(|step| !step.is_empty()).or(entry.comment).unwrap_or_default();
        HistoryEntry {
            created: time(entry.created),
            step: SanitizedText::new(&instruction(&step), MAX_STEP_CHARS),
            has_layer: !entry.empty_layer.unwrap_or_default(),
        }
    });
    Some(ImageConfig { created: time(config.created), history: history.collect() })
}

fn time(text: Option<String>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// Returns the instruction without what the builders add: Docker's legacy builder stores a shell, and `#(nop)` for
/// steps that it does not run. `BuildKit` stores a comment
/// (<https://github.com/moby/moby/blob/master/daemon/builder/dockerfile/dispatchers.go>).
fn instruction(step: &str) -> String {
    let step = step.strip_suffix("# buildkit").unwrap_or(step).trim();
    match step.strip_prefix("/bin/sh -c ") {
        Some(rest) => match rest.trim_start().strip_prefix("#(nop)") {
            Some(instruction) => instruction.trim().to_owned(),
            None => format!("RUN {}", rest.trim()),
        },
        None => step.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_time_and_history() {
        let config = parse(
            br##"{"created":"2026-01-02T03:04:05.678+01:00","history":[
              {"created":"2026-01-01T00:00:00Z","created_by":"/bin/sh -c #(nop)  CMD [\"bash\"]","empty_layer":true},
              {"created_by":"/bin/sh -c apt-get update\n  && true"},
              {"created_by":"RUN /bin/sh -c pip install x # buildkit","comment":"buildkit.dockerfile.v0"},
              {"comment":"imported"}, {}]}"##,
        )
        .unwrap();
        assert_eq!(config.created.unwrap().to_string(), "2026-01-02T02:04:05.678Z");
        let steps: Vec<_> =
            config.history.iter().map(|entry| (entry.step.as_str(), entry.has_layer)).collect();
        assert_eq!(
            steps,
            [
                ("CMD [\"bash\"]", false),
                ("RUN apt-get update && true", true),
                ("RUN /bin/sh -c pip install x", true),
                ("imported", true),
                ("", true),
            ]
        );
        assert_eq!(config.history[0].created.unwrap().to_string(), "2026-01-01T00:00:00Z");
    }

    #[test]
    fn accepts_missing_and_invalid_times() {
        let empty = ImageConfig { created: None, history: Vec::new() };
        for text in ["{}", r#"{"created":"yesterday"}"#, r#"{"created":null,"history":null}"#] {
            assert_eq!(parse(text.as_bytes()), Some(empty.clone()), "{text}");
        }
        assert_eq!(parse(b"[]x"), None);
    }
}
