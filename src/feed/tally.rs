//! How many changes of each table were published, for whoever looks after the gateway.

use std::collections::HashMap;

use super::{Body, LogRow};

/// Changes of one table since the gateway started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub changes: u64,
    /// When the newest was written, in microseconds since 1970-01-01 UTC.
    pub last_at: i64,
}

/// The tallies of all tables, by oid. Only the hub has them.
#[derive(Debug, Default)]
pub(super) struct Tallies(HashMap<u32, Tally>);

impl Tallies {
    /// Counts the changes among rows. A bulk write is a run of one table: looked up once.
    pub(super) fn count(&mut self, rows: &[LogRow]) {
        let of = |row: &LogRow| match &row.body {
            Body::Change(change) => Some(change.table.oid),
            Body::Gap(_) | Body::Other => None,
        };
        for run in rows.chunk_by(|a, b| of(a) == of(b)) {
            let (Some(oid), Some(last)) = (of(&run[0]), run.last()) else { continue };
            let tally = self.0.entry(oid).or_default();
            tally.changes += run.len() as u64;
            tally.last_at = tally.last_at.max(last.at);
        }
    }

    /// The tally of a table.
    pub(super) fn of(&self, oid: u32) -> Tally {
        self.0.get(&oid).copied().unwrap_or_default()
    }
}
