//! One read of the log: how the log stands, which relations have new rows, and the rows.
//!
//! All by one statement, so in one snapshot and by one answer: three statements in a transaction
//! cost the server half as much again, and wake the gateway for five answers instead of one.

use std::{collections::HashMap, pin::Pin, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream::Peekable};
use tokio_postgres::{Client, Error, Row, RowStream, Statement, types::ToSql};

use super::{
    catalog::shape_of,
    error::{failed, refused, within},
};
use crate::{
    change::{Snapshot, Tick},
    feed::LogError,
};

/// The first row of a read may take this long, for the rows of transactions are counted first; and
/// so may each after it.
pub(super) const ROWS_LIMIT: Duration = Duration::from_mins(1);

/// What is being done, for errors.
pub(super) const DOING: &str = "reading the log";

/// What a snapshot has not seen, as a relation: the rows of transactions from its xmax on, and of
/// those that were open. Two index ranges, where `not pg_visible_in_snapshot(...)` would walk
/// everything since the oldest open transaction.
macro_rules! not_seen {
    ($columns:literal) => {
        concat!(
            "(select ",
            $columns,
            " from pgfeed.log where xid >= $1::text::xid8 union all select ",
            $columns,
            " from pgfeed.log where xid = any ($2::text[]::xid8[]))"
        )
    };
}

/// A read. Its first row tells how the log stands, in `said`. Those without an operation name the
/// relations that have new rows, with what each is told as and that table's shape now in `said`: a
/// row trigger written by hand on a partitioned table is copied to its partitions, whose rows name
/// those, and are told as the table that has the trigger itself.
///
/// Then come the rows: transactions by the highest id of each, so that the changes of a row are in
/// commit order, and within a transaction by id. But first the one of which some rows have been
/// told already, if there is one: what is new then and has its place before it committed later, and
/// touched none of its rows. Ordered by a nested loop over the index, so that the rows of a large
/// transaction are neither sorted nor held; [`super::rows::Decoder`] checks that it is so.
const READ: &str = concat!(
    "select array[pg_catalog.pg_current_snapshot()::text, m.history::text,
                  (select min(id) from pgfeed.tick)::text,
                  t.id::text, t.tag::text, t.snap::text] as said,
            null::bigint as id, null::xid8 as xid, null::timestamptz as at,
            null::integer as watch, null::oid as rel, null::\"char\" as op,
            null::json as key, null::json as new, null::json as old
       from pgfeed.meta m
       left join lateral (select id, tag, snap from pgfeed.tick order by id desc limit 1) t on true
     union all
     select array[c.oid::text, c.shape::text], null, null, null, d.watch, d.rel, null,
            null, null, null
       from (select l.watch, l.rel from ",
    not_seen!("watch, rel"),
    " l group by l.watch, l.rel) d
       left join pgfeed.watch_list w on w.id = d.watch
       left join lateral (
            select c.oid, shapes.shape
              from pg_catalog.pg_class c
              join pg_catalog.pg_namespace n on n.oid = c.relnamespace ",
    shape_of!(),
    " where c.oid = coalesce(w.rel::oid,
              (select up.relid
                 from pg_catalog.pg_partition_ancestors(d.rel::regclass)
                        with ordinality up(relid, place)
                where exists (select from pg_catalog.pg_trigger t
                                join pg_catalog.pg_proc p on p.oid = t.tgfoid
                               where t.tgrelid = up.relid and t.tgparentid = 0
                                 and not t.tgisinternal and p.proname = 'notify_table_change')
                order by up.place limit 1),
              d.rel) offset 0) c on true
     union all
     select null, l.id, l.xid, l.at, l.watch, l.rel, l.op, l.key, l.new, l.old
       from (select l.xid, max(l.id) as last from ",
    not_seen!("xid, id"),
    " l group by l.xid order by l.xid is distinct from $3::text::xid8, 2) t
      cross join lateral (select * from pgfeed.log l where l.xid = t.xid order by l.id
                          offset 0) l"
);

/// Places of the columns of [`READ`].
pub(super) mod column {
    pub(crate) const SAID: usize = 0;
    pub(crate) const ID: usize = 1;
    pub(crate) const XID: usize = 2;
    pub(crate) const AT: usize = 3;
    pub(crate) const WATCH: usize = 4;
    pub(crate) const REL: usize = 5;
    pub(crate) const OP: usize = 6;
    pub(crate) const KEY: usize = 7;
    pub(crate) const NEW: usize = 8;
    pub(crate) const OLD: usize = 9;
}

/// What a row is known by, of those that a snapshot has not seen.
pub(super) const SINCE: &str =
    concat!("select l.id, l.xid, l.at from ", not_seen!("id, xid, at"), " l");

/// The watch and the relation that a log row names.
pub(super) type Source = (Option<i32>, Option<u32>);

/// The oid and the shape of the table that a log row belongs to, if there is one.
type Known = Option<(u32, u64)>;

/// Which log rows have a table, by what they name.
pub(super) type Relations = HashMap<Source, Known>;

/// Rows as they arrive; the driver's own stream may not be asked past its end.
pub(super) type Rows = Pin<Box<Peekable<RowStream>>>;

/// A read under way.
pub(super) struct Opened {
    pub(super) standing: Standing,
    pub(super) relations: Relations,
    /// The rows, which wait to be taken. What is not taken holds up every later answer.
    pub(super) rows: Rows,
}

/// How the log stands.
pub(super) struct Standing {
    /// What the read sees.
    pub(super) snapshot: Snapshot,
    pub(super) history: u64,
    /// The newest tick.
    pub(super) tick: Option<Tick>,
    /// The oldest tick that is kept.
    pub(super) oldest: Option<i64>,
}

/// Prepares reads on a connection.
pub(super) async fn prepare(client: &Client) -> Result<Statement, Error> {
    client.prepare(READ).await
}

/// Begins to read what `base` has not seen, the rows of transaction `first` before all others.
pub(super) async fn open(
    client: &Client,
    read: &Statement,
    base: &Snapshot,
    first: Option<u64>,
) -> Result<Opened, LogError> {
    let ((xmax, open), first) = (bounds(base), first.map(|xid| xid.to_string()));
    let parameters: [&(dyn ToSql + Sync); 3] = [&xmax, &open, &first];
    let stream = within(ROWS_LIMIT, DOING, client.query_raw(read, parameters)).await?;
    let mut rows = Box::pin(stream.peekable());
    let is = |error: Error| failed(DOING, &error);
    let head = within(ROWS_LIMIT, DOING, rows.try_next()).await?;
    let Some(head) = head else {
        return Err(refused("pgfeed.meta is empty: run `pgfeed install` again"));
    };
    let standing = standing(&head).map_err(is)?;
    let standing = standing.ok_or_else(|| refused("the server told no place in the log"))?;
    let mut relations = Relations::new();
    while let Some(row) = within(ROWS_LIMIT, DOING, relation(&mut rows)).await? {
        let (source, known) = related(&row).map_err(is)?;
        relations.insert(source, known);
    }
    Ok(Opened { standing, relations, rows })
}

/// The next row, if it is not one of the log.
async fn relation(rows: &mut Rows) -> Result<Option<Row>, Error> {
    let is_relation = |row: &Result<Row, Error>| {
        row.as_ref().is_ok_and(|row| matches!(row.try_get::<_, Option<i8>>(column::OP), Ok(None)))
    };
    rows.as_mut().next_if(is_relation).await.transpose()
}

fn related(row: &Row) -> Result<(Source, Known), Error> {
    let said: Vec<Option<String>> = row.try_get(column::SAID)?;
    let number = |place: usize| said.get(place).and_then(Option::as_deref);
    let oid = number(0).and_then(|oid| oid.parse().ok());
    let shape = number(1).and_then(|shape| shape.parse().ok()).map(i64::cast_unsigned);
    Ok(((row.try_get(column::WATCH)?, row.try_get(column::REL)?), oid.zip(shape)))
}

/// Nothing where it is not as PostgreSQL prints it.
fn standing(row: &Row) -> Result<Option<Standing>, Error> {
    let said: Vec<Option<String>> = row.try_get(column::SAID)?;
    let said: Vec<Option<&str>> = said.iter().map(Option::as_deref).collect();
    let [Some(snapshot), Some(history), oldest, id, tag, snap] = *said else { return Ok(None) };
    let Ok(snapshot) = snapshot.parse() else { return Ok(None) };
    let history = super::log::history(history);
    let tick = id.zip(tag).zip(snap).and_then(|((id, tag), snap)| {
        let (id, tag) = (id.parse().ok()?, tag.parse().ok()?);
        Some(Tick { history, id, tag, snapshot: snap.parse().ok()? })
    });
    let oldest = oldest.and_then(|oldest| oldest.parse().ok());
    Ok(Some(Standing { snapshot, history, tick, oldest }))
}

/// What [`SINCE`] and a read ask with: what comes after a snapshot, and what was open in it.
pub(super) fn bounds(base: &Snapshot) -> (String, Vec<String>) {
    (base.xmax().to_string(), base.open().iter().map(u64::to_string).collect())
}
