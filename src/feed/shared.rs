//! Asks the log once for all who ask at the same time.
//!
//! A gateway that comes back may have thousands of clients behind it, each with a cursor of its
//! own. What they ask while an answer is on its way is put together into the next question, and the
//! more they are the longer the next question waits for more of them: so a storm costs the database
//! a few reads, however many clients there are.

mod batch;
mod pace;
mod reads;

use std::sync::Arc;

use futures::{FutureExt as _, future::BoxFuture};

use self::{batch::Batch, reads::Reads};
use super::{
    Catalog, History, LogError, Topic,
    log::{Found, Guest, LogRows, RowsAt, RowsError},
};
use crate::change::{Cursor, Position, Table};

/// A log that is asked once for many. One for a gateway.
pub struct Shared {
    inner: Arc<dyn History>,
    finds: Arc<Batch<Cursor, Found>>,
    reads: Arc<Reads>,
}

impl Shared {
    /// Shares what is asked of a log.
    pub fn new(inner: Arc<dyn History>) -> Self {
        let log = Arc::clone(&inner);
        let finds = Batch::new(move |cursors: Vec<Cursor>| {
            let log = Arc::clone(&log);
            async move { log.find_all(&cursors).await }.boxed()
        });
        let reads = Reads::new(Arc::clone(&inner));
        Self { inner, finds, reads }
    }
}

impl History for Shared {
    fn since(&self, table: &Table) -> i64 {
        self.inner.since(table)
    }

    fn find_all<'a>(
        &'a self,
        cursors: &'a [Cursor],
    ) -> BoxFuture<'a, Result<Vec<Found>, LogError>> {
        self.inner.find_all(cursors)
    }

    fn find<'a>(&'a self, cursor: &'a Cursor) -> BoxFuture<'a, Result<Found, LogError>> {
        self.finds.ask(cursor.clone()).boxed()
    }

    fn between<'a>(
        &'a self,
        from: &'a Position,
        to: &'a Position,
        catalog: Arc<Catalog>,
    ) -> BoxFuture<'a, Result<LogRows, LogError>> {
        let rows = self.reads.join(from.clone(), to.clone(), catalog);
        async move { Ok(rows) }.boxed()
    }

    fn rows_of(
        &self,
        topics: Vec<Arc<Topic>>,
        guest: Guest,
    ) -> BoxFuture<'_, Result<RowsAt, RowsError>> {
        self.inner.rows_of(topics, guest)
    }
}
