//! What a shard counts: by the chunk, never by the delivery.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::{Counter, Gauge, Histogram};

use super::{Chunk, shard::Member};

/// Handles that were looked up once.
pub(super) struct Meter {
    deliveries: Counter,
    bytes: Counter,
    seconds: Histogram,
    waiting: Gauge,
    /// What this shard last added to the gauge of all shards.
    added: f64,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            deliveries: metrics::counter!("pgfeed_deliveries_total"),
            bytes: metrics::counter!("pgfeed_delivered_bytes_total"),
            seconds: metrics::histogram!("pgfeed_delivery_seconds"),
            waiting: metrics::gauge!("pgfeed_queue_bytes"),
            added: 0.0,
        }
    }

    /// A chunk went to the members of these of its routes.
    pub(super) fn delivered(&self, chunk: &Chunk, routes: &[(u32, &Vec<Member>)]) {
        let (mut changes, mut bytes) = (0, 0);
        for (place, members) in routes {
            let route = &chunk.routes[*place as usize];
            changes += route.changes * members.len();
            bytes += route.frames.bytes() * members.len();
        }
        self.deliveries.increment(changes as u64);
        self.bytes.increment(bytes as u64);
        if let (Some(row), Ok(now)) =
            (chunk.rows.last(), SystemTime::now().duration_since(UNIX_EPOCH))
        {
            // The clocks may differ: a change does not arrive before it was made.
            let now = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
            let late_us = u32::try_from((now - row.at).max(0)).unwrap_or(u32::MAX);
            self.seconds.record(f64::from(late_us) / 1e6);
        }
    }

    /// What waits for each of the shard's clients.
    pub(super) fn waiting(&mut self, clients: impl Iterator<Item = usize>) {
        let bytes = |bytes| f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
        let all: f64 = clients.map(bytes).sum();
        self.waiting.increment(all - self.added);
        self.added = all;
    }
}
