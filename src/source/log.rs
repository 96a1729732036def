//! The log in PostgreSQL, as the feed asks for it.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::Pool;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio_postgres::{Client, Row, types::ToSql};
use tokio_util::task::AbortOnDropHandle;

use super::{
    catalog,
    connect::Target,
    error::{failed, refused, tell, within},
    lease::Lease,
    places,
    reader::Reader,
    reading::{self, ROWS_LIMIT},
    rhythm::PRESENT,
    rows::Decoder,
    shapes::Shapes,
    wake::Wake,
};
use crate::{
    change::{Cursor, Position, Table, Tick},
    feed::{
        Catalog, ChangeLog, LogError, Topic,
        log::{Found, Guest, LogRows, Lost, RowsAt, RowsError, Start},
    },
    tasks,
};

/// No step takes longer.
pub(super) const STEP_LIMIT: Duration = Duration::from_secs(10);

/// A gateway that starts reads the last minutes of the log into its tail, so that clients that
/// come back after its restart are served from memory.
const START_BEFORE: &str = "120 seconds";

/// But not more rows than this.
const START_ROWS_MAX: i64 = 20_000;

/// The feed's functions look again at what others may have changed while they waited for a lock.
pub(super) const READ_COMMITTED: (&str, &str) = ("default_transaction_isolation", "read committed");

/// Settings of every session: a parameter's text must not depend on who asks.
pub const SESSION: &[(&str, &str)] = &[
    ("statement_timeout", "60s"),
    ("lock_timeout", "10s"),
    ("idle_in_transaction_session_timeout", "120s"),
    ("jit", "off"),
    ("search_path", "pg_catalog"),
    ("timezone", "UTC"),
    ("synchronous_commit", "on"),
    // A database or a role may default to another one, under which no tick can be made.
    READ_COMMITTED,
    // A database that is closed to its writers has clients all the same, and their places.
    ("default_transaction_read_only", "off"),
    ("client_min_messages", "error"),
];

/// How the log is read: its statistics are always behind, so plans are not left to them. Rows come
/// by the index, which has them in the feed's order; plans are made once.
const READING: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("max_parallel_workers_per_gather", "0"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
];

/// Has the server look whether we are still there, so that a read that was given up ends soon; to
/// the end of the transaction or of the session. Elsewhere than on Linux it may refuse the setting,
/// and such a read ends when its rows cannot be sent.
pub(super) fn watching(is_local: bool) -> String {
    format!(
        "case when pg_catalog.version() ~ 'linux' then \
         pg_catalog.set_config('client_connection_check_interval', '1s', {is_local}) end"
    )
}

/// Rows come as fast as those who asked take them; a limit of the whole would break a large read
/// off at the same place for ever.
const UNHURRIED: (&str, &str) = ("statement_timeout", "0");

/// Plans the statements of one transaction so, and tells whether a tick is there.
fn planning() -> String {
    let set = |(name, value): &(&str, &str)| format!(", set_config('{name}', '{value}', true)");
    let settings: String = READING.iter().chain([&UNHURRIED]).map(set).collect();
    let watching = watching(true);
    format!(
        "select exists (select from pgfeed.tick where id = $1 and tag = $2), {watching}{settings}"
    )
}

/// The log in one database. One for a gateway.
pub struct PgLog {
    target: Target,
    pool: Pool,
    wake: Arc<Wake>,
    row_bytes_max: usize,
    shapes: Arc<Shapes>,
}

impl PgLog {
    /// The log that `target` leads to; `wake` tells when it has grown.
    /// A row whose JSON is longer than `row_bytes_max` is told by its key alone.
    pub fn new(target: Target, pool: Pool, wake: Arc<Wake>, row_bytes_max: usize) -> Self {
        Self { target, pool, wake, row_bytes_max, shapes: Arc::default() }
    }

    async fn connect(&self) -> Result<(Client, AbortOnDropHandle<()>), LogError> {
        let (client, connection) =
            self.target.connect(&[SESSION, READING, &[UNHURRIED]].concat()).await.map_err(
                |error| LogError { is_transient: error.is_transient(), message: tell(&error) },
            )?;
        let connection = tasks::spawn("reader connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "The reader's connection ended.");
            }
        });
        Ok((client, AbortOnDropHandle::new(connection)))
    }

    /// Records how much of the pool is in use.
    pub fn measure_pool(&self) {
        let status = self.pool.status();
        let count = |it: usize| f64::from(u32::try_from(it).unwrap_or(u32::MAX));
        let idle = count(status.available);
        let in_use = count(status.size) - idle;
        metrics::gauge!("pgfeed_pool_connections", "state" => "idle").set(idle);
        metrics::gauge!("pgfeed_pool_connections", "state" => "in_use").set(in_use);
        metrics::gauge!("pgfeed_pool_waiting").set(count(status.waiting));
    }

    pub(super) async fn pooled(&self) -> Result<Lease, LogError> {
        Lease::of(&self.pool).await
    }
}

impl ChangeLog for PgLog {
    type Reader = Reader;

    async fn rows_of(&self, topics: Vec<Arc<Topic>>, guest: Guest) -> Result<RowsAt, RowsError> {
        super::snapshot::read(self, topics, guest).await
    }

    async fn follow(
        &self,
        from: Option<&Position>,
        open: Option<u64>,
    ) -> Result<Start<Reader>, LogError> {
        let doing = "starting to follow the log";
        let (client, connection) = self.connect().await?;
        within(STEP_LIMIT, doing, check_server(&client)).await??;
        // First of all, for it may begin a new history.
        within(STEP_LIMIT, doing, make_tick(&client)).await?;
        let catalog = Arc::new(within(STEP_LIMIT, doing, catalog::read(&client)).await?);
        within(STEP_LIMIT, doing, self.shapes.note(&client, &catalog)).await?;
        let newest = within(STEP_LIMIT, doing, make_tick(&client)).await?;
        let lost = match from {
            Some(position) => lost(&client, position).await?,
            None => None,
        };
        let ticks = within(STEP_LIMIT, doing, recent_ticks(&client, &newest)).await?;
        // Cursors that lean on a tick from before a table's shape was noted are refused for it.
        let settled = self.shapes.all_since();
        let first = ticks.iter().find(|tick| tick.id >= settled).unwrap_or(&newest);
        let position = match from {
            Some(position) if lost.is_none() => position.clone(),
            Some(_) => Position::at(Arc::new(newest.clone())),
            None => Position::at(Arc::new(first.clone())),
        };
        let present = format!("{PRESENT}; select {}", watching(false));
        within(STEP_LIMIT, doing, client.batch_execute(&present)).await?;
        let rest = (Arc::clone(&self.wake), Arc::clone(&self.shapes), self.row_bytes_max);
        let connected = (client, connection);
        let reader = Reader::new(connected, &position.tick, Arc::clone(&catalog), rest).await?;
        let reader = reader.beginning_with(open.filter(|_| lost.is_none()));
        let ticks = ticks.into_iter().map(Arc::new).collect();
        Ok(Start { reader, position, catalog, ticks, lost })
    }

    async fn make_tick(&self) -> Result<(), LogError> {
        let client = self.pooled().await?;
        within(STEP_LIMIT, "making a tick", make_tick(&client)).await?;
        client.give_back();
        Ok(())
    }

    fn since(&self, table: &Table) -> i64 {
        self.shapes.since(table)
    }

    async fn find_all(&self, cursors: &[Cursor]) -> Result<Vec<Found>, LogError> {
        let client = self.pooled().await?;
        let found = places::find(&client, cursors, places::NAMED_MAX).await?;
        client.give_back();
        Ok(found)
    }

    async fn between(
        &self,
        from: &Position,
        to: &Position,
        catalog: Arc<Catalog>,
    ) -> Result<LogRows, LogError> {
        let doing = "reading the log for a resume";
        let client = self.pooled().await?;
        let base = from.tick.snapshot.clone();
        let read = within(STEP_LIMIT, doing, reading::prepare(&client)).await?;
        let parameters: [&(dyn ToSql + Sync); 2] = [&from.tick.id, &from.tick.tag];
        let plan = within(STEP_LIMIT, doing, client.prepare(&planning())).await?;
        // In one round trip.
        let begin = client.batch_execute("begin isolation level repeatable read, read only");
        let ((), planned, opened) = futures::try_join!(
            within(ROWS_LIMIT, doing, begin),
            within(ROWS_LIMIT, doing, client.query_one(&plan, &parameters)),
            reading::open(&client, &read, &base, None),
        )?;
        // In the snapshot of the rows: as long as the tick is there, nothing after it was pruned.
        if !planned.try_get(0).map_err(|error| failed(doing, &error))? {
            let message = format!("{doing}: its position was pruned meanwhile");
            return Err(LogError { message, is_transient: true });
        }
        let decoder = Decoder::new(&opened.relations, &catalog, self.row_bytes_max, None);
        let state = (client, opened.rows, decoder);
        let rows = stream::try_unfold(Some(state), async |state| {
            let Some((client, mut rows, mut decoder)) = state else { return Ok(None) };
            if let Some(some) = decoder.some(&mut rows).await? {
                Ok(Some((some, Some((client, rows, decoder)))))
            } else {
                let commit = client.batch_execute("commit");
                within(STEP_LIMIT, "ending a read", commit).await?;
                client.give_back();
                Ok(None)
            }
        });
        let to = to.clone();
        let until = move |rows: Vec<crate::feed::LogRow>| {
            rows.into_iter().filter(|row| to.has(row.id, row.xid)).collect()
        };
        Ok(rows.map_ok(until).boxed())
    }
}

/// Why a gateway cannot go on from where it was.
async fn lost(client: &Client, position: &Position) -> Result<Option<Lost>, LogError> {
    let found = places::find(client, &[position.cursor()], usize::MAX).await?;
    Ok(match found.first() {
        Some(Found::Here { .. }) => None,
        Some(Found::Expired) => Some(Lost::Expired),
        Some(Found::OtherHistory) | None => Some(Lost::OtherHistory),
    })
}

/// Refuses what would not be exact.
async fn check_server(client: &Client) -> Result<Result<(), LogError>, tokio_postgres::Error> {
    const CHECK: &str = "select pg_catalog.pg_is_in_recovery(),
        pg_catalog.current_setting('server_encoding')";
    let row = client.query_one(CHECK, &[]).await?;
    if row.try_get(0)? {
        let why = "the server is a standby, whose snapshots leave out transactions in progress: \
                   connect to the primary (target_session_attrs=primary)";
        return Ok(Err(LogError { message: why.to_owned(), is_transient: true }));
    }
    if row.try_get::<_, &str>(1)? == "SQL_ASCII" {
        let why = "the database's encoding is SQL_ASCII, where any role can end the listener with \
                   one byte: move the tables to a UTF8 database";
        return Ok(Err(refused(why)));
    }
    Ok(Ok(()))
}

/// The text of a history as the number that cursors carry.
pub(super) fn history(text: &str) -> u64 {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or_default()
}

pub(super) fn tick(row: &Row) -> Result<Tick, tokio_postgres::Error> {
    let snapshot: String = row.try_get(2)?;
    Ok(Tick {
        id: row.try_get(0)?,
        tag: row.try_get(1)?,
        snapshot: snapshot.parse().expect("PostgreSQL prints well-formed snapshots"),
        history: history(row.try_get(3)?),
    })
}

async fn make_tick(client: &Client) -> Result<Tick, tokio_postgres::Error> {
    const MAKE: &str = "select t.id from pgfeed.make_tick() t";
    // The function may have started a history, which only a later statement sees.
    const MADE: &str = "select t.id, t.tag, t.snap::text, m.history::text
        from pgfeed.tick t, pgfeed.meta m where t.id = $1";
    let made = client.query_one(MAKE, &[]).await?;
    let id: i64 = made.try_get(0)?;
    tick(&client.query_one(MADE, &[&id]).await?)
}

/// Ticks since some time ago, the oldest first.
async fn recent_ticks(client: &Client, newest: &Tick) -> Result<Vec<Tick>, tokio_postgres::Error> {
    let recent = format!(
        "select t.id, t.tag, t.snap::text, m.history::text
           from pgfeed.tick t, pgfeed.meta m
          where t.id <= $1
            and t.at > pg_catalog.clock_timestamp() - interval '{START_BEFORE}'
            and t.last >= (select n.last from pgfeed.tick n where n.id = $1) - {START_ROWS_MAX}
          order by t.id"
    );
    client.query(&recent, &[&newest.id]).await?.iter().map(tick).collect()
}
