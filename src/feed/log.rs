//! The seam to the durable log: what the feed asks of a database.
//!
//! `source` implements it over PostgreSQL. A log is read in whole reads: each gives everything
//! that was committed since the one before, in an order that keeps the changes of a row in
//! commit order and each transaction together.

use std::{any::Any, future::Future, sync::Arc, time::Duration};

use futures::{FutureExt as _, Stream, future::BoxFuture};

use super::{Catalog, Topic};
use crate::change::{Change, Cursor, Position, Snapshot, Table, Tick};

/// One row of the log.
#[derive(Clone, Debug)]
pub struct LogRow {
    /// Its id.
    pub id: i64,
    /// The transaction that wrote it.
    pub xid: u64,
    /// When, in microseconds since 1970-01-01 UTC.
    pub at: i64,
    /// What it says.
    pub body: Body,
}

/// What a log row says.
#[derive(Clone, Debug)]
pub enum Body {
    /// A change of a watched table.
    Change(Change),
    /// A change of this table could not be captured: its readers must start over.
    Gap(Arc<Table>),
    /// A beat of a gateway, or a change of a table that is not watched any more.
    Other,
}

/// What a read starts with.
#[derive(Debug)]
pub struct Head {
    /// What the read sees: everything that the snapshot sees has been read at its end.
    pub snapshot: Snapshot,
    /// The newest tick it sees.
    pub tick: Option<Arc<Tick>>,
    /// The watched tables, where they are others than the rows' before; holds for all its rows.
    pub catalog: Option<Arc<Catalog>>,
}

/// Why the log cannot be read.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct LogError {
    /// For a person; the whole chain.
    pub message: String,
    /// Whether trying again may help without anybody's doing.
    pub is_transient: bool,
}

/// How a reader begins to follow the log.
pub struct Start<R> {
    /// Follows the log.
    pub reader: R,
    /// Where it starts.
    pub position: Position,
    /// The watched tables.
    pub catalog: Arc<Catalog>,
    /// Recent ticks, the oldest first, so that a resume need not ask for them.
    pub ticks: Vec<Arc<Tick>>,
    /// Why it does not start at the position asked for.
    pub lost: Option<Lost>,
}

/// Why a position cannot be gone on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The log no longer reaches back to it.
    Expired,
    /// It is not part of this log: another database, a restored one, or one that lost its last
    /// transactions.
    OtherHistory,
}

/// What the log knows of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its place is part of the log: the tick is there, and so are the rows since.
    Here {
        /// The place.
        position: Position,
        /// The transactions of the rows since its tick.
        xids: Arc<[u64]>,
    },
    /// The log no longer reaches back to it.
    Expired,
    /// It belongs to another history.
    OtherHistory,
}

/// What whoever reads rows brings along.
#[derive(Clone)]
pub struct Guest {
    /// Its place among those that read, given back when the database has been left.
    pub place: Arc<dyn Any + Send + Sync>,
    /// How long the database waits for it, all in all, beside what so many bytes may take.
    pub patience: Duration,
}

/// The rows of some topics as of one position.
pub struct RowsAt {
    /// The changes after it are those that the rows do not have.
    pub position: Position,
    /// The rows; ends when all are read, and reading ends when it is dropped.
    pub rows: RowPieces,
}

/// Rows as they arrive. What ends without the last piece of the last topic was broken off.
pub type RowPieces = tokio::sync::mpsc::Receiver<Result<RowPiece, LogError>>;

/// Some rows of a topic.
#[derive(Clone, Debug)]
pub struct RowPiece {
    /// The topic's place in the request.
    pub topic: usize,
    /// The rows as JSON text, as the topic's readers see them.
    pub rows: Vec<String>,
    /// Whether the topic has no more.
    pub is_last: bool,
}

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// A table is another one than the topic's, or gone.
    #[error("the table is being changed")]
    Changed,
    /// The database cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// A durable log of changes.
pub trait ChangeLog: Send + Sync + 'static {
    /// Follows it.
    type Reader: LogReader;

    /// Follows the log from a position, or from a recent tick where there is none. What is left of
    /// the transaction `open`, inside of which the position lies, comes before all others: of what
    /// committed meanwhile some may have its place before it.
    fn follow(
        &self,
        from: Option<&Position>,
        open: Option<u64>,
    ) -> impl Future<Output = Result<Start<Self::Reader>, LogError>> + Send;

    /// Makes a durable tick, which a later read shows.
    fn make_tick(&self) -> impl Future<Output = Result<(), LogError>> + Send;

    /// The first tick from which on a cursor may lead to rows of this table, for before it they
    /// had other columns; none does where it is not known yet.
    fn since(&self, table: &Table) -> i64;

    /// Looks cursors up; the answers come in their order.
    fn find_all(
        &self,
        cursors: &[Cursor],
    ) -> impl Future<Output = Result<Vec<Found>, LogError>> + Send;

    /// The rows after `from`, up to and with `to`, in the order of a read. It yields all rows
    /// since `from`'s tick; those that `from` already has are for checking only.
    fn between(
        &self,
        from: &Position,
        to: &Position,
        catalog: Arc<Catalog>,
    ) -> impl Future<Output = Result<LogRows, LogError>> + Send;

    /// Reads the rows of topics, all at one position.
    fn rows_of(
        &self,
        topics: Vec<Arc<Topic>>,
        guest: Guest,
    ) -> impl Future<Output = Result<RowsAt, RowsError>> + Send;
}

/// What a resume asks of the log; [`ChangeLog`] without its reader, for use as `dyn`.
pub trait History: Send + Sync {
    /// See [`ChangeLog::since`].
    fn since(&self, table: &Table) -> i64;

    /// See [`ChangeLog::find_all`].
    fn find_all<'a>(&'a self, cursors: &'a [Cursor])
    -> BoxFuture<'a, Result<Vec<Found>, LogError>>;

    /// Looks a cursor up.
    fn find<'a>(&'a self, cursor: &'a Cursor) -> BoxFuture<'a, Result<Found, LogError>> {
        let one = self.find_all(std::slice::from_ref(cursor));
        async move { Ok(one.await?.pop().unwrap_or(Found::OtherHistory)) }.boxed()
    }

    /// See [`ChangeLog::between`].
    fn between<'a>(
        &'a self,
        from: &'a Position,
        to: &'a Position,
        catalog: Arc<Catalog>,
    ) -> BoxFuture<'a, Result<LogRows, LogError>>;

    /// See [`ChangeLog::rows_of`].
    fn rows_of(
        &self,
        topics: Vec<Arc<Topic>>,
        guest: Guest,
    ) -> BoxFuture<'_, Result<RowsAt, RowsError>>;
}

impl<L: ChangeLog> History for L {
    fn since(&self, table: &Table) -> i64 {
        ChangeLog::since(self, table)
    }

    fn find_all<'a>(
        &'a self,
        cursors: &'a [Cursor],
    ) -> BoxFuture<'a, Result<Vec<Found>, LogError>> {
        ChangeLog::find_all(self, cursors).boxed()
    }

    fn between<'a>(
        &'a self,
        from: &'a Position,
        to: &'a Position,
        catalog: Arc<Catalog>,
    ) -> BoxFuture<'a, Result<LogRows, LogError>> {
        ChangeLog::between(self, from, to, catalog).boxed()
    }

    fn rows_of(
        &self,
        topics: Vec<Arc<Topic>>,
        guest: Guest,
    ) -> BoxFuture<'_, Result<RowsAt, RowsError>> {
        ChangeLog::rows_of(self, topics, guest).boxed()
    }
}

/// Rows as they arrive from the log, a few at a time.
pub type LogRows =
    std::pin::Pin<Box<dyn Stream<Item = Result<Vec<LogRow>, LogError>> + Send + 'static>>;

/// Follows the log on a connection of its own.
pub trait LogReader: Send + 'static {
    /// Begins a read of everything committed since the last.
    fn begin(&mut self) -> impl Future<Output = Result<Head, LogError>> + Send;

    /// The next rows of the read begun; `None` ends it.
    fn rows(&mut self) -> impl Future<Output = Result<Option<Vec<LogRow>>, LogError>> + Send;

    /// Returns when it is time to read again: the log has grown, or `longest` went by.
    fn wait(&mut self, longest: Duration) -> impl Future<Output = Result<(), LogError>> + Send;
}

impl LogRow {
    /// What it takes in memory, in bytes.
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Change(change) => size_of::<Self>() + change.bytes(),
            Body::Gap(_) | Body::Other => size_of::<Self>(),
        }
    }
}
