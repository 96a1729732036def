//! The rows of tables as they are, and the position that they are as of.
//!
//! One transaction reads both, so the rows and the changes after the position meet with no gap
//! and no overlap. Its position is the newest tick and the log rows that its own snapshot sees
//! since.

use std::{pin::pin, sync::Arc};

use futures::TryStreamExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Duration, Instant, timeout},
};
use tokio_postgres::{
    Client, Error, IsolationLevel, Transaction,
    error::SqlState,
    types::{ToSql, Type},
};

use super::{
    catalog::shape_of,
    error::{failed, within},
    lease::Lease,
    log::{PgLog, STEP_LIMIT, tick, watching},
    name::{of_table, quoted},
    reading::{SINCE, bounds},
    types::{JsonText, Micros, Xid8},
};
use crate::{
    change::{
        Position, Row,
        cursor::RUNS_MAX,
        position::{Since, check},
    },
    feed::{
        ChangeLog as _, Columns, Image, LogError, Topic, encode,
        filter::CompiledFilter,
        log::{Guest, RowPiece, RowPieces, RowsAt, RowsError},
    },
    tasks,
};

/// About so many bytes of rows are read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// How many rows are read first, before their size is known.
const ROWS_FIRST: usize = 16;

const ROWS_MAX: usize = 4_096;

/// A piece may take this long: a filter may find few rows in a large table.
const PIECE_LIMIT: Duration = Duration::from_mins(1);

/// A transaction whose position takes too many words to tell is begun again behind a new tick.
const TRIES: usize = 3;

/// A row's text is as the triggers write it. Its reader takes the time that its patience allows.
const SETTINGS: &str = "
    set local timezone = 'UTC'; set local datestyle = 'ISO, MDY';
    set local intervalstyle = 'postgres'; set local bytea_output = 'hex';
    set local extra_float_digits = 1; set local statement_timeout = 0;";

/// The log wants a plan by its index, where tables do not: whatever its statistics say.
const FOR_LOG: &str = "set local enable_seqscan = off; set local enable_bitmapscan = off;";

const FOR_TABLES: &str = "set local enable_seqscan = on; set local enable_bitmapscan = on;";

const TICK: &str = "
    select t.id, t.tag, t.snap::text, m.history::text
      from pgfeed.tick t, pgfeed.meta m order by t.id desc limit 1";

const SHAPE: &str = concat!(
    "select shapes.shape
       from pg_catalog.pg_class c
       join pg_catalog.pg_namespace n on n.oid = c.relnamespace ",
    shape_of!(),
    " where c.oid = $1"
);

type Told = oneshot::Sender<Result<Position, RowsError>>;
type Piece = Result<RowPiece, LogError>;

/// The way to a reader. A transaction that waits for one holds up VACUUM everywhere, so it waits
/// only so long.
struct Pieces {
    out: mpsc::Sender<Piece>,
    guest: Guest,
    waited: Duration,
    bytes: usize,
}

/// A reader may take so many bytes a second, beside its patience.
const BYTES_PER_SECOND_MIN: usize = 256 * 1024;

/// Begins to read the rows of topics.
pub(super) async fn read(
    log: &PgLog,
    topics: Vec<Arc<Topic>>,
    guest: Guest,
) -> Result<RowsAt, RowsError> {
    for _ in 1..TRIES {
        if let Some(rows) = try_read(log, topics.clone(), guest.clone()).await? {
            return Ok(rows);
        }
        log.make_tick().await?;
    }
    try_read(log, topics, guest).await?.ok_or_else(|| {
        let message = "no position can be told for a snapshot: too many transactions are open";
        RowsError::Log(LogError { message: message.to_owned(), is_transient: true })
    })
}

async fn try_read(
    log: &PgLog,
    topics: Vec<Arc<Topic>>,
    guest: Guest,
) -> Result<Option<RowsAt>, RowsError> {
    let connection = log.pooled().await?;
    let (told_tx, told_rx) = oneshot::channel();
    let (pieces_tx, rows): (_, RowPieces) = mpsc::channel(2);
    let pieces = Pieces { out: pieces_tx, guest, waited: Duration::ZERO, bytes: 0 };
    // The task holds the connection, and ends with the receiver.
    drop(tasks::spawn("snapshot", serve(connection, topics, told_tx, pieces)));
    let position = told_rx.await.map_err(|_closed| LogError {
        message: "a snapshot ended before it began".to_owned(),
        is_transient: true,
    })??;
    let is_tellable = position.since.ids.runs().len() <= RUNS_MAX;
    Ok(is_tellable.then_some(RowsAt { position, rows }))
}

async fn serve(mut connection: Lease, topics: Vec<Arc<Topic>>, told: Told, mut pieces: Pieces) {
    if transact(&mut connection, &topics, told, &mut pieces).await {
        connection.give_back();
    } else {
        drop(connection);
    }
    // Only now: who has a place may use a connection.
    drop(pieces.guest.place);
}

impl Pieces {
    /// Whether the reader took it.
    async fn send(&mut self, piece: Piece) -> bool {
        let rows = piece.as_ref().map_or(&[][..], |it| &it.rows);
        self.bytes += rows.iter().map(String::len).sum::<usize>();
        let seconds = u64::try_from(self.bytes / BYTES_PER_SECOND_MIN).unwrap_or(u64::MAX);
        let most = self.guest.patience.saturating_add(Duration::from_secs(seconds));
        let began = Instant::now();
        let sent = timeout(most.saturating_sub(self.waited), self.out.send(piece)).await;
        self.waited += began.elapsed();
        if sent.is_err() {
            tracing::info!("A snapshot was ended: its reader takes the rows too slowly.");
        }
        matches!(sent, Ok(Ok(())))
    }
}

/// Whether all was read, and the transaction ended.
async fn transact(
    connection: &mut Client,
    topics: &[Arc<Topic>],
    told: Told,
    pieces: &mut Pieces,
) -> bool {
    let doing = "beginning a snapshot";
    let gone = pieces.out.clone();
    let begin = connection
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true);
    let transaction = match within(STEP_LIMIT, doing, begin.start()).await {
        Ok(transaction) => transaction,
        Err(error) => {
            // Nobody waits where the client is gone.
            drop(told.send(Err(error.into())));
            return false;
        }
    };
    match place(&transaction, topics).await {
        Ok(position) => {
            if told.send(Ok(position)).is_err() {
                return false;
            }
        }
        Err(error) => {
            drop(told.send(Err(error)));
            return false;
        }
    }
    for (at, topic) in topics.iter().enumerate() {
        let read = tokio::select! {
            read = rows(&transaction, at, topic, pieces) => read,
            () = gone.closed() => return false,
        };
        match read {
            Ok(true) => {}
            Ok(false) => return false,
            Err(error) => {
                pieces.send(Err(error)).await;
                return false;
            }
        }
    }
    within(STEP_LIMIT, "ending a snapshot", transaction.commit()).await.is_ok()
}

/// Holds the tables as they are and takes the position.
async fn place(
    transaction: &Transaction<'_>,
    topics: &[Arc<Topic>],
) -> Result<Position, RowsError> {
    let doing = "placing a snapshot";
    let lock = |topic: &Arc<Topic>| {
        let name = of_table(&topic.spec.table.name);
        format!("lock table {name} in access share mode;")
    };
    // Locked before the first look, which is what decides on the transaction's snapshot.
    let locks: String = topics.iter().map(lock).collect();
    let step = transaction.batch_execute(&locks);
    match timeout(STEP_LIMIT, step).await {
        Ok(Err(error)) if is_gone(&error) => return Err(RowsError::Changed),
        locked => locked.map_or_else(
            |_| Err(LogError { message: format!("{doing}: no answer"), is_transient: true }),
            |locked| locked.map_err(|error| failed(doing, &error)),
        )?,
    }
    let settings = format!("{SETTINGS} select {}; {FOR_LOG}", watching(true));
    within(STEP_LIMIT, doing, transaction.batch_execute(&settings)).await?;
    let newest = within(STEP_LIMIT, doing, transaction.query_one(TICK, &[])).await?;
    let newest = tick(&newest).map_err(|error| failed(doing, &error))?;
    for topic in topics {
        let table = &topic.spec.table;
        let found = within(STEP_LIMIT, doing, transaction.query_opt(SHAPE, &[&table.oid])).await?;
        let shape: Option<i64> = found.and_then(|row| row.try_get(0).ok());
        if shape.map(i64::cast_unsigned) != Some(table.shape) {
            return Err(RowsError::Changed);
        }
    }
    let (xmax, open) = bounds(&newest.snapshot);
    let parameters: [&(dyn ToSql + Sync); 2] = [&xmax, &open];
    let mut since = Since::default();
    let read = async {
        let rows = transaction.query_raw(SINCE, parameters).await?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.try_next().await? {
            let (id, Xid8(xid), Micros(at)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            since.add(id, check(id, xid, at));
        }
        Ok::<_, Error>(())
    };
    within(PIECE_LIMIT, doing, read).await?;
    within(STEP_LIMIT, doing, transaction.batch_execute(FOR_TABLES)).await?;
    Ok(Position { tick: Arc::new(newest), since: Arc::new(since) })
}

fn is_gone(error: &Error) -> bool {
    let codes = [&SqlState::UNDEFINED_TABLE, &SqlState::INVALID_SCHEMA_NAME];
    error.code().is_some_and(|code| codes.contains(&code))
}

/// Sends a topic's rows piece by piece; false where the reader takes no more.
async fn rows(
    transaction: &Transaction<'_>,
    at: usize,
    topic: &Topic,
    pieces: &mut Pieces,
) -> Result<bool, LogError> {
    let doing = "reading rows for a snapshot";
    let (sql, values) = query(topic);
    let types = vec![Type::TEXT; values.len()];
    let statement = within(STEP_LIMIT, doing, transaction.prepare_typed(&sql, &types)).await?;
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|it| it as _).collect();
    let portal = within(STEP_LIMIT, doing, transaction.bind(&statement, &values)).await?;
    let mut count = ROWS_FIRST;
    loop {
        let most = i32::try_from(count).unwrap_or(i32::MAX);
        let step = transaction.query_portal_raw(&portal, most);
        let mut found = pin!(within(PIECE_LIMIT, doing, step).await?);
        // Counted as read, for a reader may see little of a large row.
        let (mut fetched, mut bytes, mut waiting) = (0, 0, 0);
        let mut texts = Vec::new();
        while let Some(row) = within(PIECE_LIMIT, doing, found.try_next()).await? {
            let JsonText(text) = row.try_get(0).map_err(|error| failed(doing, &error))?;
            fetched += 1;
            bytes += text.len();
            waiting += text.len();
            texts.extend(shown(topic, &Row::new(text)));
            if waiting >= PIECE_BYTES && !texts.is_empty() {
                waiting = 0;
                let rows = std::mem::take(&mut texts);
                if !pieces.send(Ok(RowPiece { topic: at, rows, is_last: false })).await {
                    return Ok(false);
                }
            }
        }
        let is_last = fetched < count;
        let has_more = is_last || !texts.is_empty();
        if has_more && !pieces.send(Ok(RowPiece { topic: at, rows: texts, is_last })).await {
            return Ok(false);
        }
        if is_last {
            return Ok(true);
        }
        count = (PIECE_BYTES * count / bytes.max(1)).clamp(1, ROWS_MAX);
    }
}

/// The row as the topic's readers see it. Judged as in a change, so that both show the same.
fn shown(topic: &Topic, row: &Row) -> Option<String> {
    let table = &topic.spec.table;
    let image = Image::of(table, row);
    topic.sees(&image).map(|seen| encode::row(table, &image, &seen))
}

/// The statement for a topic's rows, and its parameters: what is asked and what is granted.
fn query(topic: &Topic) -> (String, Vec<String>) {
    let mut values = Vec::new();
    let mut clauses = Vec::new();
    if let Some(filter) = &topic.spec.filter {
        let (clause, more) = filter.to_sql(values.len() + 1);
        clauses.push(format!("({clause})"));
        values.extend(more);
    }
    if !topic.spec.grant.is_whole_table() {
        let mut any = Vec::new();
        for part in topic.spec.grant.parts() {
            let Some(rows) = &part.rows else { continue };
            let (clause, more) = rows.to_sql(values.len() + 1);
            any.push(format!("({clause})"));
            values.extend(more);
        }
        let granted = if any.is_empty() { "false".to_owned() } else { any.join(" or ") };
        clauses.push(format!("({granted})"));
    }
    let (name, row) = (of_table(&topic.spec.table.name), row(topic));
    let mut sql = format!("select {row} from {name} as pgfeed_row");
    if !clauses.is_empty() {
        sql.push_str(" where ");
        sql.push_str(&clauses.join(" and "));
    }
    (sql, values)
}

/// The JSON of what is needed of a row: what is shown of it, and what decides on that.
fn row(topic: &Topic) -> String {
    let spec = &topic.spec;
    let granted = spec.grant.columns();
    let shown = spec.columns.as_ref().map_or_else(|| granted.clone(), |it| it.and(&granted));
    let grants = spec.grant.parts().iter().filter_map(|part| part.rows.as_ref());
    let filters = spec.filter.iter().chain(grants);
    let of = |filter: &CompiledFilter| Columns::new(filter.columns().iter().copied());
    let needed = filters.fold(shown, |needed, filter| needed.or(&of(filter)));
    if needed.count() == spec.table.columns.len() {
        return "pg_catalog.row_to_json(pgfeed_row.*)".to_owned();
    }
    let column = |place: usize| format!("pgfeed_row.{}", quoted(&spec.table.columns[place].name));
    let columns: Vec<String> = needed.places().map(column).collect();
    let columns = columns.join(", ");
    format!("(select pg_catalog.row_to_json(part.*) from (select {columns}) as part)")
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, Instant, sleep};

    use super::{BYTES_PER_SECOND_MIN, Pieces, mpsc};
    use crate::feed::log::{Guest, RowPiece};

    /// How long a reader may take one piece of this many seconds' bytes each `every`, in all.
    async fn served(every: Duration) -> Duration {
        let (out, mut rows) = mpsc::channel(1);
        let guest = Guest { place: std::sync::Arc::new(()), patience: Duration::from_mins(1) };
        let mut pieces = Pieces { out, guest, waited: Duration::ZERO, bytes: 0 };
        let reading = crate::tasks::spawn("reader", async move {
            while rows.recv().await.is_some() {
                sleep(every).await;
            }
        });
        let began = Instant::now();
        let row = "x".repeat(BYTES_PER_SECOND_MIN);
        let piece = || RowPiece { topic: 0, rows: vec![row.clone()], is_last: false };
        while began.elapsed() < Duration::from_secs(1_000) && pieces.send(Ok(piece())).await {}
        reading.abort();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_is_waited_for_as_long_as_its_bytes_may_take_and_its_patience() {
        // One second's bytes each second: for ever. Each three seconds: the patience is used up by
        // the other two.
        assert!(served(Duration::from_secs(1)).await >= Duration::from_secs(1_000));
        let slow = served(Duration::from_secs(3)).await.as_secs();
        assert!((80..=100).contains(&slow), "{slow}");
    }
}
