//! For tests: a log whose reads are written down beforehand.

use std::{collections::VecDeque, future::pending, sync::Mutex, time::Duration};

use futures::{StreamExt as _, stream};

use super::{
    Catalog, ChangeLog, LogError, LogReader, LogRow, Topic,
    log::{Found, Guest, Head, LogRows, RowsAt, RowsError, Start},
};
use crate::change::{Cursor, Position, Snapshot, Table};
use std::sync::Arc;

/// A log whose reads are written down beforehand.
#[derive(Default)]
pub(super) struct Script {
    follows: Mutex<VecDeque<Follow>>,
    log: Vec<Vec<LogRow>>,
}

/// What happens from one connection to the next. Behind the last read it breaks off, and behind the
/// last of all nothing happens any more.
pub(super) struct Follow {
    pub(super) position: Position,
    pub(super) catalog: Arc<Catalog>,
    pub(super) lost: Option<super::log::Lost>,
    /// The rows of each read.
    pub(super) reads: Vec<Vec<LogRow>>,
    /// Whether the last read breaks off behind its rows.
    pub(super) breaks: bool,
}

/// Reads as it is written.
pub(super) struct ScriptReader {
    reads: VecDeque<Vec<LogRow>>,
    breaks: bool,
    is_open: bool,
}

impl Script {
    pub(super) fn new(follows: Vec<Follow>) -> Self {
        Self { follows: Mutex::new(follows.into()), log: Vec::new() }
    }

    /// What a resume reads.
    #[must_use]
    pub(super) fn with_log(mut self, log: Vec<Vec<LogRow>>) -> Self {
        self.log = log;
        self
    }
}

fn broken() -> LogError {
    LogError { message: "it broke off".to_owned(), is_transient: true }
}

impl ChangeLog for Script {
    type Reader = ScriptReader;

    async fn follow(
        &self,
        _: Option<&Position>,
        _: Option<u64>,
    ) -> Result<Start<ScriptReader>, LogError> {
        let next = self.follows.lock().expect("no holder panics").pop_front();
        let Some(Follow { position, catalog, lost, reads, breaks }) = next else {
            return pending().await;
        };
        let reader = ScriptReader { reads: reads.into(), breaks, is_open: false };
        Ok(Start { reader, position, catalog, ticks: Vec::new(), lost })
    }

    async fn make_tick(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn since(&self, _: &Table) -> i64 {
        0
    }

    async fn find_all(&self, cursors: &[Cursor]) -> Result<Vec<Found>, LogError> {
        Ok(vec![Found::OtherHistory; cursors.len()])
    }

    async fn between(
        &self,
        _: &Position,
        _: &Position,
        _: Arc<Catalog>,
    ) -> Result<LogRows, LogError> {
        Ok(stream::iter(self.log.clone()).map(Ok).boxed())
    }

    async fn rows_of(&self, _: Vec<Arc<Topic>>, _: Guest) -> Result<RowsAt, RowsError> {
        Err(RowsError::Changed)
    }
}

impl LogReader for ScriptReader {
    async fn begin(&mut self) -> Result<Head, LogError> {
        self.is_open = true;
        let snapshot: Snapshot = "10:10:".parse().expect("well formed");
        Ok(Head { snapshot, tick: None, catalog: None })
    }

    async fn rows(&mut self) -> Result<Option<Vec<LogRow>>, LogError> {
        if !std::mem::take(&mut self.is_open) {
            return if self.breaks && self.reads.is_empty() { Err(broken()) } else { Ok(None) };
        }
        Ok(Some(self.reads.pop_front().unwrap_or_default()))
    }

    async fn wait(&mut self, longest: Duration) -> Result<(), LogError> {
        if self.reads.is_empty() {
            tokio::time::sleep(longest).await;
        }
        Ok(())
    }
}
