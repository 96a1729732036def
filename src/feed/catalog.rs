//! The watched tables as of one moment.

use std::{collections::HashMap, sync::Arc};

use crate::change::{Table, TableName};

/// The watched tables as of one read of the log. Replaced as a whole, never changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    by_oid: HashMap<u32, Arc<Table>>,
    by_name: HashMap<TableName, Arc<Table>>,
}

impl Catalog {
    /// Takes the watched tables.
    pub fn new(tables: impl IntoIterator<Item = Arc<Table>>) -> Self {
        let mut catalog = Self::default();
        for table in tables {
            catalog.by_name.insert(table.name.clone(), Arc::clone(&table));
            catalog.by_oid.insert(table.oid, table);
        }
        catalog
    }

    /// A watched table by its oid.
    pub fn table(&self, oid: u32) -> Option<&Arc<Table>> {
        self.by_oid.get(&oid)
    }

    /// A watched table by its name.
    pub fn named(&self, name: &TableName) -> Option<&Arc<Table>> {
        self.by_name.get(name)
    }

    /// All of them, in no order.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.by_oid.values()
    }

    /// The tables of this catalog that `newer` knows otherwise, or not at all.
    pub fn differences<'a>(&'a self, newer: &'a Self) -> impl Iterator<Item = Difference> + 'a {
        self.tables().filter_map(|table| match newer.table(table.oid) {
            Some(now) if now.shape == table.shape => None,
            Some(now) if now.name == table.name => Some(Difference::Changed(table.oid)),
            _ => Some(Difference::Gone(table.oid)),
        })
    }
}

/// How a table differs from what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Its columns or its key are others.
    Changed(u32),
    /// It is dropped, renamed or no longer watched.
    Gone(u32),
}
