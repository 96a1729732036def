//! How far back the log reaches, and what that costs.

use std::time::Duration;

use tokio_postgres::{Client, Error};

use super::Expected;
use crate::source::admin::Finding;

/// A laptop that is closed over a meeting should go on where it was.
const RETENTION_MIN: Duration = Duration::from_mins(10);

/// A shorter time says nothing about the rate.
const SPAN_MIN_S: f64 = 600.0;

/// Ticks this many times as old as the retention mean that nobody prunes.
const OLD: f64 = 2.0;

const ASK: &str = "
    select pg_catalog.pg_total_relation_size(to_regclass('pgfeed.log')),
           extract(epoch from pg_catalog.clock_timestamp()
                     - (select l.at from pgfeed.log l order by l.xid, l.id limit 1))::float8,
           extract(epoch from pg_catalog.clock_timestamp()
                     - (select min(t.at) from pgfeed.tick t))::float8";

pub(super) async fn examine(client: &Client, expected: &Expected) -> Result<Vec<Finding>, Error> {
    let row = client.query_one(ASK, &[]).await?;
    let size = u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or_default();
    let span_s: f64 = row.try_get::<_, Option<f64>>(1)?.unwrap_or_default();
    let oldest_s: f64 = row.try_get::<_, Option<f64>>(2)?.unwrap_or_default();
    Ok(vec![retention(expected, size, span_s), full(expected, size), pruned(expected, oldest_s)])
}

/// Whether clients that stay away for a while can come back to where they were.
#[expect(clippy::cast_precision_loss, reason = "a rate, for a person")]
fn retention(expected: &Expected, size: u64, span_s: f64) -> Finding {
    let kept_s = expected.retention.as_secs_f64();
    if expected.retention < RETENTION_MIN {
        let detail = format!(
            "log.retention is {kept_s} s: who is away for longer, as a laptop with its lid \
             closed, loads everything again"
        );
        return Finding::warn("retention", detail, "Set log.retention to some hours, such as 24h.");
    }
    let holds_s =
        if size == 0 { f64::MAX } else { expected.size_max as f64 * span_s / size as f64 };
    if span_s >= SPAN_MIN_S && holds_s < kept_s {
        let detail = format!(
            "at the present rate log.size_max holds {} of the {} of log.retention",
            hours(holds_s),
            hours(kept_s),
        );
        return Finding::warn("retention", detail, "Raise log.size_max, or lower log.retention.");
    }
    Finding::ok("retention", format!("a client may stay away for {}", hours(kept_s)))
}

fn full(expected: &Expected, size: u64) -> Finding {
    let (size_mb, max_mb) = (size >> 20, expected.size_max >> 20);
    if size > expected.size_max {
        let detail = format!("the log takes {size_mb} MB, log.size_max is {max_mb} MB");
        let mend = "Start a gateway, which prunes, or: select pgfeed.prune('1 hour'); until it \
                    returns 0. Space comes back to the system by: vacuum full pgfeed.log; \
                    (locks writers out meanwhile).";
        return Finding::fail("log.size_max", detail, mend);
    }
    Finding::ok("log.size_max", format!("the log takes {size_mb} of {max_mb} MB"))
}

fn pruned(expected: &Expected, oldest_s: f64) -> Finding {
    if oldest_s > OLD * expected.retention.as_secs_f64() + 120.0 {
        let detail = format!("the oldest position is {} old: nobody prunes", hours(oldest_s));
        let mend = "Run a gateway, or from cron: select pgfeed.prune(); until it returns 0.";
        return Finding::warn("pruning", detail, mend);
    }
    Finding::ok("pruning", format!("the oldest position is {} old", hours(oldest_s)))
}

fn hours(seconds: f64) -> String {
    match seconds {
        _ if seconds >= 3_600.0 => format!("{:.1} h", seconds / 3_600.0),
        _ if seconds >= 60.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{seconds:.0} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Expected = Expected { retention: Duration::from_hours(24), size_max: 4 << 30 };

    #[test]
    fn a_log_that_will_not_fit_is_told_before_it_is_full() {
        assert!(retention(&DAY, 1 << 30, 36_000.0).is_ok());
        let found = retention(&DAY, 1 << 30, 3_600.0);
        assert!(found.detail.contains("holds 4.0 h of the 24.0 h"), "{found:?}");
        assert!(retention(&DAY, 1 << 30, 60.0).is_ok(), "a minute says nothing about the rate");
    }

    #[test]
    fn a_short_retention_and_a_full_log_are_told() {
        let short = Expected { retention: Duration::from_secs(30), ..DAY };
        assert!(retention(&short, 0, 0.0).detail.contains("log.retention is 30 s"));
        assert_eq!(full(&DAY, 5 << 30).status, "fail");
        assert_eq!(pruned(&DAY, 4.0 * 86_400.0).status, "warn");
    }
}
