//! Keeps the log as long and as large as the settings say.
//!
//! Every gateway tries; the database lets one at a time. Rows go in small batches with pauses, so
//! that neither writers nor readers wait, and never by a lock on the table. Space that is freed is
//! used again by later changes; it does not go back to the system, so what counts against
//! `log.size_max` is estimated from a sample of the log's pages.

use std::time::Duration;

use deadpool_postgres::Pool;
use tokio::time::{Instant, sleep};
use tokio_postgres::{Client, types::ToSql};
use tokio_util::sync::CancellationToken;

use super::{
    error::{failed, within},
    lease::Lease,
};
use crate::feed::LogError;

/// Changes in one batch: it holds their rows locked for some ten milliseconds.
const BATCH: i32 = 5_000;

/// No batch takes longer, unless the database is in trouble.
const BATCH_LIMIT: Duration = Duration::from_secs(20);

/// Between batches at least, and as long as the batch took: pruning takes half of one connection.
const PAUSE: Duration = Duration::from_millis(20);

/// Gateways read what is committed within seconds; whatever the size, this much is kept for them.
const KEEP_MIN: Duration = Duration::from_mins(1);

/// The log is cut when it fills this share of its size: pages that wait for a vacuum count too.
const FULL: f64 = 0.8;

/// The first round comes soon: a log that grew while no gateway ran is cut at once.
const FIRST_AFTER: Duration = Duration::from_secs(1);

/// A log over its size is told this often.
const ALARM_EVERY: Duration = Duration::from_mins(10);

/// The log's size, the age of its oldest change, and about how many bytes of it are in use, from
/// a sample of some hundred pages.
const MEASURE: &str = "
    with heap as (
      select pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8
               as pages, pg_catalog.pg_total_relation_size(c.oid) as bytes
        from pg_catalog.pg_class c
       where c.oid = 'pgfeed.log'::regclass)
    select heap.bytes,
           coalesce(extract(epoch from pg_catalog.clock_timestamp()
             - (select l.at from pgfeed.log l order by l.xid, l.id limit 1)), 0)::float8,
           least(heap.bytes, (select coalesce(sum(80 + coalesce(pg_catalog.pg_column_size(s.new), 0)
                               + coalesce(pg_catalog.pg_column_size(s.old), 0)
                               + coalesce(pg_catalog.pg_column_size(s.key), 0)), 0)
              from pgfeed.log s tablesample system (least(100, 20000.0 / greatest(heap.pages, 1))))
             * greatest(1, heap.pages / 200.0))::float8
      from heap";

const PRUNE: &str = "select pgfeed.prune(pg_catalog.make_interval(secs => $1), $2)";

/// How much of the log is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// How long.
    pub retention: Duration,
    /// How many bytes, even if that cuts the time short.
    pub size_max: u64,
}

/// Prunes the log. One for a gateway; ends with it.
pub struct Retention {
    pool: Pool,
    keep: Keep,
    told: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    bytes: f64,
    oldest_s: f64,
    used: f64,
}

impl Retention {
    /// Prunes over connections of `pool`.
    pub fn new(pool: Pool, keep: Keep) -> Self {
        Self { pool, keep, told: None }
    }

    /// Prunes until `end`.
    pub async fn run(mut self, end: CancellationToken) {
        let every =
            (self.keep.retention / 20).clamp(Duration::from_millis(500), Duration::from_secs(30));
        let mut next = every.min(FIRST_AFTER);
        loop {
            // Gateways that were started together do not stay together.
            let pause = next.mul_f64(0.75 + fastrand::f64() / 2.0);
            next = every;
            tokio::select! {
                () = end.cancelled() => return,
                () = sleep(pause) => {}
            }
            let round = tokio::select! {
                () = end.cancelled() => return,
                round = self.round() => round,
            };
            if let Err(error) = round {
                tracing::warn!(%error, "The log could not be pruned; trying again.");
            }
        }
    }

    async fn round(&mut self) -> Result<(), LogError> {
        let client = Lease::of(&self.pool).await?;
        let before = measure(&client).await?;
        self.prune(&client, self.keep.shortened(before)).await?;
        self.tell(measure(&client).await?);
        client.give_back();
        Ok(())
    }

    async fn prune(&self, client: &Client, keep: Duration) -> Result<(), LogError> {
        let keep_s = keep.as_secs_f64();
        loop {
            let began = Instant::now();
            let parameters: [&(dyn ToSql + Sync); 2] = [&keep_s, &BATCH];
            let step = client.query_one(PRUNE, &parameters);
            let row = within(BATCH_LIMIT, "pruning the log", step).await?;
            let gone: i32 = row.try_get(0).map_err(|error| failed("pruning the log", &error))?;
            metrics::counter!("pgfeed_pruned_total").increment(gone.unsigned_abs().into());
            if gone < BATCH {
                return Ok(());
            }
            sleep(began.elapsed().max(PAUSE)).await;
        }
    }

    fn tell(&mut self, now: Measured) {
        metrics::gauge!("pgfeed_log_bytes").set(now.bytes);
        metrics::gauge!("pgfeed_log_used_bytes").set(now.used);
        metrics::gauge!("pgfeed_log_oldest_seconds").set(now.oldest_s);
        let size_max = self.keep.size_max;
        if !self.keep.is_exceeded(now) {
            self.told = None;
        } else if self.told.is_none_or(|at| at.elapsed() >= ALARM_EVERY) {
            self.told = Some(Instant::now());
            let (bytes, used) = (now.bytes, now.used);
            tracing::warn!(
                bytes,
                used,
                size_max,
                "The log is larger than log.size_max: raise it, or see `pgfeed doctor`."
            );
        }
    }
}

impl Keep {
    /// Whether the log holds more than it may. Not whether it takes more: its space stays at the
    /// peak when it is pruned, and a warning of that would never end.
    fn is_exceeded(&self, now: Measured) -> bool {
        now.used > bytes(self.size_max)
    }

    /// How long changes are kept where the log as measured is too large for all of them: its
    /// changes are taken to be spread evenly over its time.
    fn shortened(&self, now: Measured) -> Duration {
        let room = bytes(self.size_max) * FULL;
        if now.used <= room || now.oldest_s <= 0.0 {
            return self.retention;
        }
        let fits = Duration::from_secs_f64(now.oldest_s * room / now.used * FULL);
        fits.max(KEEP_MIN).min(self.retention)
    }
}

async fn measure(client: &Client) -> Result<Measured, LogError> {
    let doing = "measuring the log";
    let row = within(BATCH_LIMIT, doing, client.query_one(MEASURE, &[])).await?;
    let read = || {
        let size: i64 = row.try_get(0)?;
        Ok(Measured {
            bytes: bytes(size.unsigned_abs()),
            oldest_s: row.try_get(1)?,
            used: row.try_get(2)?,
        })
    };
    read().map_err(|error: tokio_postgres::Error| failed(doing, &error))
}

#[expect(clippy::cast_precision_loss, reason = "a size, where a part in 2^53 does not matter")]
fn bytes(size: u64) -> f64 {
    size as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Keep = Keep { retention: Duration::from_hours(24), size_max: 1_000_000 };

    #[test]
    fn a_full_log_is_kept_for_less_time_but_never_under_a_minute() {
        let measured = |used, oldest_s| Measured { bytes: used, oldest_s, used };
        assert_eq!(KEEP.shortened(measured(700_000.0, 80_000.0)), KEEP.retention);
        let half = KEEP.shortened(measured(1_600_000.0, 80_000.0)).as_secs();
        assert_eq!(half, 32_000, "half of it fits, and some room for the next round");
        assert_eq!(KEEP.shortened(measured(1e9, 1_000.0)), KEEP_MIN);
    }

    #[test]
    fn a_log_that_was_larger_once_is_no_longer_too_large() {
        let measured = |used| Measured { bytes: 2_000_000.0, oldest_s: 60.0, used };
        assert!(KEEP.is_exceeded(measured(1_100_000.0)));
        assert!(!KEEP.is_exceeded(measured(500_000.0)), "its space stays at the peak");
    }
}
