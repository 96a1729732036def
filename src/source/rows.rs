//! Rows of the log as the feed has them.

use std::{collections::HashMap, sync::Arc};

use futures::{StreamExt as _, TryStreamExt as _};
use tokio_postgres::{Error, Row as SqlRow};

use super::{
    error::{failed, refused, within},
    reading::{DOING, ROWS_LIMIT, Relations, Rows, Source, column},
    types::{JsonText, Micros, Xid8},
};
use crate::{
    change::{Change, Operation, Row, Table},
    feed::{Body, Catalog, LogError, LogRow},
};

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
        let failed = |error: Error| failed(DOING, &error);
        let first = within(ROWS_LIMIT, DOING, stream.try_next()).await?;
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
        let id = row.try_get(column::ID)?;
        let Xid8(xid) = row.try_get(column::XID)?;
        let Micros(at) = row.try_get(column::AT)?;
        let table = self.tables.get(&(row.try_get(column::WATCH)?, row.try_get(column::REL)?));
        let op = u8::try_from(row.try_get::<_, i8>(column::OP)?).unwrap_or_default();
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
                    let (key, new, old) =
                        (image(column::KEY)?, image(column::NEW)?, image(column::OLD)?);
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

/// Holds the order that a read relies on the planner for.
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
