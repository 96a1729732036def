//! The reader: follows the log on a connection of its own.

mod beat;

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_postgres::{
    Client, Row, Statement,
    types::{ToSql, Type},
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    catalog,
    error::{failed, within},
    reading::{self, DOING, Opened, ROWS_LIMIT, Relations, Rows, Standing},
    rhythm::{Next, Rhythm},
    rows::Decoder,
    shapes::Shapes,
    wake::Wake,
};
use crate::{
    change::{Snapshot, Tick},
    feed::{Catalog, LogError, LogReader, LogRow, log::Head},
};

/// No step of a read takes longer, but for the rows of a large transaction.
const STEP_LIMIT: Duration = Duration::from_secs(5);

/// A beat goes through the log when nothing else did for this long.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// The catalog is looked at anew this often though no row came: a table may be dropped, or its
/// capture switched off, without a row.
const CATALOG_EVERY: Duration = Duration::from_secs(4);

/// But told that it changed, no more often than this: any role may send a NOTIFY.
const CATALOG_APART: Duration = Duration::from_millis(200);

const BEGIN: &str = "begin isolation level repeatable read, read only";

/// Follows the log. Owned by the relay; ends with its connection.
pub struct Reader {
    client: Client,
    /// A read that is given up ends in the database too.
    _connection: AbortOnDropHandle<()>,
    read: Statement,
    writers_wait: Statement,
    take_lock: Statement,
    /// What all reads so far have seen.
    base: Snapshot,
    /// What the read under way sees.
    reading: Option<Reading>,
    history: u64,
    catalog: Arc<Catalog>,
    looked: Instant,
    /// The catalog was looked at since the tables were noted.
    is_to_note: bool,
    /// Another catalog that the next read begins with.
    changed: Option<Arc<Catalog>>,
    shapes: Arc<Shapes>,
    newest_tick: i64,
    rhythm: Rhythm,
    wake: Arc<Wake>,
    /// When a beat was last tried.
    beaten: Instant,
    row_bytes_max: usize,
    /// The transaction that a read before this reader's broke off inside of.
    first: Option<u64>,
}

struct Reading {
    snapshot: Snapshot,
    /// The rows and what reads them.
    rows: (Rows, Decoder),
    /// How many transactions have had rows, and which was the last.
    transactions: (usize, u64),
    /// It is part of a transaction, which is to be ended.
    is_in_transaction: bool,
}

impl Reader {
    /// A reader of everything that `base` has not seen.
    pub(super) async fn new(
        (client, connection): (Client, AbortOnDropHandle<()>),
        base: &Tick,
        catalog: Arc<Catalog>,
        (wake, shapes, row_bytes_max): (Arc<Wake>, Arc<Shapes>, usize),
    ) -> Result<Self, LogError> {
        let doing = "preparing to read the log";
        let read = within(STEP_LIMIT, doing, reading::prepare(&client)).await?;
        let step = client.prepare(super::rhythm::WRITERS_WAIT);
        let writers_wait = within(STEP_LIMIT, doing, step).await?;
        let step = client.prepare_typed(super::rhythm::TAKE_LOCK, &[Type::BOOL]);
        let take_lock = within(STEP_LIMIT, doing, step).await?;
        Ok(Self {
            client,
            _connection: connection,
            read,
            writers_wait,
            take_lock,
            base: base.snapshot.clone(),
            reading: None,
            history: base.history,
            catalog,
            looked: Instant::now(),
            is_to_note: false,
            changed: None,
            shapes,
            newest_tick: base.id,
            rhythm: Rhythm::new(),
            wake,
            beaten: Instant::now(),
            row_bytes_max,
            first: None,
        })
    }

    /// With what is left of this transaction before all others.
    #[must_use]
    pub(super) fn beginning_with(self, first: Option<u64>) -> Self {
        Self { first, ..self }
    }

    /// Whether the catalog may be another one.
    fn must_look(&self, relations: &Relations) -> bool {
        let is_due = self.looked.elapsed() >= CATALOG_EVERY
            || (self.looked.elapsed() >= CATALOG_APART && self.wake.take_catalog());
        is_due || !is_known(&self.catalog, relations)
    }

    /// Reads the catalog; gives it if it is another one.
    async fn look(&mut self) -> Result<Option<Arc<Catalog>>, LogError> {
        let catalog =
            within(STEP_LIMIT, "reading the catalog", catalog::read(&self.client)).await?;
        self.looked = Instant::now();
        self.is_to_note = true;
        if *self.catalog == catalog {
            return Ok(None);
        }
        self.catalog = Arc::new(catalog);
        Ok(Some(Arc::clone(&self.catalog)))
    }

    async fn end(&mut self, reading: Reading) -> Result<(), LogError> {
        if reading.is_in_transaction {
            within(STEP_LIMIT, "ending a read", self.client.batch_execute("commit")).await?;
        }
        let (transactions, _) = reading.transactions;
        self.rhythm.has_read(transactions, &reading.snapshot);
        if transactions > 0 && self.rhythm.must_tell_others() {
            // Writers see our lock and stay silent, so the gateways that sleep hear it from us.
            let tell = "select pg_catalog.pg_notify('db_changes', '{\"log\":true}')";
            within(STEP_LIMIT, "waking other gateways", self.client.batch_execute(tell)).await?;
        }
        self.base = reading.snapshot;
        if self.is_to_note {
            self.note().await?;
        }
        Ok(())
    }

    /// Begins a read; nothing where the tables were found to be others, which is noted first.
    async fn try_begin(&mut self) -> Result<Option<Head>, LogError> {
        self.rhythm.begins();
        let (is_to_ask, holds_lock) = (self.rhythm.is_to_ask(), self.rhythm.holds_lock());
        let ask = async {
            let parameters: [&(dyn ToSql + Sync); 1] = [&holds_lock];
            if !is_to_ask {
                return Ok(None);
            }
            let step = self.client.query_opt(&self.take_lock, &parameters);
            within(ROWS_LIMIT, DOING, step).await
        };
        // In one round trip.
        let (lock, opened) = futures::try_join!(ask, self.open())?;
        if let Some(lock) = lock {
            self.has_risen(&lock)?;
        }
        if self.must_look(&opened.relations) {
            drop(opened);
            return self.look_and_begin().await;
        }
        let (tables, catalog) = (Arc::clone(&self.catalog), self.changed.take());
        Ok(Some(self.begun(opened, &tables, catalog, false)?))
    }

    /// Begins a read with a look at the catalog, of the same moment as the rows.
    async fn look_and_begin(&mut self) -> Result<Option<Head>, LogError> {
        // What was not taken of the read before comes first.
        within(ROWS_LIMIT, DOING, self.client.batch_execute(BEGIN)).await?;
        let (tables, catalog) = (Arc::clone(&self.catalog), self.changed.take());
        self.changed = self.look().await?;
        let opened = self.open().await?;
        let was_known = !opened.relations.is_empty() && is_known(&tables, &opened.relations);
        // Rows that are all of the tables as they were are told first: a table that was taken off
        // the feed since has its last changes before its end. The next read tells the rest.
        if self.changed.is_some() && !was_known {
            drop(opened);
            // Noted first, so that the tick that divides before from after is there when the
            // subscriptions start over.
            within(ROWS_LIMIT, DOING, self.client.batch_execute("commit")).await?;
            self.note().await?;
            return Ok(None);
        }
        Ok(Some(self.begun(opened, &tables, catalog, true)?))
    }

    async fn open(&self) -> Result<Opened, LogError> {
        reading::open(&self.client, &self.read, &self.base, self.first).await
    }

    /// Reads rows by `tables` from now on; gives what the read begins with. An error where the log
    /// is not the one that was followed.
    fn begun(
        &mut self,
        opened: Opened,
        tables: &Catalog,
        catalog: Option<Arc<Catalog>>,
        is_in_transaction: bool,
    ) -> Result<Head, LogError> {
        let Opened { standing, relations, rows } = opened;
        let Standing { snapshot, history, tick, oldest } = standing;
        if history != self.history {
            return Err(LogError {
                message: "the log began a new history".to_owned(),
                is_transient: true,
            });
        }
        if oldest.is_some_and(|oldest| oldest > self.newest_tick) {
            // A tick made after our last read is the oldest by now: rows that we have not read
            // may have gone with those before it.
            return Err(LogError {
                message: format!("{DOING}: it was pruned further than this gateway had read"),
                is_transient: true,
            });
        }
        let decoder = Decoder::new(&relations, tables, self.row_bytes_max, self.first);
        let (seen, rows) = (snapshot.clone(), (rows, decoder));
        let transactions = (0, 0);
        self.reading = Some(Reading { snapshot: seen, rows, transactions, is_in_transaction });
        let tick = tick.filter(|tick| tick.id > self.newest_tick).map(Arc::new);
        if let Some(tick) = &tick {
            self.newest_tick = tick.id;
        }
        Ok(Head { snapshot, tick, catalog })
    }

    /// Notes what the tables are like, and finds out whether writes may have passed unseen.
    async fn note(&mut self) -> Result<(), LogError> {
        let step = self.shapes.note(&self.client, &self.catalog);
        within(STEP_LIMIT, "noting the tables", step).await?;
        self.is_to_note = false;
        Ok(())
    }

    fn has_risen(&mut self, row: &Row) -> Result<(), LogError> {
        let is = |error| failed("taking the lock", &error);
        let (is_ours, gateways): (_, i64) =
            (row.try_get(0).map_err(is)?, row.try_get(1).map_err(is)?);
        self.rhythm.has_risen(is_ours, gateways > 1);
        Ok(())
    }

    /// Takes or drops the lock that tells writers that a gateway is awake.
    async fn follow_rhythm(&mut self, next: &Next) -> Result<(), LogError> {
        match next {
            Next::Rest(_) | Next::Doze(_) | Next::Sleep => {}
            Next::Rise => {
                let doing = "taking the lock";
                let parameters: [&(dyn ToSql + Sync); 1] = [&self.rhythm.holds_lock()];
                let step = self.client.query_one(&self.take_lock, &parameters);
                let row = within(STEP_LIMIT, doing, step).await?;
                self.has_risen(&row)?;
            }
            Next::Settle => {
                let drop = super::rhythm::DROP_LOCK;
                let step = self.client.query(drop, &[]);
                let rows = within(STEP_LIMIT, "dropping the lock", step).await?;
                let barrier = rows
                    .first()
                    .map(|row| row.try_get::<_, super::types::Xid8>(0))
                    .transpose()
                    .map_err(|error| failed("dropping the lock", &error))?;
                self.rhythm.has_settled(barrier.map_or(u64::MAX, |xid| xid.0));
            }
        }
        Ok(())
    }
}

impl LogReader for Reader {
    async fn begin(&mut self) -> Result<Head, LogError> {
        loop {
            if let Some(head) = self.try_begin().await? {
                return Ok(head);
            }
        }
    }

    async fn rows(&mut self) -> Result<Option<Vec<LogRow>>, LogError> {
        let Some(reading) = &mut self.reading else { return Ok(None) };
        let (stream, decoder) = &mut reading.rows;
        if let Some(rows) = decoder.some(stream).await? {
            let (count, last) = &mut reading.transactions;
            for row in &rows {
                *count += usize::from(row.xid != std::mem::replace(last, row.xid));
            }
            return Ok(Some(rows));
        }
        if let Some(reading) = self.reading.take() {
            self.end(reading).await?;
        }
        Ok(None)
    }

    async fn wait(&mut self, longest: Duration) -> Result<(), LogError> {
        if self.rhythm.minds_waiting() {
            let doing = "looking for writers that wait";
            let step = self.client.query_one(&self.writers_wait, &[]);
            let row = within(STEP_LIMIT, doing, step).await?;
            self.rhythm.writers_wait(row.try_get(0).map_err(|error| failed(doing, &error))?);
        }
        let next = self.rhythm.next();
        self.follow_rhythm(&next).await?;
        match next {
            Next::Rise | Next::Settle => {}
            Next::Rest(pause) => tokio::time::sleep(pause.min(longest)).await,
            Next::Doze(pause) => self.wake.woken_within(pause.min(longest)).await,
            Next::Sleep => self.wake.woken_within(longest).await,
        }
        if self.rhythm.quiet() >= BEAT_EVERY && self.beaten.elapsed() >= BEAT_EVERY {
            self.beaten = Instant::now();
            within(STEP_LIMIT, "writing a beat", beat::beat(&self.client)).await?;
        }
        Ok(())
    }
}

/// Whether the rows' tables are as the catalog has them.
fn is_known(catalog: &Catalog, relations: &Relations) -> bool {
    relations
        .values()
        .flatten()
        .all(|(oid, shape)| catalog.table(*oid).is_some_and(|table| table.shape == *shape))
}
