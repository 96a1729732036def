//! Logs: what the gateway says about itself, on standard error.
//!
//! Set up once by `main`, before anything else runs. No line holds a path, a query or a
//! header of a request, tokens and passwords have no `Display`, and packages that print what passes
//! through them are kept quiet.

pub mod metrics;

use std::io;

use tracing::{Level, Metadata};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    filter::{FilterExt as _, LevelFilter, filter_fn},
    fmt::MakeWriter,
    layer::SubscriberExt as _,
    util::TryInitError,
};

use crate::settings::LogFormat;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.level` is no list of directives.
    #[error("telemetry.level `{level}` is not a level such as info or pgfeed=debug,warn")]
    Level {
        level: String,
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process logs already.
    #[error("logging is set up already")]
    Twice(#[source] TryInitError),
}

/// Starts logging for the whole process.
pub fn start(level: &str, format: LogFormat) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt as _;
    let subscriber = Registry::default().with(layer(level, format, io::stderr)?);
    subscriber.try_init().map_err(TelemetryError::Twice)
}

fn layer<W>(
    level: &str,
    format: LogFormat,
    writer: W,
) -> Result<Box<dyn Layer<Registry> + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level)
        .map_err(|source| TelemetryError::Level { level: level.to_owned(), source })?
        // Without a hint of its own it would take the level's away, and packages would make texts
        // that nobody reads.
        .and(filter_fn(may_be_told).with_max_level_hint(LevelFilter::TRACE));
    let plain = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    Ok(match format {
        LogFormat::Text => plain.with_filter(filter).boxed(),
        LogFormat::Json => {
            plain.json().flatten_event(true).with_current_span(false).with_filter(filter).boxed()
        }
    })
}

/// Packages that print what passes through them, tokens and rows among it, below INFO: no setting
/// brings that into a log.
const TALKATIVE: &[&str] = &["tungstenite", "tokio_postgres", "postgres_protocol", "hyper", "h2"];

fn may_be_told(metadata: &Metadata<'_>) -> bool {
    let package = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !TALKATIVE.contains(&package)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: &str, format: LogFormat) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer(level, format, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            tracing::info!(table = "courses", "Subscription opened.");
            tracing::debug!("Not at this level.");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_is_one_object_a_line_with_the_fields_in_it() {
        let text = logged("info", LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        assert_eq!(line["message"], "Subscription opened.");
        assert_eq!(line["table"], "courses");
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn text_obeys_the_level() {
        assert!(logged("info", LogFormat::Text).contains("Subscription opened. table=\"courses\""));
        assert_eq!(logged("pgfeed=warn", LogFormat::Text), "");
        assert_eq!(logged("debug", LogFormat::Text).lines().count(), 2);
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_name() {
        let error = start("pgfeed=loud", LogFormat::Text).unwrap_err().to_string();
        assert!(error.contains("`pgfeed=loud`"), "{error}");
    }
}
