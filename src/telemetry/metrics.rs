//! The metrics: their names, texts and rendering. Recorded where things happen.
//!
//! Labels have few values, all known here: never a table, a topic, an address or a reader. What a
//! gauge says of the whole gateway is set when somebody asks, so that it costs nothing before.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

/// Samples of histograms wait for a scrape, or this long.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// From a write on the same machine to a gateway that was down for a minute.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Counters without labels, and what they count.
const COUNTERS: &[(&str, &str)] = &[
    ("pgfeed_changes_total", "Changes read from the log."),
    ("pgfeed_deliveries_total", "Changes handed to clients, each counted for each client."),
    ("pgfeed_delivered_bytes_total", "Bytes of messages with changes handed to clients."),
    ("pgfeed_slow_clients_total", "Times that a client's queue was full and it was served later."),
    ("pgfeed_notify_ignored_total", "NOTIFY payloads on the channel that were not understood."),
    ("pgfeed_log_failures_total", "Times that reading the log failed and was begun again."),
    ("pgfeed_listener_reconnects_total", "Times that the LISTEN connection was lost."),
    ("pgfeed_pruned_total", "Changes that this gateway removed from the log."),
    ("pgfeed_auth_failures_total", "Tokens that were refused."),
    ("pgfeed_unavailable_total", "Snapshots, polls and resumes that the database did not give."),
    ("pgfeed_snapshots_total", "Snapshots that were begun."),
    ("pgfeed_shared_reads_total", "Reads of the log for all clients that waited to catch up."),
    ("pgfeed_shared_readers_total", "Clients that such reads were for."),
    ("pgfeed_shared_lookups_total", "Queries that looked up positions for all that waited."),
    ("pgfeed_accept_failures_total", "Connections that could not be accepted (descriptors)."),
];

/// Counters with one label, its values, and what they count.
const LABELLED: &[(&str, &str, &[&str], &str)] = &[
    (
        "pgfeed_resyncs_total",
        "reason",
        &["cursor_expired", "history_changed", "capture_gap", "shape_changed", "table_changed"],
        "Subscriptions that had to start over.",
    ),
    (
        "pgfeed_closes_total",
        "code",
        &["1001", "1009", "4400", "4401", "4403", "4408", "4429"],
        "WebSockets closed by the gateway, by close code; 4408 is too slow.",
    ),
];

/// Gauges, their units and what they say.
const GAUGES: &[(&str, Unit, &str)] = &[
    ("pgfeed_connections", Unit::Count, "Clients that are connected."),
    ("pgfeed_sockets", Unit::Count, "Sockets that are open, those without a client too."),
    ("pgfeed_subscriptions", Unit::Count, "Subscriptions of all clients."),
    ("pgfeed_queue_bytes", Unit::Bytes, "What waits for clients that read slowly."),
    ("pgfeed_lag_seconds", Unit::Seconds, "Since everything committed was known to be here."),
    ("pgfeed_ready", Unit::Count, "1 while clients can be served exactly, as /readyz says."),
    ("pgfeed_log_bytes", Unit::Bytes, "The log in the database, space to be used again included."),
    ("pgfeed_log_used_bytes", Unit::Bytes, "The log's changes, by a sample."),
    ("pgfeed_log_size_max_bytes", Unit::Bytes, "The setting log.size_max."),
    ("pgfeed_log_oldest_seconds", Unit::Seconds, "The age of the oldest change in the log."),
    ("pgfeed_pool_connections", Unit::Count, "Connections of the pool, by state."),
    ("pgfeed_pool_waiting", Unit::Count, "Tasks that wait for a connection of the pool."),
    ("pgfeed_info", Unit::Count, "1, with the version as label."),
];

/// Renders the metrics. One for the process.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Starts recording for the whole process.
    pub fn install() -> Result<Self, BuildError> {
        let latency = Matcher::Full("pgfeed_delivery_seconds".to_owned());
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(latency, SECONDS)?
            .install_recorder()?;
        describe();
        Ok(Self(handle))
    }

    /// The metrics as Prometheus reads them.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Puts samples into their buckets until `end`: nobody may ever scrape.
    pub async fn keep_up(self, end: CancellationToken) {
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(UPKEEP_EVERY) => self.0.run_upkeep(),
            }
        }
    }
}

/// Texts and first values: an alert on a counter that does not exist yet would never fire.
fn describe() {
    for (name, text) in COUNTERS {
        describe_counter!(*name, *text);
        counter!(*name).increment(0);
    }
    for (name, label, values, text) in LABELLED {
        describe_counter!(*name, *text);
        for value in *values {
            counter!(*name, *label => *value).increment(0);
        }
    }
    for (name, unit, text) in GAUGES {
        describe_gauge!(*name, *unit, *text);
    }
    gauge!("pgfeed_connections").set(0.0);
    gauge!("pgfeed_subscriptions").set(0.0);
    gauge!("pgfeed_queue_bytes").set(0.0);
    gauge!("pgfeed_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_histogram!(
        "pgfeed_delivery_seconds",
        Unit::Seconds,
        "From the write, by the database's clock, to its frames having been handed to sockets."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_in_the_manual() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md");
        let manual = std::fs::read_to_string(path).expect("the manual is there");
        let names = COUNTERS.iter().map(|it| it.0).chain(LABELLED.iter().map(|it| it.0));
        for name in names.chain(GAUGES.iter().map(|it| it.0)).chain(["pgfeed_delivery_seconds"]) {
            assert!(manual.contains(&format!("`{name}")), "{name}");
        }
    }

    #[test]
    fn every_counter_exists_from_the_start() {
        let mut folders =
            vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let known = |name: &str| {
            COUNTERS.iter().any(|it| it.0 == name) || LABELLED.iter().any(|it| it.0 == name)
        };
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                // Pages and icons lie there too.
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                for counter in text.split("counter!(\"").skip(1) {
                    let name = counter.split('"').next().unwrap_or_default();
                    assert!(!name.starts_with("pgfeed_") || known(name), "{name}");
                }
            }
        }
    }
}
