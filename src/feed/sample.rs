//! For tests: a table, rows of its log, topics over it.

use std::sync::Arc;

use super::{Body, Catalog, Events, Grant, LogRow, TopicSpec, filter::Filter};
use crate::change::{
    Change, Collation, Column, Folding, Operation, Position, Row, Table, TableName, Tick,
    position::Since,
};

/// `public.notes` with the key `id` and these columns of whole numbers behind it; its shape is how
/// many there are.
pub(super) fn table(columns: &[&str]) -> Arc<Table> {
    let column = |name: &&str| Column {
        name: (*name).to_owned(),
        type_name: "bigint".to_owned(),
        type_oid: 20,
        element_oid: 0,
        collation: Collation::None,
        folding: Folding::Unknown,
        is_domain: false,
        labels: Vec::new(),
    };
    Arc::new(Table {
        oid: 16_384,
        name: TableName::parse("notes"),
        key: vec!["id".to_owned()],
        columns: ["id"].iter().chain(columns).map(column).collect(),
        shape: columns.len() as u64,
    })
}

pub(super) fn catalog(table: &Arc<Table>) -> Arc<Catalog> {
    Arc::new(Catalog::new([Arc::clone(table)]))
}

/// All of the table, by a filter.
pub(super) fn spec(table: &Arc<Table>, filter: Option<&str>) -> TopicSpec {
    let compile = |text: &str| Filter::parse(text)?.compile(table, &|_| true);
    TopicSpec {
        table: Arc::clone(table),
        events: Events::ALL,
        filter: filter.map(|text| compile(text).expect("the filter fits")),
        columns: None,
        grant: Grant::whole(table),
    }
}

/// A change without images.
pub(super) fn change(table: &Arc<Table>, operation: Operation) -> Change {
    Change {
        id: 1,
        xid: 20,
        at: 0,
        table: Arc::clone(table),
        operation,
        new: None,
        old: None,
        is_durable: true,
        key: None,
    }
}

/// A row that was added by transaction 20, with this text beside its key.
pub(super) fn insert(id: i64, text: &str) -> LogRow {
    let new = Some(Row::new(format!("{{\"id\":{id},\"text\":\"{text}\"}}")));
    let body = Body::Change(Change { id, new, ..change(&table(&[]), Operation::Insert) });
    LogRow { id, xid: 20, at: 0, body }
}

/// The place behind a tick, which has seen no transaction from 10 on, and so many rows since.
pub(super) fn position(count: i64) -> Position {
    let snapshot = "10:10:".parse().expect("well formed");
    let mut since = Since::default();
    for id in 1..=count {
        assert!(since.add(id, 0), "each once");
    }
    let tick = Arc::new(Tick { history: 1, id: 1, tag: 0, snapshot });
    Position { tick, since: Arc::new(since) }
}
