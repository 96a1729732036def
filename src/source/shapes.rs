//! Since when the tables on the feed are as they are: what a cursor must not be older than.
//!
//! Kept in the database, so that it holds on a gateway that was down while a table changed.

use std::{collections::HashMap, sync::Mutex};

use tokio_postgres::{Client, Error};

use crate::{change::Table, feed::Catalog};

const NOTE: &str = "select rel, since from pgfeed.note_shapes($1, $2)";

/// The shapes that were noted last. One for a gateway.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<HashMap<u32, Noted>>);

#[derive(Clone, Copy, Debug)]
struct Noted {
    shape: u64,
    /// The first tick with nothing but this shape behind it.
    since: i64,
}

impl Shapes {
    /// Notes the tables in the database, where other gateways find them, and here.
    pub(super) async fn note(&self, client: &Client, catalog: &Catalog) -> Result<(), Error> {
        let shapes: HashMap<u32, u64> =
            catalog.tables().map(|table| (table.oid, table.shape)).collect();
        let (oids, numbers): (Vec<u32>, Vec<i64>) =
            shapes.iter().map(|(oid, shape)| (*oid, shape.cast_signed())).unzip();
        let mut noted = HashMap::with_capacity(oids.len());
        for row in client.query(NOTE, &[&oids, &numbers]).await? {
            let (oid, since): (u32, i64) = (row.try_get(0)?, row.try_get(1)?);
            if let Some(shape) = shapes.get(&oid) {
                noted.insert(oid, Noted { shape: *shape, since });
            }
        }
        *self.0.lock().expect("no holder of the shapes panics") = noted;
        Ok(())
    }

    /// The first tick from which on a cursor may lead to rows of this table. None will do as
    /// long as its shape was not noted.
    pub(super) fn since(&self, table: &Table) -> i64 {
        let noted = self.0.lock().expect("no holder of the shapes panics");
        let known = noted.get(&table.oid).filter(|noted| noted.shape == table.shape);
        known.map_or(i64::MAX, |noted| noted.since)
    }

    /// The first tick from which on a cursor may lead to rows of any table.
    pub(super) fn all_since(&self) -> i64 {
        let noted = self.0.lock().expect("no holder of the shapes panics");
        noted.values().map(|noted| noted.since).max().unwrap_or_default()
    }
}
