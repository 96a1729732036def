//! One committed row change.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Row, Table};

/// What happened in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A row was added.
    Insert,
    /// A row was replaced by a newer version.
    Update,
    /// A row was removed.
    Delete,
    /// The table was emptied.
    Truncate,
}

impl Operation {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
        }
    }
}

/// One committed change of a watched table, as the log holds it.
#[derive(Clone, Debug)]
pub struct Change {
    /// Identity of the log row. Draws order between changes of one row, not between others.
    pub id: i64,
    /// The top-level transaction that wrote it.
    pub xid: u64,
    /// The database's clock at the write, microseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The watched table, as it was when the change was read.
    pub table: Arc<Table>,
    /// What happened.
    pub operation: Operation,
    /// The row after INSERT or UPDATE.
    pub new: Option<Row>,
    /// The row before UPDATE or DELETE.
    pub old: Option<Row>,
    /// Whether it is in the log; a change that only a NOTIFY payload told is not.
    pub is_durable: bool,
    /// The key alone, where the row was too large to be logged ([`Change::is_oversize`]).
    pub key: Option<Row>,
}

impl Change {
    /// Whether only the key was logged because the row is too large.
    pub fn is_oversize(&self) -> bool {
        self.key.is_some()
    }

    /// Keeps the key alone of a row whose JSON is longer than `bytes_max`.
    pub fn limit(&mut self, bytes_max: usize) {
        let longest = [&self.new, &self.old].into_iter().flatten().map(Row::bytes).max();
        if longest.is_none_or(|bytes| bytes <= bytes_max) || self.is_oversize() {
            return;
        }
        let key = |row: &Row| row.only(&self.table.key);
        let (new, old) = (self.new.as_ref().map(key), self.old.as_ref().map(key));
        self.key = new.clone().or_else(|| old.clone());
        self.old = old.filter(|old| new.is_some_and(|new| new != *old));
        self.new = None;
    }

    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        let row = |row: &Option<Row>| row.as_ref().map_or(0, Row::bytes);
        size_of::<Self>() + row(&self.new) + row(&self.old) + row(&self.key)
    }
}
