//! Log lines: flat JSON objects with the fields of the current event.

use std::fmt;
use std::io;
use std::panic;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

/// Names of this project's crates in log targets.
const OWN_CRATES: [&str; 3] = ["bootstrap", "image_copy", "image_copy_aws"];

/// Writes log lines, including panics, to standard output.
pub(crate) fn init(level: Option<&str>) {
    // This fails only if a subscriber exists, as in a test.
    let _ = tracing::subscriber::set_global_default(subscriber(level, io::stdout));
    panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let payload = info.payload();
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        tracing::error!(location, panic = text.unwrap_or("(no text)"), "panicked");
    }));
}

fn subscriber<W>(level: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer()
        .fmt_fields(JsonFields::new())
        .event_format(FlatJson)
        .with_writer(writer);
    tracing_subscriber::registry().with(filter(level)).with(lines)
}

/// Applies the level to this project's crates. Other crates log only warnings: at lower levels the Lambda
/// runtime logs whole events, and HTTP clients log headers.
fn filter(level: Option<&str>) -> Targets {
    // Lambda also has the level FATAL.
    let level = level.map(|level| level.to_ascii_lowercase().replace("fatal", "error"));
    let targets = level.and_then(|level| level.parse::<Targets>().ok());
    let targets = targets.unwrap_or_default();
    // Without a default level, this project's crates log INFO, because metrics need the last line of an
    // event.
    let own = targets.default_level().map_or(LevelFilter::INFO, |_| LevelFilter::OFF);
    let finest = |target: &str| {
        let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
        let level = levels.into_iter().find(|level| targets.would_enable(target, level));
        level.map_or(own, LevelFilter::from_level)
    };
    let others = targets.default_level().unwrap_or(LevelFilter::WARN).min(LevelFilter::WARN);
    OWN_CRATES
        .into_iter()
        .fold(Targets::new().with_default(others), |targets, own| targets.with_target(own, finest(own)))
}

/// Objects without nesting, for short field names in queries and metric filters.
struct FlatJson;

impl<S> FormatEvent<S, JsonFields> for FlatJson
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Map::new();
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        line.insert("timestamp".into(), timestamp.into());
        line.insert("level".into(), event.metadata().level().as_str().into());
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            if let Some(Ok(Value::Object(fields))) = fields.map(|fields| serde_json::from_str(fields)) {
                line.extend(fields);
            }
        }
        event.record(&mut FieldVisitor(&mut line));
        let line = serde_json::to_string(&line).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

struct FieldVisitor<'a>(&'a mut Map<String, Value>);

impl Visit for FieldVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().into(), format!("{value:?}").into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}

/// Log buffer for tests of all modules.
#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Log lines in memory.
    #[derive(Clone, Default)]
    pub(crate) struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl LogBuffer {
        /// Returns a subscriber that writes to this buffer.
        pub(crate) fn subscriber(&self, level: Option<&str>) -> impl Subscriber + Send + Sync {
            let lines = self.clone();
            subscriber(level, move || lines.clone())
        }

        pub(crate) fn read(&self) -> Vec<Value> {
            let bytes = self.0.lock().unwrap().clone();
            let text = String::from_utf8(bytes).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }
    }

    #[test]
    fn a_line_has_the_fields_of_all_its_spans() {
        let lines = LogBuffer::default();
        tracing::subscriber::with_default(lines.subscriber(None), || {
            let outer = tracing::info_span!("event", stack_id = "stack", version = "1");
            let _outer = outer.enter();
            let inner = tracing::info_span!("copy", side = "source");
            inner.in_scope(|| tracing::info!(blobs = 3, done = true, "copied"));
        });
        let line = &lines.read()[0];
        for (name, expected) in
            [("stack_id", "stack"), ("side", "source"), ("message", "copied"), ("level", "INFO")]
        {
            assert_eq!(line[name], expected, "{line}");
        }
        assert_eq!((line["blobs"].as_u64(), line["done"].as_bool()), (Some(3), Some(true)));
    }

    #[test]
    fn other_crates_log_at_most_warnings() {
        for level in ["trace", "TRACE", "debug", "lambda_runtime=trace", "trace,reqwest=trace,hyper=debug"] {
            let filter = filter(Some(level));
            for target in ["lambda_runtime", "reqwest::connect", "hyper", "aws_smithy_runtime", "rustls"] {
                assert!(!filter.would_enable(target, &Level::INFO), "{level} {target}");
            }
        }
        assert!(filter(Some("TRACE")).would_enable("image_copy::copy", &Level::TRACE));
        assert!(filter(Some("info,image_copy=debug")).would_enable("image_copy", &Level::DEBUG));
        assert!(!filter(Some("info,image_copy=debug")).would_enable("bootstrap", &Level::DEBUG));
        for level in [None, Some("image_copy=debug"), Some("not a level")] {
            assert!(filter(level).would_enable("bootstrap", &Level::INFO), "{level:?}");
        }
        for level in ["error", "FATAL"] {
            assert!(!filter(Some(level)).would_enable("lambda_runtime", &Level::WARN));
            assert!(filter(Some(level)).would_enable("bootstrap", &Level::ERROR));
        }
    }
}
