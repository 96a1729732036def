//! Rows of the log: what is new since a snapshot, in the order of the feed.

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _, stream::Fuse};
use tokio_postgres::{Client, Error, Row as SqlRow, RowStream, Statement, types::ToSql};

use super::{
    catalog::shape_of,
    error::{failed, refused, within},
    types::{JsonText, Micros, Xid8},
};
use crate::{
    change::{Change, Operation, Row, Snapshot, Table},
    feed::{Body, Catalog, LogError, LogRow},
};

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

/// Which relations have new rows, what each is told as, and that table's shape now. A row trigger
/// written by hand on a partitioned table is copied to its partitions, whose rows name those: they
/// are told as the table that has the trigger itself.
const RELATIONS: &str = concat!(
    "select d.watch, d.rel, c.oid, c.shape
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
              d.rel) offset 0) c on true"
);

/// The rows: transactions by the highest id of each, so that the changes of a row are in commit
/// order, and within a transaction by id. But first the one of which some rows have been told
/// already, if there is one: what is new then and has its place before it committed later, and
/// touched none of its rows. Ordered by a nested loop over the index, so that the
/// rows of a large transaction are neither sorted nor held; [`Order`] checks that it is so.
const ROWS: &str = concat!(
    "select l.id, l.xid, l.at, l.watch, l.rel, l.op, l.key, l.new, l.old
       from (select l.xid, max(l.id) as last from ",
    not_seen!("xid, id"),
    " l group by l.xid order by l.xid is distinct from $3::text::xid8, 2) t
      cross join lateral (select * from pgfeed.log l where l.xid = t.xid order by l.id
                          offset 0) l"
);

/// What a row is known by, of those that a snapshot has not seen.
pub(super) const SINCE: &str =
    concat!("select l.id, l.xid, l.at from ", not_seen!("id, xid, at"), " l");

/// The first row of a read may take this long, for the rows of transactions are counted first; and
/// so may each after it.
pub(super) const ROWS_LIMIT: Duration = Duration::from_mins(1);

/// The statements above, prepared on one connection.
#[derive(Clone)]
pub(super) struct Statements {
    relations: Statement,
    rows: Statement,
}

/// Which log rows have a table, by (watch, rel) as the log has them.
pub(super) type Relations = HashMap<Source, Option<(u32, u64)>>;

/// The watch and the relation that a log row names.
type Source = (Option<i32>, Option<u32>);

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Error> {
        let (relations, rows) =
            futures::try_join!(client.prepare(RELATIONS), client.prepare(ROWS))?;
        Ok(Self { relations, rows })
    }

    /// The relations with rows that `base` has not seen.
    pub(super) async fn relations(
        &self,
        client: &Client,
        base: &Snapshot,
    ) -> Result<Relations, Error> {
        let (xmax, open) = bounds(base);
        let rows = client.query(&self.relations, &[&xmax, &open]).await?;
        rows.iter()
            .map(|row| {
                let oid: Option<u32> = row.try_get(2)?;
                let shape: Option<i64> = row.try_get(3)?;
                let known = oid.zip(shape.map(i64::cast_unsigned));
                Ok(((row.try_get(0)?, row.try_get(1)?), known))
            })
            .collect()
    }

    /// The rows that `base` has not seen, those of transaction `first` before all others.
    pub(super) async fn rows(
        &self,
        client: &Client,
        base: &Snapshot,
        first: Option<u64>,
    ) -> Result<Rows, Error> {
        let ((xmax, open), first) = (bounds(base), first.map(|xid| xid.to_string()));
        let parameters: [&(dyn ToSql + Sync); 3] = [&xmax, &open, &first];
        Ok(Box::pin(client.query_raw(&self.rows, parameters).await?.fuse()))
    }
}

pub(super) fn bounds(base: &Snapshot) -> (String, Vec<String>) {
    (base.xmax().to_string(), base.open().iter().map(u64::to_string).collect())
}

/// Rows as they arrive. Fused: the driver's own stream takes a look past its end for a lost
/// connection.
pub(super) type Rows = Pin<Box<Fuse<RowStream>>>;

/// Turns rows of the log into the feed's, for one read.
pub(super) struct Decoder {
    tables: HashMap<Source, Arc<Table>>,
    order: Order,
    row_bytes_max: usize,
}

impl Decoder {
    /// Tells rows under the tables of `catalog`.
    pub(super) fn new(
        relations: &Relations,
        catalog: &Catalog,
        row_bytes_max: usize,
        first: Option<u64>,
    ) -> Self {
        let table = |(from, known): (&Source, &Option<(u32, u64)>)| {
            Some((*from, Arc::clone(catalog.table(known.as_ref()?.0)?)))
        };
        Self {
            tables: relations.iter().filter_map(table).collect(),
            order: Order { first, ..Order::default() },
            row_bytes_max,
        }
    }

    /// Reads some rows of the stream; none at its end.
    pub(super) async fn some(
        &mut self,
        stream: &mut Rows,
    ) -> Result<Option<Vec<LogRow>>, LogError> {
        /// As many as are at hand go in one go, up to this.
        const ROWS_MAX: usize = 256;
        /// And this many bytes, but for the last one.
        const BYTES_MAX: usize = 64 * 1024;
        let doing = "reading the log";
        let failed = |error: Error| failed(doing, &error);
        let first = within(ROWS_LIMIT, doing, stream.try_next()).await?;
        let Some(first) = first else { return Ok(None) };
        let mut rows = vec![self.decode(&first).map_err(failed)?];
        while rows.len() < ROWS_MAX && rows.iter().map(LogRow::bytes).sum::<usize>() < BYTES_MAX {
            match futures::FutureExt::now_or_never(stream.next()) {
                Some(Some(row)) => {
                    rows.push(row.and_then(|row| self.decode(&row)).map_err(failed)?);
                }
                Some(None) | None => break,
            }
        }
        for row in &rows {
            self.order.check(row.xid, row.id)?;
        }
        Ok(Some(rows))
    }

    fn decode(&mut self, row: &SqlRow) -> Result<LogRow, Error> {
        let id = row.try_get(0)?;
        let Xid8(xid) = row.try_get(1)?;
        let Micros(at) = row.try_get(2)?;
        let table = self.tables.get(&(row.try_get(3)?, row.try_get(4)?));
        let op = u8::try_from(row.try_get::<_, i8>(5)?).unwrap_or_default();
        let body = match (table, op) {
            (None, _) | (_, b'B') => Body::Other,
            (Some(table), b'G') => Body::Gap(Arc::clone(table)),
            (Some(table), _) => match operation(op) {
                None => Body::Other,
                Some(operation) => {
                    let image = |place: usize| -> Result<Option<Row>, Error> {
                        let text: Option<JsonText<'_>> = row.try_get(place)?;
                        Ok(text.map(|JsonText(text)| Row::new(text)))
                    };
                    let (key, new, old) = (image(6)?, image(7)?, image(8)?);
                    let table = Arc::clone(table);
                    let is_durable = true;
                    let mut change =
                        Change { id, xid, at, table, operation, new, old, is_durable, key };
                    change.limit(self.row_bytes_max);
                    Body::Change(change)
                }
            },
        };
        Ok(LogRow { id, xid, at, body })
    }
}

fn operation(op: u8) -> Option<Operation> {
    match op.to_ascii_uppercase() {
        b'I' => Some(Operation::Insert),
        b'U' => Some(Operation::Update),
        b'D' => Some(Operation::Delete),
        b'T' => Some(Operation::Truncate),
        _ => None,
    }
}

/// Holds the order that [`ROWS`] relies on the planner for.
#[derive(Default)]
struct Order {
    /// The transaction that comes before all others.
    first: Option<u64>,
    xid: u64,
    id: i64,
    last_of_before: i64,
}

impl Order {
    fn check(&mut self, xid: u64, id: i64) -> Result<(), LogError> {
        let is_wrong = if xid == self.xid {
            id <= self.id
        } else {
            let is_ordered = self.first != Some(self.xid);
            let is_wrong = is_ordered && self.id < self.last_of_before;
            if is_ordered {
                self.last_of_before = self.id;
            }
            self.xid = xid;
            is_wrong || self.first == Some(xid) && self.last_of_before > 0
        };
        self.id = id;
        if is_wrong { Err(refused("the log's rows came out of order")) } else { Ok(()) }
    }
}
